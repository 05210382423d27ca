"""Which times count: held-out variants and the limit on ratios (docs/protocol.md).

The order of the steps is part of the rules: a held-out time does not count if the base was missed;
then, on every workload, a time does not count if it is more than `max_ratio` times the fastest;
then a base time does not count if that of its held-out variant does not.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from algoperf_scoring.benchmark import Benchmark
from algoperf_scoring.errors import AlgoperfError
from algoperf_scoring.names import unknown_name
from algoperf_scoring.profiles import benchmark_score, performance_ratios

Cause = Literal["counts", "absent", "missed", "too_slow"]


class Verdict(NamedTuple):
    """Whether a submission's time on a base workload counts, and if not, why.

    Attributes:
      cause: ``"counts"``; ``"absent"``, without measurements; ``"missed"``, the target was not
        reached; ``"too_slow"``, beyond `max_ratio` times the fastest.
      workload: Where that happened: the base workload, or its held-out variant.
      ratio: Time over the fastest, for ``"counts"`` and ``"too_slow"``; else NaN.
    """

    cause: Cause
    workload: str
    ratio: float

    @property
    def counts(self) -> bool:
        """Whether the time counts."""
        return self.cause == "counts"


def counted_times(
    seconds: ArrayLike, workloads: Sequence[str], benchmark: Benchmark
) -> NDArray[np.float64]:
    """Returns the times on base workloads that count.

    Args:
      seconds: Times to target, `(..., submissions, workloads)`; infinity for missed, NaN for absent.
      workloads: Names of the columns; all scored workloads of the benchmark must be there.
      benchmark: Gives base and held-out workloads and `scoring.max_ratio`.

    Returns:
      Times `(..., submissions, base workloads)` in the order of `benchmark.base`; infinity for what
      does not count. Their `performance_ratios` are those of the leaderboard.
    """
    times, n_base = _scored(seconds, workloads, benchmark), len(benchmark.base)
    bases = _base_columns(benchmark)
    held_out = times[..., n_base:]
    held_out[np.isinf(times[..., bases])] = np.inf
    times[times > _limit(times, benchmark)] = np.inf
    for column, base in enumerate(bases, start=n_base):
        times[..., base][np.isinf(times[..., column])] = np.inf
    return times[..., :n_base]


def scores_by_rules(
    seconds: ArrayLike,
    workloads: Sequence[str],
    benchmark: Benchmark,
    *,
    reference: int | None = None,
) -> NDArray[np.float64]:
    """Returns the scores of times under a benchmark's rules, `(..., submissions)`.

    Args:
      seconds: Times to target, `(..., submissions, workloads)`, as for `counted_times`.
      workloads: Names of the columns.
      benchmark: Gives the rules.
      reference: Row of the submission whose times are the unit, in place of the fastest.
    """
    rules = benchmark.scoring
    return benchmark_score(
        counted_times(seconds, workloads, benchmark),
        max_ratio=rules.max_ratio,
        method=rules.method,
        grid_points=rules.grid_points,
        reference=reference,
    )


def columns_of(names: Sequence[str], workloads: Sequence[str], benchmark: Benchmark) -> list[int]:
    """Returns where workloads of a benchmark are among columns.

    Args:
      names: The workloads to find.
      workloads: Names of the columns.
      benchmark: For the message.

    Raises:
      AlgoperfError: If a workload has no column.
    """
    position = {name: column for column, name in enumerate(workloads)}
    missing = [name for name in names if name not in position]
    if missing:
        raise AlgoperfError(
            f"the times have no column {missing[0]!r}, which the benchmark {benchmark.name!r} "
            "scores; add it, or score a subset of the benchmark."
        )
    return [position[name] for name in names]


def row_of(reference: str, submissions: Sequence[str]) -> int:
    """Returns the row of the submission that others are compared with.

    Raises:
      UnknownNameError: If no submission has that name.
    """
    if reference not in submissions:
        raise unknown_name("reference submission", reference, submissions)
    return list(submissions).index(reference)


def verdicts(
    seconds: ArrayLike, workloads: Sequence[str], benchmark: Benchmark
) -> tuple[tuple[Verdict, ...], ...]:
    """Says for every submission and base workload whether the time counts, and why not.

    Args:
      seconds: Times to target, `(submissions, workloads)`, as for `counted_times`.
      workloads: Names of the columns.
      benchmark: Gives the rules.

    Returns:
      A row per submission, in each a verdict per base workload. The base's own failure is named
      before that of its variants.
    """
    raw = np.asarray(seconds, dtype=np.float64)
    columns = columns_of(benchmark.scored, workloads, benchmark)
    absent = np.isnan(raw[:, columns])
    times, n_base = _scored(raw, workloads, benchmark), len(benchmark.base)
    bases = _base_columns(benchmark)
    times[:, n_base:][np.isinf(times[:, bases])] = np.inf
    fastest = _fastest(times)
    with np.errstate(all="ignore"):
        over = np.where(fastest > 0.0, times / fastest, np.inf)
    over[np.isfinite(times) & (times == fastest)] = 1.0
    slow = np.isfinite(times) & (times > _limit(times, benchmark))
    own_ratios = performance_ratios(counted_times(raw, workloads, benchmark))

    def cause(row: int, column: int) -> Verdict:
        name = benchmark.scored[column]
        if absent[row, column]:
            return Verdict("absent", name, np.nan)
        if slow[row, column]:
            return Verdict("too_slow", name, float(over[row, column]))
        if np.isinf(times[row, column]):
            return Verdict("missed", name, np.nan)
        return Verdict("counts", name, float(over[row, column]))

    def verdict(row: int, base: int) -> Verdict:
        variants = [n_base + index for index, origin in enumerate(bases) if origin == base]
        for column in (base, *variants):
            found = cause(row, column)
            if not found.counts:
                return found
        return Verdict("counts", benchmark.base[base], float(own_ratios[row, base]))

    return tuple(tuple(verdict(row, base) for base in range(n_base)) for row in range(len(times)))


def _scored(
    seconds: ArrayLike, workloads: Sequence[str], benchmark: Benchmark
) -> NDArray[np.float64]:
    """Returns a copy with the scored columns in their order, infinity for what is absent."""
    columns = columns_of(benchmark.scored, workloads, benchmark)
    times = np.asarray(seconds, dtype=np.float64)[..., columns]
    times[np.isnan(times)] = np.inf
    return times


def _base_columns(benchmark: Benchmark) -> list[int]:
    """Returns the column of the base of each held-out workload."""
    return [benchmark.base.index(benchmark.base_of(name)) for name in benchmark.held_out]


def _limit(times: NDArray[np.float64], benchmark: Benchmark) -> NDArray[np.float64]:
    """Returns the largest time of each column that counts, `(..., 1, workloads)`."""
    with np.errstate(over="ignore"):
        return benchmark.scoring.max_ratio * _fastest(times)


def _fastest(times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the smallest time of each column, `(..., 1, workloads)`."""
    return np.asarray(times.min(axis=-2, keepdims=True, initial=np.inf))
