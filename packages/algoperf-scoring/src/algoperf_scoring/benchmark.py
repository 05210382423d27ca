"""What a benchmark is: the object that the runner and the scorer both read.

A `Benchmark` is data. It comes from TOML (built in, installed by another package, or the user's
own), and a copy of it lies in every run directory.
"""

import os
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from algoperf_scoring.definitions import (
    Definition,
    available_benchmarks,
    extend,
    find_definition,
    installed_definition,
)
from algoperf_scoring.errors import AlgoperfError, DefinitionError
from algoperf_scoring.facts import BenchmarkWorkload, Ruleset, ScoringRules
from algoperf_scoring.fields import Fields, shown
from algoperf_scoring.names import unknown_name
from algoperf_scoring.schema import (
    TOP_LEVEL,
    check_scored,
    read_chosen,
    read_rulesets,
    read_scored,
    read_scoring,
    read_workloads,
)
from algoperf_scoring.toml_text import toml_document

__all__ = [
    "Benchmark",
    "BenchmarkWorkload",
    "Ruleset",
    "ScoringRules",
    "available_benchmarks",
    "load_benchmark",
]

_LONGEST_CHAIN = 32


@dataclass(frozen=True)
class Benchmark:
    """A set of workloads with targets, and the rules by which submissions are compared.

    Attributes:
      name: Name of the definition, for example ``"algoperf-v0.5"``.
      summary: One sentence for people.
      workloads: Every workload the definition knows, by name, scored or not.
      base: Names of the workloads that make up the score.
      held_out: Names of the variants that a submission must reach, too, for their base to count.
      rulesets: The tuning rulesets, by name.
      scoring: How times become a score.

    Raises:
      DefinitionError: If ``base`` is empty, or ``base`` and ``held_out`` do not name defined
        workloads and variants of them.
    """

    name: str
    summary: str
    workloads: Mapping[str, BenchmarkWorkload]
    base: tuple[str, ...]
    held_out: tuple[str, ...]
    rulesets: Mapping[str, Ruleset]
    scoring: ScoringRules

    def __post_init__(self) -> None:
        check_scored(self._fields({}), self.base, self.held_out, self.workloads)

    @property
    def scored(self) -> tuple[str, ...]:
        """Names of the workloads whose times are used: base, then held-out."""
        return self.base + self.held_out

    def workload(self, name: str) -> BenchmarkWorkload:
        """Returns the workload of that name.

        Raises:
          UnknownNameError: If the benchmark does not know it.
        """
        if name not in self.workloads:
            raise unknown_name("workload", name, self.workloads)
        return self.workloads[name]

    def ruleset(self, name: str) -> Ruleset:
        """Returns the ruleset of that name.

        Raises:
          UnknownNameError: If the benchmark does not have it.
        """
        if name not in self.rulesets:
            raise unknown_name("ruleset", name, self.rulesets)
        return self.rulesets[name]

    def budget_s(self, workload: str, ruleset: str) -> float:
        """Returns the run time a trial may use, in seconds.

        Args:
          workload: Name of the workload.
          ruleset: Name of the ruleset, whose factor multiplies the workload's budget.

        Raises:
          AlgoperfError: If a name is unknown, or the budget of the workload is.
        """
        budget = self.workload(workload).budget_s
        if budget is None:
            raise AlgoperfError(
                f"benchmark {self.name!r}: workloads.{workload}.budget_s is unknown; write a "
                f"definition that extends {self.name!r} and gives it."
            )
        return budget * self.ruleset(ruleset).budget_factor

    def base_of(self, workload: str) -> str:
        """Returns the name of the workload of which this is a variant, or its own.

        Raises:
          UnknownNameError: If the benchmark does not know it.
        """
        return self.workload(workload).variant_of or workload

    def subset(
        self, *, include: Collection[str] = (), exclude: Collection[str] = ()
    ) -> "Benchmark":
        """Returns the benchmark with fewer scored workloads; all stay defined.

        Args:
          include: The scored workloads to keep, each with its held-out variants; empty for all.
          exclude: The scored workloads to drop from those, each with its held-out variants.

        Raises:
          DefinitionError: If a name is not scored, a variant is included without its base, or no
            base workload is left; suggests the nearest name.
        """
        given = {"include": include, "exclude": exclude}
        lists = {
            key: names if isinstance(names, str) else list(names)
            for key, names in given.items()
            if names
        }
        base, held_out = read_chosen(self._fields(lists), self.base, self.held_out, self.workloads)
        return replace(self, base=base, held_out=held_out)

    def with_scoring(self, **changes: Any) -> "Benchmark":
        """Returns the benchmark with other scoring rules.

        Args:
          **changes: Fields of `ScoringRules`, for example ``max_ratio=2.0``.

        Raises:
          DefinitionError: If a field is unknown or its value is not allowed.
        """
        fields = self._fields({"scoring": {**asdict(self.scoring), **changes}})
        return replace(self, scoring=read_scoring(fields.inner("scoring")))

    def _fields(self, table: Mapping[str, Any]) -> Fields:
        return Fields(f"benchmark {self.name!r}", "", table)

    def to_toml(self) -> str:
        """Returns a definition that needs no other; reading it gives an equal benchmark.

        Raises:
          DefinitionError: If a workload has no target, as in a benchmark made from times alone.
        """
        return toml_document(self)

    @classmethod
    def from_toml(cls, text: str, *, source: str = "<string>", trusted: bool = True) -> "Benchmark":
        """Reads a definition.

        Args:
          text: The TOML.
          source: Where it came from, for messages; a relative path in ``extends`` starts in its
            folder.
          trusted: Whether ``extends`` may name a file. False for text from somebody else: then it
            may only name an installed benchmark.

        Raises:
          DefinitionError: If a field is missing, unknown or wrong; names file and field.
          UnknownNameError: If ``extends`` names a benchmark that is not installed.
        """
        return _build(Definition(source, text, Path(source).parent, trusted))


