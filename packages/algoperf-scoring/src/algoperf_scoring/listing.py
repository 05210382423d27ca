"""What there is to score by: a table of benchmarks, and one benchmark in full."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from algoperf_scoring.benchmark import Benchmark, load_benchmark
from algoperf_scoring.definitions import available_benchmarks
from algoperf_scoring.errors import AlgoperfError
from algoperf_scoring.facts import BenchmarkWorkload
from algoperf_scoring.text_tables import Column, Table, printable, to_text

_UNKNOWN = "—"


def benchmark_table(names: Sequence[str | Path] = ()) -> tuple[Table, bool]:
    """Lists benchmarks, a row for each.

    Args:
      names: Names of installed benchmarks or paths of definitions; empty for all that are
        installed.

    Returns:
      The table, in which a definition that cannot be used has its error in place of the summary;
      and whether all can be used.
    """
    installed = available_benchmarks()
    rows, valid = [], True
    for name in names or installed:
        origin = installed.get(str(name), "file")
        try:
            rows.append(_benchmark_row(load_benchmark(name), origin))
        except AlgoperfError as error:
            rows.append((str(name), "", "", "", installed.get(str(name), ""), f"error: {error}"))
            valid = False
    columns = (
        Column("name", "left"),
        Column("base"),
        Column("held-out"),
        Column("rulesets", "left"),
        Column("from", "left"),
        Column("summary", "left"),
    )
    return Table("Benchmarks", columns, tuple(rows)), valid


def describe(benchmark: Benchmark) -> str:
    """Returns all that a benchmark says, as text: summary, scoring, rulesets and workloads."""
    scoring = benchmark.scoring
    grid = f" on {scoring.grid_points} points" if scoring.method == "grid" else ""
    lines = [
        printable(benchmark.name),
        *([printable(benchmark.summary)] if benchmark.summary else []),
        f"Scores: {scoring.method} integration{grid} up to {scoring.max_ratio:g} times the fastest; "
        f"a study's time is that of the {scoring.study_time.replace('_', ' ')}; times are in the "
        f"column {scoring.time_column!r}.",
    ]
    parts = ("\n".join(lines) + "\n", to_text(_rulesets(benchmark)), to_text(_workloads(benchmark)))
    return "\n".join(parts)


def _benchmark_row(benchmark: Benchmark, origin: str) -> tuple[str, ...]:
    rulesets = ", ".join(
        f"{name} {rules.studies}x{rules.trials}" for name, rules in benchmark.rulesets.items()
    )
    counts = (str(len(benchmark.base)), str(len(benchmark.held_out)))
    return (benchmark.name, *counts, rulesets, origin, benchmark.summary)


def _rulesets(benchmark: Benchmark) -> Table:
    rows = tuple(
        (
            name,
            str(rules.studies),
            str(rules.trials),
            f"{rules.budget_factor:g}",
            "yes" if rules.search_space else "no",
        )
        for name, rules in benchmark.rulesets.items()
    )
    heads = ("studies", "trials", "budget factor", "search space")
    columns = (Column("ruleset", "left"), *map(Column, heads))
    return Table("Rulesets", columns, rows)


def _workloads(benchmark: Benchmark) -> Table:
    others = [name for name in benchmark.workloads if name not in benchmark.scored]
    groups = (("base", benchmark.base), ("held-out", benchmark.held_out), ("not scored", others))
    rows = [
        _workload_row(benchmark.workload(name), role) for role, names in groups for name in names
    ]
    heads = ("validation target", "budget (s)", "step hint")
    columns = (
        Column("workload", "left"),
        Column("role", "left"),
        Column("variant of", "left"),
        Column("metric", "left"),
        Column("better", "left"),
        *map(Column, heads),
    )
    rules_after = frozenset(_ends(len(names) for _, names in groups))
    return Table("Workloads", columns, tuple(rows), rules_after=rules_after)


def _ends(lengths: Iterable[int]) -> list[int]:
    """Returns the index of the last row of every group but the last."""
    ends, total = [], 0
    for length in lengths:
        total += length
        ends.append(total - 1)
    return [end for end in ends if end < total - 1]


def _workload_row(workload: BenchmarkWorkload, role: str) -> tuple[str, ...]:
    return (
        workload.name,
        role,
        workload.variant_of or "",
        workload.metric,
        "lower" if workload.direction == "minimize" else "higher",
        _number(workload.validation_target),
        _number(workload.budget_s),
        _number(workload.step_hint),
    )


def _number(value: float | None) -> str:
    """Returns a number with all its digits, without a fraction that is zero."""
    if value is None or value != value:
        return _UNKNOWN
    return f"{value:,.0f}" if value == int(value) else repr(value)
