"""Reads a submission's source as an interpreter would, with sets of what each name may be.

Names are resolved through imports, aliases and attributes; what tells workloads apart is followed through
assignments, containers, attributes, calls and returns, in all files of the submission. The result does not
depend on the order of statements: a name may be whatever it is anywhere given. Passes are repeated until
nothing new is learned; the last one yields the events.
"""

from __future__ import annotations

import ast
import builtins
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import reduce
from operator import or_

from algoperf_core.check.events import (
    Assignment,
    AttributeRead,
    Branch,
    Call,
    Comparison,
    Event,
    Import,
    Lookup,
    Place,
    Reference,
)
from algoperf_core.check.modules import SubmissionFiles
from algoperf_core.check.values import (
    COLLECTIONS,
    PARAMETERS,
    THROUGH_CALLS,
    UNKNOWN,
    Carries,
    Value,
)

MOST_PASSES = 8
MOST_ORIGINS = 12
LARGE_NUMBER = 10**9

# Arguments that the harness passes by position.
POSITIONS = {
    "init_optimizer_state": ("workload", "model_params", "", "", ""),
    "data_selection": ("workload", "input_queue", "", "model_params", "", "", "", ""),
    "get_batch_size": ("workload_name",),
    "get_eval_batch_size": ("workload_name",),
}
BATCH_SIZES = ("get_batch_size", "get_eval_batch_size")
TRANSPARENT = {
    f"builtins.{name}"
    for name in (
        *("tuple", "list", "int", "float", "str", "hash", "abs", "round", "max", "min", "sorted"),
        *("set", "frozenset", "reversed", "next", "iter", "enumerate", "zip", "repr", "range"),
    )
} | {"math.prod", "numpy.prod", "jax.numpy.prod", "math.ceil", "math.floor", "math.log2"}
ALL_LEAVES = ("tree.leaves", "tree_leaves", "tree_flatten", "tree.flatten", "ravel_pytree")
ARRAYS = Carries.PARAMS | Carries.PART | Carries.LEAVES | Carries.BATCH
MUTATORS = {
    *("append", "add", "update", "setdefault", "insert", "extend", "clear", "pop", "popitem"),
    *("remove", "discard", "sort", "reverse", "__setitem__", "__delitem__"),
}


@dataclass(eq=False)
class _Scope:
    place: Place
    parent: _Scope | None
    is_class: bool = False
    names: dict[str, Value] = field(default_factory=dict)
    outer_names: set[str] = field(default_factory=set)


@dataclass(frozen=True, eq=False)
class _Function:
    """A function, method, class constructor or lambda that a call may mean."""

    arguments: ast.arguments
    scope: _Scope
    is_method: bool


