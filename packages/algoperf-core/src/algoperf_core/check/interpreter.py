"""Reads a submission's source as an interpreter would, with sets of what each name may be.

Names are resolved through imports, aliases and attributes; what tells workloads apart is followed through
assignments, containers, attributes, calls and returns, in all files of the submission. The result does not
depend on the order of statements: a name may be whatever it is anywhere given. Passes are repeated until
nothing new is learned; the last one yields the events.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable

from algoperf_core.check.events import Assignment, Branch, Comparison, Event, Import, Place
from algoperf_core.check.expressions import Expressions
from algoperf_core.check.names import Function, Scope
from algoperf_core.check.values import UNKNOWN, Value

MOST_PASSES = 8


class Interpreter(Expressions):
    """Reads all modules of a submission.

    Args:
        files: The submission.
    """

    def events(self) -> list[Event]:
        """Everything that happens, in all modules."""
        passes = 0
        while self._learned and passes < MOST_PASSES:
            self._learned = False
            passes += 1
            self._events = []
            for module in self._files.modules.values():
                self._scope = self._scope_of(module.tree, Place(module, ()), None)
                self._statements(module.tree.body)
        return self._events

    # Statements.

    def _statements(self, body: Iterable[ast.stmt]) -> None:
        for statement in body:
            self._statement(statement)

    def _statement(self, node: ast.stmt) -> None:
        handler = getattr(self, f"_do_{type(node).__name__.lower()}", None)
        if handler is not None:
            handler(node)
            return
        for child in ast.iter_child_nodes(node):
            self._child(child)

    def _child(self, child: ast.AST) -> None:
        match child:
            case ast.stmt():
                self._statement(child)
            case ast.expr():
                self._value(child)
            case ast.ExceptHandler(body=body):
                self._statements(body)
            case _:
                for inner in ast.iter_child_nodes(child):
                    self._child(inner)

    def _do_import(self, node: ast.Import) -> None:
        for alias in node.names:
            own = self._files.resolve(self._place.module, alias.name, 0)
            full = alias.name if own is None else f"@{own}:"
            # `import a.b` binds `a`; of the submission's own packages, the module will do.
            name = alias.asname or alias.name.partition(".")[0]
            bound = full if alias.asname or own is not None else name
            self._bind(self._scope, name, Value(origins=frozenset({bound})))
            self._emit(Import(self._place, node, Value(origins=frozenset({full}))))

    def _do_importfrom(self, node: ast.ImportFrom) -> None:
        own = self._files.resolve(self._place.module, node.module or "", node.level)
        for alias in node.names:
            inner = ".".join(filter(None, (node.module, alias.name)))
            submodule = self._files.resolve(self._place.module, inner, node.level)
            if submodule is not None:
                value = Value(origins=frozenset({f"@{submodule}:"}))
            elif own is not None:
                value = self._own_name(own, alias.name)
            else:
                value = Value(origins=frozenset({inner}))
            self._bind(self._scope, alias.asname or alias.name, value)
            self._emit(Import(self._place, node, value))

    def _do_functiondef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        arguments = node.args
        for expression in (*node.decorator_list, *arguments.defaults, *arguments.kw_defaults):
            if expression is not None:
                self._value(expression)
        place = self._inside(node.name)
        is_method = self._scope.is_class
        scope = self._scope_of(node, place, self._scope)
        self._functions[place.scope] = Function(arguments, scope, is_method)
        if is_method and place.scope not in self._methods[node.name]:
            self._methods[node.name].append(place.scope)
        origins = {place.scope}
        self._bind(self._scope, node.name, Value(origins=frozenset(origins)))
        self._bind_parameters(node.name, arguments, scope, is_method)
        self._inside_scope(scope, node.body)

    _do_asyncfunctiondef = _do_functiondef

    def _inside_scope(self, scope: Scope, body: Iterable[ast.stmt]) -> None:
        outer, self._scope = self._scope, scope
        self._statements(body)
        self._scope = outer

    def _do_classdef(self, node: ast.ClassDef) -> None:
        for expression in (*node.decorator_list, *node.bases, *(k.value for k in node.keywords)):
            self._value(expression)
        place = self._inside(node.name)
        self._bind(self._scope, node.name, Value(origins=frozenset({place.scope})))
        scope = self._scope_of(node, place, self._scope, is_class=True)
        self._inside_scope(scope, node.body)
        constructor = self._functions.get(f"{place.scope}.__init__")
        if constructor is not None:
            self._functions[place.scope] = constructor

    def _do_return(self, node: ast.Return) -> None:
        value = self._value(node.value)
        self._learn(self._returned, self._place.scope, value)

    def _do_global(self, node: ast.Global | ast.Nonlocal) -> None:
        self._scope.outer_names.update(node.names)

    _do_nonlocal = _do_global

    def _do_assign(self, node: ast.Assign) -> None:
        value = self._value(node.value)
        for target in node.targets:
            self._assign(target, value)

    def _do_annassign(self, node: ast.AnnAssign) -> None:
        # Annotations are not code of the submission.
        if node.value is not None:
            self._assign(node.target, self._value(node.value))

    def _do_augassign(self, node: ast.AugAssign) -> None:
        value = self._value(node.value)
        if isinstance(node.target, ast.Name):
            # Lists and dicts are changed in place.
            self._emit_change(node, node.target, self._find(node.target.id)[1], None, value)
        self._assign(node.target, value)

    def _do_delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            self._assign(target, UNKNOWN)

    def _do_for(self, node: ast.For | ast.AsyncFor) -> None:
        self._assign(node.target, self._value(node.iter))
        self._statements([*node.body, *node.orelse])

    _do_asyncfor = _do_for

    def _do_with(self, node: ast.With | ast.AsyncWith) -> None:
        for item in node.items:
            value = self._value(item.context_expr)
            if item.optional_vars is not None:
                self._assign(item.optional_vars, value)
        self._statements(node.body)

    _do_asyncwith = _do_with

    def _do_if(self, node: ast.If | ast.While) -> None:
        self._test(node.test)
        self._statements([*node.body, *node.orelse])

    _do_while = _do_if

    def _do_assert(self, node: ast.Assert) -> None:
        self._asserted = True
        self._value(node.test)
        self._asserted = False

    def _do_match(self, node: ast.Match) -> None:
        subject = self._value(node.subject)
        for case in node.cases:
            for pattern in ast.walk(case.pattern):
                if isinstance(pattern, ast.MatchClass):
                    text = subject.as_text()
                    self._emit(Comparison(self._place, pattern, text, UNKNOWN, "Case"))
                if isinstance(pattern, ast.MatchValue):
                    literal = self._value(pattern.value)
                    self._emit(Comparison(self._place, pattern, subject, literal, "Case"))
            if case.guard is not None:
                self._test(case.guard)
            self._statements(case.body)

    def _test(self, node: ast.expr) -> None:
        self._emit(Branch(self._place, node, self._value(node)))

    # Targets of assignments.

    def _assign(self, target: ast.expr, value: Value) -> None:
        match target:
            case ast.Name(id=name):
                outer = name in self._scope.outer_names
                if outer:
                    self._emit(Assignment(self._place, target, UNKNOWN, None, value, name, True))
                self._bind(self._scope, name, value)
            case ast.Tuple(elts=elements) | ast.List(elts=elements):
                for element in elements:
                    self._assign(element, value)
            case ast.Starred(value=inner):
                self._assign(inner, value)
            case ast.Attribute(value=inner, attr=name):
                base = self._value(inner)
                self._keep(name, base, value)
                self._emit_change(target, inner, base, name, value)
            case ast.Subscript(value=inner, slice=key):
                base = self._value(inner)
                for constant in self._value(key).constants:
                    self._keep(str(constant), base, value)
                if isinstance(inner, ast.Name) and value.identifying() != UNKNOWN:
                    self._bind(self._scope, inner.id, value.identifying())
                self._emit_change(target, inner, base, None, value)
