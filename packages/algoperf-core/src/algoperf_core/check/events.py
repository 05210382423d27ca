"""What happens in a submission's source, as data: the rules are functions over these events."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass

from algoperf_core.check.findings import Finding
from algoperf_core.check.modules import Module
from algoperf_core.check.values import Value


@dataclass(frozen=True, eq=False)
class Place:
    """Where something happens.

    Args:
        module: The file.
        function: Names of the functions and classes around it, outermost first; empty at module level.
    """

    module: Module
    function: tuple[str, ...]

    @property
    def scope(self) -> str:
        """The function as a dotted name of the submission."""
        return f"@{self.module.name}:{'.'.join(self.function)}"


@dataclass(frozen=True, eq=False)
class Event:
    """Something that the source does.

    Args:
        place: Where.
        node: The syntax.
    """

    place: Place
    node: ast.AST

    def finding(self, rule_id: str, detail: str) -> Finding:
        """A finding at this place."""
        return Finding(rule_id, self.place.module.path, getattr(self.node, "lineno", 0), detail)


@dataclass(frozen=True, eq=False)
class Import(Event):
    """A module, or a name of it, is imported."""

    value: Value


@dataclass(frozen=True, eq=False)
class Reference(Event):
    """A name or an attribute is used."""

    value: Value


@dataclass(frozen=True, eq=False)
class AttributeRead(Event):
    """An attribute of something is used."""

    base: Value
    name: str


@dataclass(frozen=True, eq=False)
class Call(Event):
    """Something is called.

    Args:
        function: What is called.
        receiver: For a method, the object.
        method: For a method, its name.
        arguments: Positional arguments.
        keywords: Keyword arguments by name.
    """

    function: Value
    receiver: Value
    method: str | None
    arguments: tuple[Value, ...]
    keywords: Mapping[str, Value]

    @property
    def syntax(self) -> ast.Call:
        """The call."""
        assert isinstance(self.node, ast.Call)  # noqa: S101
        return self.node

    def everything(self) -> tuple[Value, ...]:
        """All arguments."""
        return (*self.arguments, *self.keywords.values())


@dataclass(frozen=True, eq=False)
class Comparison(Event):
    """Two values are compared.

    Args:
        left: One side.
        right: The other.
        operator: Such as `Eq`, `In`, `Lt`; `Case` for a case of a match.
        bounded: Whether it is part of a chain that gives a lower and an upper bound.
        asserted: Whether the result only decides on an error.
    """

    left: Value
    right: Value
    operator: str
    bounded: bool = False
    asserted: bool = False
    against_none: bool = False


@dataclass(frozen=True, eq=False)
class Lookup(Event):
    """A value is used as a key or an index."""

    table: Value
    key: Value


@dataclass(frozen=True, eq=False)
class Branch(Event):
    """A value decides which way to go."""

    test: Value


@dataclass(frozen=True, eq=False)
class Assignment(Event):
    """Something that exists is changed: an attribute, an item, or a name of an outer scope.

    Args:
        base: What is changed.
        attribute: The attribute; None for an item.
        value: What is put there.
        base_name: The name that the changed object is known by, where it has one.
        outer: Whether the base lives outside of the function.
    """

    base: Value
    attribute: str | None
    value: Value
    base_name: str | None = None
    outer: bool = False
