"""The leaderboard: from a log tree to scores, in one call."""

import math
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from algoperf_scoring.benchmark import Benchmark, load_benchmark
from algoperf_scoring.definitions import available_benchmarks
from algoperf_scoring.errors import AlgoperfError
from algoperf_scoring.facts import Method
from algoperf_scoring.logs import read_benchmark, read_logs
from algoperf_scoring.profiles import benchmark_score, performance_ratios
from algoperf_scoring.times import TimesToTarget, times_to_target


@dataclass(frozen=True, eq=False)
class Leaderboard:
    """Scores of a group of submissions; they are relative to each other.

    Attributes:
      benchmark: The definition that rules.
      ruleset: Name of the tuning ruleset.
      method: How profiles were integrated.
      submissions: Names by falling score, then by name. All rows below are in this order.
      scores: Benchmark scores between 0 and 1, `(submissions,)`.
      times: Times to target of all scored workloads.
      ratios: Ratios to the fastest, `(submissions, base workloads)`; infinity where a workload
        does not count.
      notes: What was left out or looked odd in the logs.
    """

    benchmark: Benchmark
    ruleset: str
    method: Method
    submissions: tuple[str, ...]
    scores: NDArray[np.float64]
    times: TimesToTarget
    ratios: NDArray[np.float64]
    notes: tuple[str, ...]

    @property
    def ranks(self) -> tuple[int, ...]:
        """Ranks from 1; equal scores share the better one."""
        return tuple(1 + int((self.scores > score).sum()) for score in self.scores)

    def to_dict(self) -> dict[str, Any]:
        """Returns the leaderboard for JSON; what is infinite or missing is None."""
        from algoperf_scoring import __version__

        base = self.benchmark.base
        return {
            "version": __version__,
            "benchmark": self.benchmark.name,
            "ruleset": self.ruleset,
            "method": self.method,
            "scoring": asdict(self.benchmark.scoring),
            "base": list(base),
            "held_out": list(self.benchmark.held_out),
            "scores": dict(zip(self.submissions, self.scores.tolist(), strict=True)),
            "ranks": dict(zip(self.submissions, self.ranks, strict=True)),
            "times": self._by_name(self.times.seconds, self.times.workloads),
            "ratios": self._by_name(self.ratios, base),
            "trials": self._by_name(self.times.trials, self.times.workloads),
            "trials_reached": self._by_name(self.times.trials_reached, self.times.workloads),
            "notes": list(self.notes),
        }

    def _by_name(
        self, values: NDArray[Any], workloads: tuple[str, ...]
    ) -> dict[str, dict[str, float | None]]:
        return {
            submission: {
                workload: value if math.isfinite(value) else None
                for workload, value in zip(workloads, row, strict=True)
            }
            for submission, row in zip(self.submissions, values.tolist(), strict=True)
        }


def score_logs(
    root: Path | str,
    benchmark: Benchmark | str | Path | None = None,
    ruleset: str = "external",
    method: Method | None = None,
    *,
    include: Collection[str] = (),
    exclude: Collection[str] = (),
) -> Leaderboard:
    """Reads a log tree and scores the submissions in it against each other.

    Args:
      root: A folder of submissions, or the folder of one submission.
      benchmark: The definition, its name or its path; None for the copy that run directories
        carry.
      ruleset: Name of the tuning ruleset; only expectations about the number of studies and
        trials depend on it.
      method: How to integrate profiles; None for `benchmark.scoring.method`.
      include: Submissions to score; empty for all.
      exclude: Submissions to leave out; the others are then scored without them.

    Raises:
      AlgoperfError: If logs, benchmark or names cannot be used; the message says what to do.
    """
    chosen = _chosen_benchmark(root, benchmark)
    logs = read_logs(root, chosen, ruleset=ruleset, include=include, exclude=exclude)
    times = times_to_target(logs, chosen)
    ratios = performance_ratios(times.seconds, times.workloads, chosen)
    rules = chosen.scoring
    method = method or rules.method
    scores = benchmark_score(
        ratios, max_ratio=rules.max_ratio, method=method, grid_points=rules.grid_points
    )
    order = sorted(range(len(scores)), key=lambda row: (-scores[row], times.submissions[row]))
    ordered = times.take(order)
    return Leaderboard(
        benchmark=chosen,
        ruleset=ruleset,
        method=method,
        submissions=ordered.submissions,
        scores=scores[order],
        times=ordered,
        ratios=ratios[order],
        notes=logs.notes,
    )


def _chosen_benchmark(root: Path | str, benchmark: Benchmark | str | Path | None) -> Benchmark:
    if isinstance(benchmark, Benchmark):
        return benchmark
    if benchmark is not None:
        return load_benchmark(benchmark)
    found = read_benchmark(root)
    if found is None:
        known = ", ".join(available_benchmarks())
        raise AlgoperfError(
            f"{root}: these logs carry no benchmark.toml; say which benchmark they belong to "
            f"(--benchmark). Available: {known}, or the path of a .toml file."
        )
    return found
