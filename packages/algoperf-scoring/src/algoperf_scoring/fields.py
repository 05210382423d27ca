"""One table of a definition, read field by field.

Every refusal names the file, the field, what was found and what is allowed. Definitions may come
from anybody: whatever is found is shown short, and takes no time that grows faster than it does.
"""

import math
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from algoperf_scoring.errors import DefinitionError
from algoperf_scoring.names import nearest_names
from algoperf_scoring.text_tables import printable

UNKNOWN = "unknown"
"""The value in TOML, which has no null, of an optional field that has no value."""

_SHOWN = 80
_LARGEST = 2**53


@dataclass(frozen=True)
class Fields:
    """One table of a definition, with the place it came from.

    Attributes:
      source: The file, for error messages.
      where: Dotted name of the table, empty for the top level.
      table: The parsed table.
    """

    source: str
    where: str
    table: Mapping[str, Any]

    def field(self, key: str) -> str:
        """Returns the dotted name of a field of this table."""
        return f"{self.where}.{key}" if self.where else key

    def error(self, key: str, problem: str) -> DefinitionError:
        """Returns the error for a field, ready to raise."""
        return DefinitionError(printable(f"{self.source}: {short(self.field(key))}: {problem}"))

    def check_keys(self, allowed: Iterable[str]) -> None:
        """Refuses fields nobody reads: they are misspelt more often than not."""
        allowed = tuple(allowed)
        for key in self.table:
            if key not in allowed:
                hint = suggestion(key, allowed)
                raise self.error(key, f"unknown field;{hint} Allowed: {', '.join(allowed)}.")

    def get(self, key: str) -> Any:
        """Returns the value of a required field."""
        if key not in self.table:
            raise self.error(key, "missing; give it a value.")
        return self.table[key]

    def text(self, key: str) -> str:
        """Returns a required string."""
        value = self.get(key)
        if not isinstance(value, str) or not value:
            raise self.error(key, f"expected a non-empty string, found {shown(value)}.")
        return value

    def choice(self, key: str, allowed: tuple[str, ...]) -> str:
        """Returns a required string that is one of ``allowed``."""
        value = self.get(key)
        if value not in allowed:
            options = " or ".join(repr(option) for option in allowed)
            raise self.error(key, f"expected {options}, found {shown(value)}.")
        return str(value)

    def flag(self, key: str) -> bool:
        """Returns a required boolean."""
        value = self.get(key)
        if not isinstance(value, bool):
            raise self.error(key, f"expected true or false, found {shown(value)}.")
        return value

    def number(self, key: str, *, above: float = -math.inf) -> float:
        """Returns a required finite number greater than ``above``."""
        value = self.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.error(key, f"expected a number, found {shown(value)}.")
        if not abs(value) <= sys.float_info.max or value <= above:
            limit = f" greater than {above:g}" if above > -math.inf else ""
            raise self.error(key, f"expected a finite number{limit}, found {shown(value)}.")
        return float(value)

    def count(self, key: str, *, least: int = 1) -> int:
        """Returns a required integer that is at least ``least``."""
        value = self.get(key)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise self.error(key, f"expected an integer of at least {least}, found {shown(value)}.")
        if value > _LARGEST:
            raise self.error(key, f"expected at most {_LARGEST}, found {shown(value)}.")
        return value

    def known(self, key: str) -> bool:
        """Whether an optional field is there and not ``"unknown"``."""
        return bool(self.table.get(key, UNKNOWN) != UNKNOWN)

    def names(self, key: str) -> tuple[str, ...]:
        """Returns a list of different names; an absent field is the empty list."""
        value = self.table.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.error(key, f"expected a list of names, found {shown(value)}.")
        twice = sorted(item for item, count in Counter(value).items() if count > 1)
        if twice:
            raise self.error(key, f"{shown(twice[0])} is listed twice; list it once.")
        return tuple(value)

    def inner(self, key: str) -> "Fields":
        """Returns the table at ``key``; an absent one is empty."""
        value = self.table.get(key, {})
        if not isinstance(value, Mapping):
            raise self.error(key, f"expected a table, found {shown(value)}.")
        return Fields(self.source, self.field(key), value)


def suggestion(name: str, known: Iterable[str]) -> str:
    """Returns `` did you mean 'x'?`` for the known name that looks most like ``name``, or nothing."""
    close = nearest_names(name, known, limit=1) if len(name) <= _SHOWN else []
    return f" did you mean {close[0]!r}?" if close else ""


def shown(value: object) -> str:
    """Returns a value as messages show it, on one line and not too long."""
    try:
        return short(repr(value))
    except (RecursionError, ValueError):
        # A table within tables without end, or an integer of thousands of digits.
        return f"{type(value).__name__} too large to show"


def short(text: str, length: int = _SHOWN) -> str:
    """Returns at most the first ``length`` characters."""
    return text if len(text) <= length else f"{text[: length - 3]}..."
