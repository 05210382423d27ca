"""What a benchmark is: the object that the runner and the scorer both read.

A `Benchmark` is data. It comes from TOML (built in, installed by another package, or the user's
own), and a copy of it lies in every run directory.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from algoperf_scoring.definitions import (
    Definition,
    available_benchmarks,
    extend,
    find_definition,
)
from algoperf_scoring.errors import AlgoperfError, DefinitionError
from algoperf_scoring.facts import BenchmarkWorkload, Ruleset, ScoringRules
from algoperf_scoring.names import unknown_name
from algoperf_scoring.schema import (
    TOP_LEVEL,
    Fields,
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
    """

    name: str
    summary: str
    workloads: Mapping[str, BenchmarkWorkload]
    base: tuple[str, ...]
    held_out: tuple[str, ...]
    rulesets: Mapping[str, Ruleset]
    scoring: ScoringRules

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

    def to_toml(self) -> str:
        """Returns a definition that needs no other; reading it gives an equal benchmark."""
        return toml_document(self)

    @classmethod
    def from_toml(cls, text: str, *, source: str = "<string>") -> "Benchmark":
        """Reads a definition.

        Args:
          text: The TOML.
          source: Where it came from, for messages; a relative path in ``extends`` starts in its
            folder.

        Raises:
          DefinitionError: If a field is missing, unknown or wrong; names file and field.
          UnknownNameError: If ``extends`` names a benchmark that is not installed.
        """
        return _build(Definition(source, text, Path(source).parent))


def load_benchmark(name_or_path: str | Path) -> Benchmark:
    """Reads a benchmark by its name or from a file.

    Args:
      name_or_path: A path that ends in ``.toml`` or names a file, else the name of an installed
        benchmark (`available_benchmarks`).

    Raises:
      DefinitionError: If the definition cannot be read or is wrong; names file and field.
      UnknownNameError: If no such benchmark is installed; suggests the nearest.
    """
    return _build(find_definition(name_or_path))


def _build(definition: Definition) -> Benchmark:
    return _from_table(definition.source, _resolve(definition, ()))


def _resolve(definition: Definition, chain: tuple[str, ...]) -> dict[str, Any]:
    if definition.identity in chain:
        cycle = " -> ".join((*chain[chain.index(definition.identity) :], definition.identity))
        raise DefinitionError(f"{definition.source}: extends: goes round in a circle: {cycle}.")
    own = definition.table()
    fields = Fields(definition.source, "", own)
    fields.check_keys(TOP_LEVEL)
    if "extends" not in own:
        return own
    parent = find_definition(fields.text("extends"), definition.folder)
    table = _resolve(parent, (*chain, definition.identity))
    _from_table(parent.source, table)
    inherited = {key: value for key, value in table.items() if key not in ("name", "summary")}
    changes = {key: value for key, value in own.items() if key != "extends"}
    return extend(inherited, changes)


def _from_table(source: str, table: Mapping[str, Any]) -> Benchmark:
    fields = Fields(source, "", table)
    workloads = read_workloads(fields.inner("workloads"))
    base, held_out = read_scored(fields, workloads)
    return Benchmark(
        name=fields.text("name"),
        summary=fields.text("summary") if table.get("summary") else "",
        workloads=workloads,
        base=base,
        held_out=held_out,
        rulesets=read_rulesets(fields.inner("rulesets")),
        scoring=read_scoring(fields.inner("scoring")),
    )
