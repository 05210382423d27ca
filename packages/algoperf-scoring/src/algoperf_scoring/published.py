"""The published results, to compare with: when each trial of the published logs met its target.

The tables in ``published_tables/`` are made from the logs of the AlgoPerf leaderboards
(mlcommons/submissions_algorithms, commit 12c8e4ea93dc41a1ff6abc3debba9accd8ac1e3a, Apache-2.0) by
``procedures/make_published_tables.py``. Scoring them gives exactly what scoring the logs gives.
"""

from typing import TYPE_CHECKING

from algoperf_scoring.benchmark import Benchmark, load_benchmark
from algoperf_scoring.errors import AlgoperfError
from algoperf_scoring.time_tables import long_table_from_text
from algoperf_scoring.trial_times import TrialTimes

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable


def published_fields() -> tuple[tuple[str, str], ...]:
    """Returns of which benchmarks and rulesets the published results are here."""
    return tuple(sorted(_tables()))


def published_times(
    field: Benchmark | str, ruleset: str, *, benchmark: Benchmark | None = None
) -> TrialTimes:
    """Reads the times of the published submissions.

    Args:
      field: The benchmark under which they competed, or its name.
      ruleset: Name of the tuning ruleset.
      benchmark: The benchmark that is to be scored; None for the one they competed under.

    Returns:
      The trials on the scored workloads of the benchmark, in their order; on a workload that the
      field did not train there are none.

    Raises:
      AlgoperfError: If there are no such results, or a scored workload has another target than the
        one that the published times are for.
    """
    name = field.name if isinstance(field, Benchmark) else field
    tables = _tables()
    if (name, ruleset) not in tables:
        listed = "; ".join(" ".join(known) for known in sorted(tables))
        raise AlgoperfError(
            f"no published results of {name!r} under the ruleset {ruleset!r} are here. There are: "
            f"{listed}. Name one of them to compare with."
        )
    competed = load_benchmark(name)
    wanted = benchmark if benchmark is not None else competed
    _check_targets(wanted, competed)
    path = tables[name, ruleset]
    read = long_table_from_text(path.read_text(encoding="utf-8"), path.name, benchmark=competed)
    rows = (row for row in read.trials.rows() if row.workload in wanted.scored)
    return TrialTimes.from_rows(rows, submissions=read.trials.submissions, workloads=wanted.scored)


def _tables() -> "dict[tuple[str, str], Traversable]":
    """Returns the tables ``<benchmark>-<ruleset>.csv`` by the two names."""
    from importlib.resources import files

    folder = files("algoperf_scoring").joinpath("published_tables")
    paths = {path.name.removesuffix(".csv"): path for path in folder.iterdir()}
    tables = {}
    for name, path in paths.items():
        benchmark, _, ruleset = name.rpartition("-")
        if path.name.endswith(".csv"):
            tables[benchmark, ruleset] = path
    return tables


def _check_targets(benchmark: Benchmark, competed: Benchmark) -> None:
    for name in benchmark.scored:
        if name not in competed.scored:
            continue
        own, theirs = benchmark.workload(name), competed.workload(name)
        if (own.metric, own.validation_target) != (theirs.metric, theirs.validation_target):
            raise AlgoperfError(
                f"benchmark {benchmark.name!r}: the target of {name!r} is {own.metric} "
                f"{own.validation_target}, but published times of {competed.name!r} are times to "
                f"{theirs.metric} {theirs.validation_target}; they cannot be compared. Leave the "
                "workload out, or keep its target."
            )