def load_benchmark(name_or_path: str | Path, *, trusted: bool = True) -> Benchmark:
    """Reads a benchmark by its name or from a file.

    Args:
      name_or_path: A path that ends in ``.toml`` or names a file, else the name of an installed
        benchmark (`available_benchmarks`). Built-in names go first.
      trusted: Whether ``extends`` in a file may name a file. False for a file from somebody else:
        then it may only name an installed benchmark.

    Raises:
      DefinitionError: If the definition cannot be read or is wrong; names file and field.
      UnknownNameError: If no such benchmark is installed; suggests the nearest.
    """
    return _build(find_definition(name_or_path, trusted=trusted))


def _build(definition: Definition) -> Benchmark:
    return _from_table(definition.source, _resolve(definition, ()))


def _resolve(definition: Definition, chain: tuple[str, ...]) -> dict[str, Any]:
    """Returns the table of a definition with all that it extends, includes and excludes."""
    own = definition.table()
    fields = Fields(definition.source, "", own)
    fields.check_keys(TOP_LEVEL)
    table = {key: own[key] for key in own if key not in ("extends", "include", "exclude")}
    if "extends" in own:
        table = extend(_inherited(definition, fields, chain), table)
    if "include" in own or "exclude" in own:
        merged = Fields(definition.source, "", table)
        workloads = read_workloads(merged.inner("workloads"))
        base, held_out = read_chosen(fields, *read_scored(merged, workloads), workloads)
        table |= {"base": list(base), "held_out": list(held_out)}
    return table


def _inherited(definition: Definition, fields: Fields, chain: tuple[str, ...]) -> dict[str, Any]:
    chain = (*chain, definition.identity)
    if len(chain) > _LONGEST_CHAIN:
        raise fields.error(
            "extends", f"more than {_LONGEST_CHAIN} definitions in a row; merge some."
        )
    parent = _parent(definition, fields)
    if parent.identity in chain:
        cycle = " -> ".join((*chain[chain.index(parent.identity) :], parent.identity))
        raise DefinitionError(f"{parent.source}: extends: goes round in a circle: {cycle}.")
    table = _resolve(parent, chain)
    _from_table(parent.source, table)
    return {key: value for key, value in table.items() if key not in ("name", "summary")}


def _parent(definition: Definition, fields: Fields) -> Definition:
    name = fields.text("extends")
    if definition.trusted:
        return find_definition(name, definition.folder)
    if name.endswith(".toml") or os.path.basename(name) != name:
        raise fields.error(
            "extends",
            f"a definition among logs may only extend an installed benchmark, by its name; found "
            f"{shown(name)}. Put a definition there that extends nothing.",
        )
    return installed_definition(name)


def _from_table(source: str, table: Mapping[str, Any]) -> Benchmark:
    fields = Fields(source, "", table)
    name = fields.text("name")
    workloads = read_workloads(fields.inner("workloads"))
    base, held_out = read_scored(fields, workloads)
    return Benchmark(
        name=name,
        summary=fields.text("summary") if table.get("summary", "") != "" else "",
        workloads=workloads,
        base=base,
        held_out=held_out,
        rulesets=read_rulesets(fields.inner("rulesets")),
        scoring=read_scoring(fields.inner("scoring")),
    )