class Interpreter:
    """Reads all modules of a submission.

    Args:
        files: The submission.
    """

    def __init__(self, files: SubmissionFiles) -> None:
        self._files = files
        self._scopes: dict[tuple[str, int], _Scope] = {}
        self._functions: dict[str, _Function] = {}
        self._methods: dict[str, list[str]] = defaultdict(list)
        self._returned: dict[str, Value] = {}
        self._attributes: dict[str, Value] = {}
        self._events: list[Event] = []
        self._scope: _Scope
        self._asserted = False
        self._learned = True
        self.callers: dict[str, set[str]] = defaultdict(set)
        """Functions of the submission by the functions that call them."""
        self.batch_size_functions: set[str] = set()
        """Functions that are handed over as `batch_size`."""

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

    # Scopes and names.

    def _scope_of(
        self, node: ast.AST, place: Place, parent: _Scope | None, is_class: bool = False
    ) -> _Scope:
        key = (place.module.name, id(node))
        if key not in self._scopes:
            self._scopes[key] = _Scope(place, parent, is_class)
        return self._scopes[key]

    def _inside(self, name: str) -> Place:
        place = self._scope.place
        return Place(place.module, (*place.function, name))

    def _bind(self, scope: _Scope, name: str, value: Value) -> None:
        if name in scope.outer_names:
            scope = self._module_scope(scope)
        self._learn(scope.names, name, value)

    def _learn(self, table: dict[str, Value], key: str, value: Value) -> None:
        old = table.get(key)
        new = value if old is None else old | value
        if new != old and len(new.origins) <= MOST_ORIGINS:
            table[key] = new
            self._learned = True

    @staticmethod
    def _module_scope(scope: _Scope) -> _Scope:
        while scope.parent is not None:
            scope = scope.parent
        return scope

    def _find(self, name: str) -> tuple[_Scope | None, Value]:
        scope: _Scope | None = self._scope
        if name in self._scope.outer_names:
            scope = self._module_scope(self._scope)
        first = True
        while scope is not None:
            if name in scope.names and (first or not scope.is_class):
                return scope, scope.names[name]
            scope, first = scope.parent, False
        if hasattr(builtins, name):
            return None, Value(origins=frozenset({f"builtins.{name}"}))
        own = Carries.OWN_FILE if name == "__file__" else Carries.NOTHING
        return None, Value(own)

    def _emit(self, event: Event) -> None:
        self._events.append(event)

    @property
    def _place(self) -> Place:
        return self._scope.place

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

    def _own_name(self, module: str, name: str) -> Value:
        """What a name of a module of the submission is."""
        key = (module, id(self._files.modules[module].tree))
        scope = self._scopes.get(key)
        known = scope.names.get(name, UNKNOWN) if scope is not None else UNKNOWN
        return known | Value(origins=frozenset({f"@{module}:{name}"}))

    def _do_functiondef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        arguments = node.args
        for expression in (*node.decorator_list, *arguments.defaults, *arguments.kw_defaults):
            if expression is not None:
                self._value(expression)
        place = self._inside(node.name)
        is_method = self._scope.is_class
        scope = self._scope_of(node, place, self._scope)
        self._functions[place.scope] = _Function(arguments, scope, is_method)
        if is_method and place.scope not in self._methods[node.name]:
            self._methods[node.name].append(place.scope)
        origins = {place.scope}
        self._bind(self._scope, node.name, Value(origins=frozenset(origins)))
        self._bind_parameters(node.name, arguments, scope, is_method)
        self._inside_scope(scope, node.body)

    _do_asyncfunctiondef = _do_functiondef

    def _inside_scope(self, scope: _Scope, body: Iterable[ast.stmt]) -> None:
        outer, self._scope = self._scope, scope
        self._statements(body)
        self._scope = outer

    def _bind_parameters(
        self, name: str, arguments: ast.arguments, scope: _Scope, is_method: bool
    ) -> None:
        positional = [*arguments.posonlyargs, *arguments.args]
        for argument in (*positional, *arguments.kwonlyargs):
            carries = PARAMETERS.get(argument.arg, Carries.NOTHING)
            self._bind(scope, argument.arg, Value(carries))
        for argument, role in zip(
            positional[1 if is_method else 0 :], POSITIONS.get(name, ()), strict=False
        ):
            self._bind(scope, argument.arg, Value(PARAMETERS.get(role, Carries.NOTHING)))
        if arguments.vararg is not None:
            self._bind(scope, arguments.vararg.arg, UNKNOWN)
        if arguments.kwarg is not None:
            of_api = name in ("update_params", "prepare_for_eval")
            keywords = Carries.KEYWORDS if of_api else Carries.NOTHING
            self._bind(scope, arguments.kwarg.arg, Value(keywords))

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

    def _keep(self, name: str, base: Value, value: Value) -> None:
        kept = value.identifying() | Value(
            value.carries & (Carries.WORKLOAD | Carries.QUEUE | Carries.RESULTS)
        )
        if kept != UNKNOWN and not self._is_foreign(base):
            self._learn(self._attributes, name, kept)

    @staticmethod
    def _is_foreign(base: Value) -> bool:
        return any(not origin.startswith("@") for origin in base.origins)

    def _emit_change(
        self, node: ast.AST, inner: ast.expr, base: Value, attribute: str | None, value: Value
    ) -> None:
        name = inner.id if isinstance(inner, ast.Name) else None
        self._emit(
            Assignment(self._place, node, base, attribute, value, name, self._is_outer(inner))
        )

    def _is_outer(self, node: ast.expr) -> bool:
        """Whether an object lives at the level of the module while a function changes it."""
        while isinstance(node, ast.Attribute | ast.Subscript):
            node = node.value
        if not isinstance(node, ast.Name) or self._scope.parent is None:
            return False
        scope, _ = self._find(node.id)
        return scope is not None and scope.parent is None

    # Expressions.

    def _value(self, node: ast.expr | None) -> Value:
        if node is None:
            return UNKNOWN
        handler = getattr(self, f"_of_{type(node).__name__.lower()}", None)
        return handler(node) if handler is not None else self._of_parts(node)

    def _of_parts(self, node: ast.AST) -> Value:
        """What the parts of an expression tell, together."""
        parts = [
            self._value(child)
            for child in ast.iter_child_nodes(node)
            if isinstance(child, ast.expr)
        ]
        return reduce(or_, parts, UNKNOWN)

    def _of_constant(self, node: ast.Constant) -> Value:
        if isinstance(node.value, bool) or not isinstance(node.value, str | bytes | int | float):
            return UNKNOWN
        return Value(constants=frozenset({node.value}))

    def _of_joinedstr(self, node: ast.JoinedStr) -> Value:
        return Value(self._of_parts(node).carries)

    def _of_formattedvalue(self, node: ast.FormattedValue) -> Value:
        return self._value(node.value).as_text()

    def _of_name(self, node: ast.Name) -> Value:
        _, value = self._find(node.id)
        self._emit(Reference(self._place, node, value))
        return value

    def _of_attribute(self, node: ast.Attribute) -> Value:
        return self._attribute_of(node, self._value(node.value))

    def _attribute_of(self, node: ast.Attribute, base: Value) -> Value:
        value = self._attribute(base, node.attr)
        self._emit(AttributeRead(self._place, node, base, node.attr))
        self._emit(Reference(self._place, node, value))
        return value

    def _attribute(self, base: Value, name: str) -> Value:
        value = base.attribute(name)
        for origin in base.origins:
            if origin.startswith("@") and origin.endswith(":"):
                value |= self._own_name(origin[1:-1], name)
        if not self._is_foreign(base) and Carries.WORKLOAD not in base.carries:
            value |= self._attributes.get(name, UNKNOWN)
        return value

    def _of_subscript(self, node: ast.Subscript) -> Value:
        base, key = self._value(node.value), self._value(node.slice)
        self._emit(Lookup(self._place, node, base, key))
        value = Value(base.carries, frozenset(f"{origin}[]" for origin in base.origins))
        for constant in key.constants:
            if Carries.KEYWORDS in base.carries:
                value |= Value(PARAMETERS.get(str(constant), Carries.NOTHING))
            value |= self._attributes.get(str(constant), UNKNOWN)
            if isinstance(constant, str):
                value |= self._module_by_name(base, constant)
        return value

    @staticmethod
    def _module_by_name(base: Value, name: str) -> Value:
        if "sys.modules" in base.origins:
            return Value(origins=frozenset({name}))
        if any(origin.endswith(".__dict__") for origin in base.origins):
            origins = {origin.removesuffix("__dict__") + name for origin in base.origins}
            return Value(origins=frozenset(origins))
        return UNKNOWN

    def _of_dict(self, node: ast.Dict) -> Value:
        keys = reduce(or_, (self._value(key) for key in node.keys if key is not None), UNKNOWN)
        values = reduce(or_, (self._value(value) for value in node.values), UNKNOWN)
        return Value(
            values.carries | keys.carries, frozenset(), keys.constants, bool(keys.constants)
        )

    def _of_boolop(self, node: ast.BoolOp) -> Value:
        for operand in node.values:
            self._emit(Branch(self._place, operand, self._value(operand)))
        return self._of_parts(node)

    def _of_ifexp(self, node: ast.IfExp) -> Value:
        self._test(node.test)
        return self._value(node.body) | self._value(node.orelse)

    def _of_binop(self, node: ast.BinOp) -> Value:
        left, right = self._value(node.left), self._value(node.right)
        if isinstance(node.op, ast.Mod) and _is_text(left):
            return right.as_text()
        if not isinstance(node.op, ast.Add):
            # Text is put together with a plus; any other arithmetic makes a number of it.
            self._emit(Branch(self._place, node, left | right))
        origins = left.origins if not isinstance(node.op, ast.Mod) else frozenset[str]()
        constants = _folded(node.op, left, right) if left.constants and right.constants else None
        return Value((left | right).carries, origins, constants or frozenset())

    def _of_unaryop(self, node: ast.UnaryOp) -> Value:
        value = self._value(node.operand)
        if isinstance(node.op, ast.Not):
            self._emit(Branch(self._place, node, value))
            return UNKNOWN
        return value

    def _of_compare(self, node: ast.Compare) -> Value:
        sides = [self._value(side) for side in (node.left, *node.comparators)]
        syntax = [node.left, *node.comparators]
        orders = [isinstance(op, ast.Lt | ast.LtE | ast.Gt | ast.GtE) for op in node.ops]
        bounded = len(orders) > 1 and all(orders)
        for number, operator in enumerate(node.ops):
            left, right = sides[number], sides[number + 1]
            none = any(
                isinstance(side, ast.Constant) and side.value is None
                for side in syntax[number : number + 2]
            )
            event = Comparison(
                *(self._place, node, left, right, type(operator).__name__),
                bounded=bounded,
                asserted=self._asserted,
                against_none=none,
            )
            self._emit(event)
        return UNKNOWN

    def _of_lambda(self, node: ast.Lambda) -> Value:
        place = self._inside(f"<lambda {node.lineno}:{node.col_offset}>")
        scope = self._scope_of(node, place, self._scope)
        self._functions[place.scope] = _Function(node.args, scope, is_method=False)
        self._bind_parameters("", node.args, scope, is_method=False)
        outer, self._scope = self._scope, scope
        self._learn(self._returned, place.scope, self._value(node.body))
        self._scope = outer
        return Value(origins=frozenset({place.scope}))

    def _of_comprehension(self, node: ast.ListComp | ast.GeneratorExp | ast.SetComp) -> Value:
        over = self._generators(node.generators)
        # A sum over all arrays counts them, whatever is added up.
        return self._value(node.elt) | Value(over.carries & Carries.LEAVES)

    _of_listcomp = _of_generatorexp = _of_setcomp = _of_comprehension

    def _of_dictcomp(self, node: ast.DictComp) -> Value:
        over = self._generators(node.generators)
        return (
            self._value(node.key) | self._value(node.value) | Value(over.carries & Carries.LEAVES)
        )

    def _generators(self, generators: Iterable[ast.comprehension]) -> Value:
        over = UNKNOWN
        for generator in generators:
            value = self._value(generator.iter)
            over |= value
            self._assign(generator.target, value)
            for condition in generator.ifs:
                self._test(condition)
        return over

    def _of_namedexpr(self, node: ast.NamedExpr) -> Value:
        value = self._value(node.value)
        self._assign(node.target, value)
        return value

    def _of_yield(self, node: ast.Yield) -> Value:
        value = self._value(node.value)
        self._learn(self._returned, self._place.scope, value)
        return UNKNOWN

    def _of_await(self, node: ast.Await) -> Value:
        return self._value(node.value)

    # Calls.

    def _of_call(self, node: ast.Call) -> Value:
        if isinstance(node.func, ast.Attribute):
            receiver, method = self._value(node.func.value), node.func.attr
            function = self._attribute_of(node.func, receiver)
        else:
            receiver, method, function = UNKNOWN, None, self._value(node.func)
        arguments = tuple(self._value(argument) for argument in node.args)
        keywords = {keyword.arg or "**": self._value(keyword.value) for keyword in node.keywords}
        call = Call(self._place, node, function, receiver, method, arguments, keywords)
        self._emit(call)
        self._note_change(node, call)
        return self._result(call)

    def _note_change(self, node: ast.Call, call: Call) -> None:
        """Methods that change what they are called on."""
        if call.method in MUTATORS and isinstance(node.func, ast.Attribute):
            value = reduce(or_, call.everything(), UNKNOWN)
            self._emit_change(node, node.func.value, call.receiver, None, value)

    def _result(self, call: Call) -> Value:
        told = reduce(or_, (call.receiver, *call.everything()), UNKNOWN)
        if any(origin.endswith(BATCH_SIZES) for origin in call.function.origins):
            for origin in self._own_functions(call):
                self._enter(origin, call)
            # A batch size goes into formulas, as a horizon does.
            return Value(Carries.HINT)
        special = self._special_result(call, told)
        if special is not None:
            return special
        origins = {f"{origin}()" for origin in call.function.origins if len(origin) < 120}
        result = Value(told.carries & THROUGH_CALLS, frozenset(origins))
        if call.function.origins & TRANSPARENT:
            result |= Value(told.carries, frozenset(), told.constants)
        elif call.method in ("size", "numel", "nelement", "astype", "item", "lower", "encode"):
            result |= Value(told.carries | call.function.carries)
        elif call.method in (*COLLECTIONS, "modules", "named_modules", "children"):
            result |= Value(call.function.carries)
        for origin in self._own_functions(call):
            result |= self._enter(origin, call)
        if call.method in ("get", "pop") and call.arguments:
            result |= self._item(call)
        # `jax.jit(f)` calls `f` when it is called.
        handed = {o for value in call.everything() for o in value.origins if o in self._functions}
        self._note_batch_size(call, handed)
        return result | Value(origins=frozenset(handed))

    def _special_result(self, call: Call, told: Value) -> Value | None:
        """Results of functions that names and sizes come from."""
        names = call.function.origins
        if names & {"importlib.import_module", "builtins.__import__"} and call.arguments:
            return Value(origins=frozenset(map(str, call.arguments[0].constants)))
        if "builtins.getattr" in names and len(call.arguments) > 1:
            base, rest = call.arguments[0], call.arguments[2:]
            found = [self._attribute(base, str(name)) for name in call.arguments[1].constants]
            value = reduce(or_, (*found, *rest), UNKNOWN)
            self._emit(Reference(self._place, call.node, value))
            return value
        texts = {"builtins.type", "builtins.repr", "builtins.str", "builtins.vars"}
        if names & texts and Carries.WORKLOAD in told.carries:
            return Value(Carries.NAME, frozenset(f"{name}()" for name in names))
        if "builtins.vars" in names and call.arguments:
            return call.arguments[0].attribute("__dict__")
        if "builtins.len" in names:
            total = told.carries & (Carries.LEAVES | Carries.PARAMS)
            return Value(told.carries & THROUGH_CALLS | (Carries.TOTAL if total else Carries(0)))
        if "builtins.sum" in names or names & {"functools.reduce", "jax.tree.reduce"}:
            total = told.carries & (Carries.LEAVES | Carries.SHAPE)
            return Value(told.carries & THROUGH_CALLS | (Carries.TOTAL if total else Carries(0)))
        if any(name.endswith(ALL_LEAVES) for name in names) and Carries.PARAMS in told.carries:
            origins = frozenset(f"{name}()" for name in names)
            return Value(told.carries | Carries.LEAVES, origins)
        if any(name.endswith(("tree.map", "tree_map")) for name in names):
            return Value(told.carries & (Carries.PARAMS | Carries.SHAPE | THROUGH_CALLS))
        if call.method == "format" and _is_text(call.receiver):
            return told.as_text()
        if call.method == "size" and (call.receiver.carries & ARRAYS or not call.receiver.origins):
            return Value(Carries.SHAPE)
        return None

    def _own_functions(self, call: Call) -> list[str]:
        own = [origin for origin in call.function.origins if origin in self._functions]
        if not own and call.method is not None and not self._is_foreign(call.receiver):
            methods = self._methods.get(call.method, [])
            own = methods if len(methods) == 1 else []
        return own

    def _enter(self, origin: str, call: Call) -> Value:
        """Hands the arguments to a function of the submission and returns what it returns."""
        function = self._functions[origin]
        caller = self._place.scope
        if caller not in self.callers[origin]:
            self.callers[origin].add(caller)
        positional = [*function.arguments.posonlyargs, *function.arguments.args]
        names = [argument.arg for argument in positional][1 if function.is_method else 0 :]
        for name, value in zip(names, call.arguments, strict=False):
            self._bind(function.scope, name, value)
        taken = {argument.arg for argument in (*positional, *function.arguments.kwonlyargs)}
        for name, value in call.keywords.items():
            if name in taken:
                self._bind(function.scope, name, value)
        return self._returned.get(origin, UNKNOWN)

    def _item(self, call: Call) -> Value:
        """What `table.get(key)` gives."""
        node = call.syntax
        key = call.arguments[0]
        self._emit(Lookup(self._place, node, call.receiver, key))
        value = UNKNOWN
        for constant in key.constants:
            if Carries.KEYWORDS in call.receiver.carries:
                value |= Value(PARAMETERS.get(str(constant), Carries.NOTHING))
            value |= self._attributes.get(str(constant), UNKNOWN)
        return value

    def _note_batch_size(self, call: Call, handed: set[str]) -> None:
        size = call.keywords.get("batch_size", UNKNOWN)
        builds = any(name.endswith(("from_optax", "from_torch")) for name in call.function.origins)
        if builds:
            self.batch_size_functions |= handed & size.origins


def _is_text(value: Value) -> bool:
    return any(isinstance(constant, str) for constant in value.constants)


def _folded(operator: ast.operator, left: Value, right: Value) -> frozenset[float | int] | None:
    """What arithmetic on constants gives; a large number where it is not worth the exact value."""
    numbers = [n for n in (*left.constants, *right.constants) if isinstance(n, int | float)]
    if len(numbers) != 2:
        return frozenset({LARGE_NUMBER}) if numbers else None
    a, b = numbers[0], numbers[-1]
    match operator:
        case ast.Add():
            return frozenset({a + b})
        case ast.Sub():
            return frozenset({a - b})
        case ast.Mult():
            return frozenset({a * b})
        case ast.Div() | ast.FloorDiv() if b:
            return frozenset({a / b})
        case _:
            return frozenset({LARGE_NUMBER})
