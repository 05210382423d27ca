"""How many times faster than a reference: the geometric mean of ratios over the base workloads.

Unlike the score, a speedup compares two submissions and depends on no third. It takes times to
target as they are: no limit on ratios, no held-out variants.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from algoperf_scoring.benchmark import Benchmark
from algoperf_scoring.bootstrap import Bootstrap, percentile_intervals
from algoperf_scoring.counting import columns_of, row_of
from algoperf_scoring.times import TimesToTarget

SpeedupDirection = Literal["published", "rules"]
Absent = Literal["refuse", "missed"]


@dataclass(frozen=True, eq=False)
class Speedups:
    """Speedups of submissions over a reference.

    Attributes:
      submissions: Names of the rows.
      base: Names of the base workloads.
      reference: Name of the submission they are compared with.
      ruleset: Name of the ruleset whose budgets stand for missed targets.
      direction: ``"rules"`` divides the reference's time by the submission's, so that above 1 is
        faster; ``"published"`` is the inverse, so that below 1 is.
      values: Geometric means over the base workloads, `(submissions,)`; NaN if refused.
      ratios: Ratios, `(submissions, base workloads)`; NaN where there is none.
      refusals: Why there is no speedup, by the name of the submission.
    """

    submissions: tuple[str, ...]
    base: tuple[str, ...]
    reference: str
    ruleset: str
    direction: SpeedupDirection
    values: NDArray[np.float64]
    ratios: NDArray[np.float64]
    refusals: Mapping[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Returns the speedups for JSON; what is refused is None."""
        ratios = [dict(zip(self.base, _plain(row), strict=True)) for row in self.ratios]
        return {
            "reference": self.reference,
            "ruleset": self.ruleset,
            "direction": self.direction,
            "speedups": dict(zip(self.submissions, _plain(self.values), strict=True)),
            "ratios": dict(zip(self.submissions, ratios, strict=True)),
            "refusals": dict(self.refusals),
        }


def speedups(
    times: TimesToTarget,
    benchmark: Benchmark,
    *,
    reference: str,
    ruleset: str = "external",
    direction: SpeedupDirection = "rules",
    absent: Absent = "refuse",
) -> Speedups:
    """Compares times to target with those of a reference.

    The ratio of times on each base workload, and their geometric mean. A missed target takes the
    budget and 1 s. The published code divides the submission's time by the reference's; the rules'
    text the other way round, which gives the inverse.

    Args:
      times: Times to target.
      benchmark: Gives base workloads and budgets.
      reference: Name of the submission to compare with.
      ruleset: Name of the ruleset whose budgets stand for missed targets.
      direction: ``"rules"``, above 1 is faster, or ``"published"``, below 1 is faster.
      absent: What to do if a submission or the reference has no measurements of a workload:
        ``"refuse"`` to compare, or take the target as ``"missed"``.

    Returns:
      Speedups of all submissions, also of the reference over itself. There is none where a time is
      0 s, which has no ratio.

    Raises:
      UnknownNameError: If there is no such reference, or no such ruleset.
      AlgoperfError: If a target was missed on a workload whose budget is unknown.
    """
    row = row_of(reference, times.submissions)
    raw = _base_times(times.seconds, times.workloads, benchmark)
    ratios = _ratios(_charged(raw, benchmark, ruleset, absent), row, direction)
    refusals = {
        name: _refusal(name, reference, absent, benchmark.base, raw[index], raw[row])
        for index, name in enumerate(times.submissions)
        if np.isnan(ratios[index]).any()
    }
    return Speedups(
        submissions=times.submissions,
        base=benchmark.base,
        reference=reference,
        ruleset=ruleset,
        direction=direction,
        values=_geometric_mean(ratios),
        ratios=ratios,
        refusals=MappingProxyType(refusals),
    )


def speedup_intervals(
    bootstrap: Bootstrap,
    benchmark: Benchmark,
    *,
    reference: str,
    ruleset: str = "external",
    direction: SpeedupDirection = "rules",
    absent: Absent = "refuse",
    confidence: float = 0.95,
) -> NDArray[np.float64]:
    """Returns percentile intervals of speedups, `(submissions, 2)`; NaN where they are refused.

    Submission and reference are both drawn anew in every resample. See `Bootstrap` for why an
    interval may lie to one side of the speedup.

    Args:
      bootstrap: The resamples.
      benchmark: As for `speedups`.
      reference: As for `speedups`.
      ruleset: As for `speedups`.
      direction: As for `speedups`.
      absent: As for `speedups`.
      confidence: Share of the resamples that lie inside, between 0 and 1.

    Raises:
      UnknownNameError: If there is no such reference, or no such ruleset.
      AlgoperfError: If a target was missed in a resample on a workload whose budget is unknown, or
        the confidence is not between 0 and 1.
    """
    row = row_of(reference, bootstrap.submissions)
    raw = _base_times(bootstrap.seconds, bootstrap.workloads, benchmark)
    ratios = _ratios(_charged(raw, benchmark, ruleset, absent), row, direction)
    return percentile_intervals(_geometric_mean(ratios), confidence)


def _base_times(
    seconds: ArrayLike, workloads: Sequence[str], benchmark: Benchmark
) -> NDArray[np.float64]:
    columns = columns_of(benchmark.base, workloads, benchmark)
    return np.asarray(seconds, dtype=np.float64)[..., columns]


def _charged(
    raw: NDArray[np.float64], benchmark: Benchmark, ruleset: str, absent: Absent
) -> NDArray[np.float64]:
    """Returns the times `(..., base workloads)` with the budget and 1 s for missed targets."""
    benchmark.ruleset(ruleset)
    times = np.where(np.isnan(raw), np.inf, raw) if absent == "missed" else raw.copy()
    for column, name in enumerate(benchmark.base):
        missed = np.isinf(times[..., column])
        if missed.any():
            times[..., column][missed] = benchmark.budget_s(name, ruleset) + 1.0
    return times


def _ratios(
    times: NDArray[np.float64], reference: int, direction: SpeedupDirection
) -> NDArray[np.float64]:
    """Returns ratios `(..., submissions, base workloads)`; NaN where there is none."""
    known = np.where(times > 0.0, times, np.nan)
    unit = known[..., reference : reference + 1, :]
    return known / unit if direction == "published" else unit / known


def _geometric_mean(ratios: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.exp(np.log(ratios).mean(axis=-1)))


def _refusal(
    name: str,
    reference: str,
    absent: Absent,
    base: Sequence[str],
    own: NDArray[np.float64],
    other: NDArray[np.float64],
) -> str:
    who = {name: own, reference: other}
    reasons = []
    for submission, times in who.items():
        if absent == "refuse" and (missing := _names(base, np.isnan(times))):
            reasons.append(f"{submission} has no measurements of {missing}")
        if zero := _names(base, times == 0.0):
            reasons.append(f"{submission} has a time of 0 s on {zero}")
    return "; ".join(reasons) + "."


def _names(base: Sequence[str], chosen: NDArray[np.bool_]) -> str:
    return ", ".join(name for name, one in zip(base, chosen, strict=True) if one)


def _plain(values: NDArray[np.float64]) -> list[float | None]:
    return [value if np.isfinite(value) else None for value in values.tolist()]
