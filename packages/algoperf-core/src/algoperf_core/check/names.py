"""Scopes and names of a submission that is read: what each name may be, in which function."""

from __future__ import annotations

import abc
import ast
import builtins
from collections import defaultdict
from dataclasses import dataclass, field

from algoperf_core.check.events import Assignment, Event, Place
from algoperf_core.check.modules import SubmissionFiles
from algoperf_core.check.values import PARAMETERS, UNKNOWN, Carries, Value

MOST_ORIGINS = 12


# Arguments that the harness passes by position.
POSITIONS = {
    "init_optimizer_state": ("workload", "model_params", "", "", ""),
    "data_selection": ("workload", "input_queue", "", "model_params", "", "", "", ""),
    "get_batch_size": ("workload_name",),
    "get_eval_batch_size": ("workload_name",),
}
BATCH_SIZES = ("get_batch_size", "get_eval_batch_size")


@dataclass(eq=False)
class Scope:
    """A module, function or class with its names.

    Args:
        place: Where it is.
        parent: The scope around it; None for a module.
        is_class: Whether functions inside do not see its names.
        names: What each name may be.
        outer_names: Names declared global or nonlocal.
    """

    place: Place
    parent: Scope | None
    is_class: bool = False
    names: dict[str, Value] = field(default_factory=dict)
    outer_names: set[str] = field(default_factory=set)


@dataclass(frozen=True, eq=False)
class Function:
    """A function, method, class constructor or lambda that a call may mean."""

    arguments: ast.arguments
    scope: Scope
    is_method: bool


class Names(abc.ABC):
    """What is known about names, attributes and functions; grows from pass to pass.

    Args:
        files: The submission.
    """

    def __init__(self, files: SubmissionFiles) -> None:
        self._files = files
        self._scopes: dict[tuple[str, int], Scope] = {}
        self._functions: dict[str, Function] = {}
        self._methods: dict[str, list[str]] = defaultdict(list)
        self._returned: dict[str, Value] = {}
        self._attributes: dict[str, Value] = {}
        self._events: list[Event] = []
        self._scope: Scope
        self._asserted = False
        self._learned = True
        self.callers: dict[str, set[str]] = defaultdict(set)
        """Functions of the submission by the functions that call them."""
        self.batch_size_functions: set[str] = set()
        """Functions that are handed over as `batch_size`."""

    @abc.abstractmethod
    def _value(self, node: ast.expr | None) -> Value:
        """What an expression may be."""

    @abc.abstractmethod
    def _assign(self, target: ast.expr, value: Value) -> None:
        """Gives a value to a target."""

    @abc.abstractmethod
    def _test(self, node: ast.expr) -> None:
        """An expression decides which way to go."""

    # Scopes and names.

    def _scope_of(
        self, node: ast.AST, place: Place, parent: Scope | None, is_class: bool = False
    ) -> Scope:
        key = (place.module.name, id(node))
        if key not in self._scopes:
            self._scopes[key] = Scope(place, parent, is_class)
        return self._scopes[key]

    def _inside(self, name: str) -> Place:
        place = self._scope.place
        return Place(place.module, (*place.function, name))

    def _bind(self, scope: Scope, name: str, value: Value) -> None:
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
    def _module_scope(scope: Scope) -> Scope:
        while scope.parent is not None:
            scope = scope.parent
        return scope

    def _find(self, name: str) -> tuple[Scope | None, Value]:
        scope: Scope | None = self._scope
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

    def _own_name(self, module: str, name: str) -> Value:
        """What a name of a module of the submission is."""
        key = (module, id(self._files.modules[module].tree))
        scope = self._scopes.get(key)
        known = scope.names.get(name, UNKNOWN) if scope is not None else UNKNOWN
        return known | Value(origins=frozenset({f"@{module}:{name}"}))

    def _bind_parameters(
        self, name: str, arguments: ast.arguments, scope: Scope, is_method: bool
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

    def _attribute(self, base: Value, name: str) -> Value:
        value = base.attribute(name)
        for origin in base.origins:
            if origin.startswith("@") and origin.endswith(":"):
                value |= self._own_name(origin[1:-1], name)
        if not self._is_foreign(base) and Carries.WORKLOAD not in base.carries:
            value |= self._attributes.get(name, UNKNOWN)
        return value

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
