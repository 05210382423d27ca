"""Expressions of a submission that is read: what each may be, and the events that they are."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from functools import reduce
from operator import or_

from algoperf_core.check.calls import Calls, is_text
from algoperf_core.check.events import Branch, Comparison, Lookup, Reference
from algoperf_core.check.names import Function
from algoperf_core.check.values import PARAMETERS, UNKNOWN, Carries, Value

LARGE_NUMBER = 10**9


class Expressions(Calls):
    """Reads expressions."""

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
        if isinstance(node.op, ast.Mod) and is_text(left):
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
        self._functions[place.scope] = Function(node.args, scope, is_method=False)
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
