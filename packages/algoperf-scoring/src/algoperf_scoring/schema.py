"""From the tables of a TOML definition to the facts of a benchmark, field by field.

Every refusal names the file, the field, what was found and what is allowed.
"""

from collections.abc import Collection, Iterable, Mapping
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
from algoperf_scoring.fields import Fields, short, shown, suggestion

_LISTED = 600

TOP_LEVEL = (
    "name",
    "summary",
    "extends",
    "include",
    "exclude",
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
        hint = suggestion(base_name, fields.table)
        raise own.error(
            "variant_of", f"no workload {shown(base_name)} is defined;{hint} define it."
        )
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
    check_scored(fields, base, held_out, workloads)
    return base, held_out


def check_scored(
    fields: Fields,
    base: Collection[str],
    held_out: Collection[str],
    workloads: Mapping[str, BenchmarkWorkload],
) -> None:
    """Refuses what cannot be scored.

    Args:
      fields: Where it stands, for messages.
      base: Names of base workloads, at least one.
      held_out: Names of held-out workloads, each a variant of one in ``base``.
      workloads: What is defined.
    """
    if not base:
        raise fields.error("base", "missing or empty; list at least one workload to score.")
    for key, names in (("base", base), ("held_out", held_out)):
        for name in names:
            if name not in workloads:
                hint = suggestion(name, workloads) or f" add [workloads.{short(name)}]."
                raise fields.error(key, f"no workload {shown(name)} is defined;{hint}")
    bases = frozenset(base)
    for name in held_out:
        _check_held_out(fields, name, workloads[name].variant_of, bases)


def _check_held_out(fields: Fields, name: str, origin: str | None, bases: frozenset[str]) -> None:
    if name in bases:
        raise fields.error("held_out", f"{shown(name)} is in base, too; list it in one of them.")
    if origin is None:
        raise fields.error(
            "held_out", f"{shown(name)} is no variant; give workloads.{short(name)}.variant_of."
        )
    if origin not in bases:
        raise fields.error(
            "held_out",
            f"{shown(name)} is a variant of {shown(origin)}, which is not in base; add it.",
        )


def read_chosen(
    fields: Fields,
    base: tuple[str, ...],
    held_out: tuple[str, ...],
    workloads: Mapping[str, BenchmarkWorkload],
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Reads ``include`` and ``exclude`` and applies them to what is scored.

    Of the scored workloads only those in ``include`` stay, with their held-out variants, all if it
    is absent; then those in ``exclude`` go, a base workload with its variants.

    Args:
      fields: The table with the two lists.
      base: Names of the base workloads, in order.
      held_out: Names of the held-out workloads, in order.
      workloads: What is defined.

    Returns:
      What is left of ``base`` and ``held_out``.

    Raises:
      DefinitionError: If a name is not scored, a variant is included without its base, or no base
        workload is left.
    """
    include, exclude = fields.names("include"), fields.names("exclude")
    scored = frozenset((*base, *held_out))
    for key, names in (("include", include), ("exclude", exclude)):
        _check_named(fields, key, names, scored, workloads)
    _check_included(fields, include, frozenset(held_out), workloads)
    chosen = frozenset(include) if "include" in fields.table else scored
    with_variants = {name for name in held_out if workloads[name].variant_of in chosen}
    kept = (chosen | with_variants) - frozenset(exclude)
    kept_base = tuple(name for name in base if name in kept)
    if not kept_base:
        key = "exclude" if exclude else "include"
        listed = short(", ".join(base), _LISTED)
        raise fields.error(key, f"no base workload is left of {listed}; keep one.")
    kept_variants = (name for name in held_out if name in kept)
    return kept_base, tuple(name for name in kept_variants if workloads[name].variant_of in kept)


def _check_named(
    fields: Fields,
    key: str,
    names: Iterable[str],
    scored: Collection[str],
    workloads: Mapping[str, BenchmarkWorkload],
) -> None:
    for name in names:
        if name not in scored:
            state = "defined, but not scored" if name in workloads else "unknown"
            hint = suggestion(name, scored)
            listed = short(", ".join(sorted(scored)), _LISTED)
            raise fields.error(key, f"{shown(name)} is {state};{hint} Scored: {listed}.")


def _check_included(
    fields: Fields,
    include: Collection[str],
    held_out: Collection[str],
    workloads: Mapping[str, BenchmarkWorkload],
) -> None:
    for name in include:
        origin = workloads[name].variant_of
        if name in held_out and origin not in include:
            raise fields.error(
                "include",
                f"{shown(name)} is a held-out variant of {shown(origin)}; include that, too.",
            )
