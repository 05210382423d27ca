"""From the tables of a TOML definition to the facts of a benchmark, field by field.

Every refusal names the file, the field, what was found and what is allowed.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from algoperf_scoring.errors import DefinitionError
from algoperf_scoring.facts import (
    DIRECTIONS,
    BenchmarkWorkload,
    Direction,
    Method,
    Ruleset,
    ScoringRules,
    StudyTime,
)
from algoperf_scoring.names import nearest_names

UNKNOWN = "unknown"
"""The value in TOML, which has no null, of an optional field that has no value."""

TOP_LEVEL = (
    "name",
    "summary",
    "extends",
    "base",
    "held_out",
    "scoring",
    "rulesets",
    "workloads",
)
_SCORING = ("study_time", "max_ratio", "method", "grid_points", "time_column")
_RULESET = ("studies", "trials", "budget_factor", "search_space")
_WORKLOAD = (
    "variant_of",
    "metric",
    "direction",
    "validation_target",
    "test_target",
    "budget_s",
    "step_hint",
    "eval_period_s",
)


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
        return DefinitionError(f"{self.source}: {self.field(key)}: {problem}")

    def check_keys(self, allowed: Iterable[str]) -> None:
        """Refuses fields nobody reads: they are misspelt more often than not."""
        allowed = tuple(allowed)
        for key in self.table:
            if key not in allowed:
                close = nearest_names(key, allowed, limit=1)
                hint = f" did you mean {close[0]!r}?" if close else ""
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
            raise self.error(key, f"expected a non-empty string, found {value!r}.")
        return value

    def choice(self, key: str, allowed: tuple[str, ...]) -> str:
        """Returns a required string that is one of ``allowed``."""
        value = self.get(key)
        if value not in allowed:
            options = " or ".join(repr(option) for option in allowed)
            raise self.error(key, f"expected {options}, found {value!r}.")
        return str(value)

    def flag(self, key: str) -> bool:
        """Returns a required boolean."""
        value = self.get(key)
        if not isinstance(value, bool):
            raise self.error(key, f"expected true or false, found {value!r}.")
        return value

    def number(self, key: str, *, above: float = -math.inf) -> float:
        """Returns a required finite number greater than ``above``."""
        value = self.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.error(key, f"expected a number, found {value!r}.")
        if not math.isfinite(value) or value <= above:
            limit = f" greater than {above:g}" if above > -math.inf else ""
            raise self.error(key, f"expected a finite number{limit}, found {value!r}.")
        return float(value)

    def count(self, key: str, *, least: int = 1) -> int:
        """Returns a required integer that is at least ``least``."""
        value = self.get(key)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise self.error(key, f"expected an integer of at least {least}, found {value!r}.")
        return value

    def known(self, key: str) -> bool:
        """Whether an optional field is there and not ``"unknown"``."""
        return bool(self.table.get(key, UNKNOWN) != UNKNOWN)

    def names(self, key: str) -> tuple[str, ...]:
        """Returns a list of different names; an absent field is the empty list."""
        value = self.table.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.error(key, f"expected a list of names, found {value!r}.")
        twice = sorted({item for item in value if value.count(item) > 1})
        if twice:
            raise self.error(key, f"{twice[0]!r} is listed twice; list it once.")
        return tuple(value)

    def inner(self, key: str) -> "Fields":
        """Returns the table at ``key``; an absent one is empty."""
        value = self.table.get(key, {})
        if not isinstance(value, Mapping):
            raise self.error(key, f"expected a table, found {value!r}.")
        return Fields(self.source, self.field(key), value)


def read_scoring(fields: Fields) -> ScoringRules:
    """Reads ``[scoring]``; what is not given has the default of `ScoringRules`."""
    fields.check_keys(_SCORING)
    rules: dict[str, Any] = {}
    if "study_time" in fields.table:
        rules["study_time"] = fields.choice("study_time", get_args(StudyTime))
    if "max_ratio" in fields.table:
        rules["max_ratio"] = fields.number("max_ratio", above=1.0)
    if "method" in fields.table:
        rules["method"] = fields.choice("method", get_args(Method))
    if "grid_points" in fields.table:
        rules["grid_points"] = fields.count("grid_points", least=2)
    if "time_column" in fields.table:
        rules["time_column"] = fields.text("time_column")
    return ScoringRules(**rules)


def read_rulesets(fields: Fields) -> dict[str, Ruleset]:
    """Reads ``[rulesets.<name>]``, at least one of them."""
    if not fields.table:
        raise DefinitionError(
            f"{fields.source}: rulesets: missing; give at least one table such as "
            "[rulesets.external]."
        )
    return {name: _read_ruleset(name, fields.inner(name)) for name in fields.table}


def _read_ruleset(name: str, fields: Fields) -> Ruleset:
    fields.check_keys(_RULESET)
    return Ruleset(
        name=name,
        studies=fields.count("studies"),
        trials=fields.count("trials"),
        budget_factor=fields.number("budget_factor", above=0.0),
        search_space=fields.flag("search_space"),
    )


def read_workloads(fields: Fields) -> dict[str, BenchmarkWorkload]:
    """Reads ``[workloads.<name>]``; a variant has what it does not give from its base."""
    return {name: _read_workload(name, _with_base(fields, name)) for name in fields.table}


def _with_base(fields: Fields, name: str) -> Fields:
    own = fields.inner(name)
    own.check_keys(_WORKLOAD)
    if not own.known("variant_of"):
        return own
    base_name = own.text("variant_of")
    if base_name not in fields.table:
        close = nearest_names(base_name, fields.table, limit=1)
        hint = f" did you mean {close[0]!r}?" if close else ""
        raise own.error("variant_of", f"no workload {base_name!r} is defined;{hint} define it.")
    base = fields.inner(base_name)
    if base.known("variant_of"):
        raise own.error(
            "variant_of", f"{base_name!r} is a variant itself; name the workload it varies."
        )
    return Fields(own.source, own.where, {**base.table, **own.table})


def _read_workload(name: str, fields: Fields) -> BenchmarkWorkload:
    return BenchmarkWorkload(
        name=name,
        metric=fields.text("metric"),
        direction=_read_direction(fields),
        validation_target=fields.number("validation_target"),
        test_target=fields.number("test_target") if fields.known("test_target") else None,
        budget_s=fields.number("budget_s", above=0.0) if fields.known("budget_s") else None,
        step_hint=fields.count("step_hint") if fields.known("step_hint") else None,
        eval_period_s=(
            fields.number("eval_period_s", above=0.0) if fields.known("eval_period_s") else None
        ),
        variant_of=fields.text("variant_of") if fields.known("variant_of") else None,
    )


def _read_direction(fields: Fields) -> Direction:
    metric = fields.text("metric")
    if "direction" not in fields.table and metric in DIRECTIONS:
        return DIRECTIONS[metric]
    if fields.choice("direction", get_args(Direction)) == "minimize":
        return "minimize"
    return "maximize"


def read_scored(
    fields: Fields, workloads: Mapping[str, BenchmarkWorkload]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Reads ``base`` and ``held_out`` and checks that they name what is defined."""
    base, held_out = fields.names("base"), fields.names("held_out")
    if not base:
        raise fields.error("base", "missing or empty; list at least one workload to score.")
    for key, names in (("base", base), ("held_out", held_out)):
        _check_defined(fields, key, names, workloads)
    for name in held_out:
        origin = workloads[name].variant_of
        if name in base:
            raise fields.error("held_out", f"{name!r} is in base, too; list it in one of them.")
        if origin is None:
            raise fields.error(
                "held_out", f"{name!r} is no variant; give workloads.{name}.variant_of."
            )
        if origin not in base:
            raise fields.error(
                "held_out", f"{name!r} is a variant of {origin!r}, which is not in base; add it."
            )
    return base, held_out


def _check_defined(
    fields: Fields, key: str, names: Iterable[str], workloads: Mapping[str, BenchmarkWorkload]
) -> None:
    for name in names:
        if name not in workloads:
            close = nearest_names(name, workloads, limit=1)
            hint = f"did you mean {close[0]!r}?" if close else f"add [workloads.{name}]."
            raise fields.error(key, f"no workload {name!r} is defined; {hint}")
