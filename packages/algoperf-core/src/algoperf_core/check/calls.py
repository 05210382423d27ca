"""Calls in a submission that is read: what goes in, what comes out, and what changes on the way."""

from __future__ import annotations

import ast
from functools import reduce
from operator import or_

from algoperf_core.check.events import AttributeRead, Call, Lookup, Reference
from algoperf_core.check.names import BATCH_SIZES, Names
from algoperf_core.check.values import (
    COLLECTIONS,
    PARAMETERS,
    THROUGH_CALLS,
    UNKNOWN,
    Carries,
    Value,
)

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


class Calls(Names):
    """Reads calls."""

    def _attribute_of(self, node: ast.Attribute, base: Value) -> Value:
        value = self._attribute(base, node.attr)
        self._emit(AttributeRead(self._place, node, base, node.attr))
        self._emit(Reference(self._place, node, value))
        return value

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
        if call.method == "format" and is_text(call.receiver):
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


def is_text(value: Value) -> bool:
    """Whether a value may be text that the source holds."""
    return any(isinstance(constant, str) for constant in value.constants)
