"""Performance profiles and benchmark scores: pure functions over arrays.

Times become ratios to the fastest submission, ratios become a profile, the area under the
profile is the score (Dahl et al. 2023, section 4.5).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from algoperf_scoring.benchmark import Benchmark
from algoperf_scoring.facts import Method


def performance_ratios(
    seconds: ArrayLike, workloads: Sequence[str], benchmark: Benchmark
) -> NDArray[np.float64]:
    """Computes each submission's ratio to the fastest one on every base workload.

    The order of the steps matters (docs/protocol.md). A held-out time does not count if the base
    was missed; then, on every workload, a time does not count if it is more than `max_ratio`
    times the fastest; then a base time does not count if that of its held-out variant does not;
    then base times are divided by the fastest that is left.

    Args:
      seconds: Times to target, `(submissions, workloads)`; infinity for missed, NaN for absent.
      workloads: Names of the columns; all scored workloads of the benchmark must be there.
      benchmark: Gives base and held-out workloads and `scoring.max_ratio`.

    Returns:
      Ratios `(submissions, base workloads)` in the order of `benchmark.base`; 1 for the fastest,
      infinity for what does not count.
    """
    all_times = np.asarray(seconds, dtype=np.float64)
    columns = [list(workloads).index(name) for name in benchmark.scored]
    times = np.where(np.isnan(all_times), np.inf, all_times)[:, columns]
    n_base = len(benchmark.base)
    bases = [benchmark.base.index(benchmark.base_of(name)) for name in benchmark.held_out]

    times[:, n_base:][np.isinf(times[:, bases])] = np.inf
    times[times > benchmark.scoring.max_ratio * _fastest(times)] = np.inf
    for column, base in enumerate(bases, start=n_base):
        times[np.isinf(times[:, column]), base] = np.inf
    return _ratios(times[:, :n_base])


def _fastest(times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the smallest time of each column, `(1, workloads)`."""
    return np.asarray(times.min(axis=0, keepdims=True, initial=np.inf))


def _ratios(times: NDArray[np.float64]) -> NDArray[np.float64]:
    fastest = np.broadcast_to(_fastest(times), times.shape)
    ratios = np.full(times.shape, np.inf)
    ratios[np.isfinite(times) & (times == fastest)] = 1.0
    divisible = np.isfinite(times) & (fastest > 0.0)
    np.divide(times, fastest, out=ratios, where=divisible)
    return ratios


def performance_profile(ratios: ArrayLike, taus: ArrayLike) -> NDArray[np.float64]:
    """Computes performance profiles.

    Args:
      ratios: Ratios to the fastest, `(submissions, base workloads)`; infinity and NaN never
        count.
      taus: Points at which to evaluate the profiles, `(taus,)`.

    Returns:
      Fraction of the base workloads whose ratio is at most tau, `(submissions, taus)`.
    """
    values = np.asarray(ratios, dtype=np.float64)[:, :, np.newaxis]
    return np.asarray((values <= np.asarray(taus, dtype=np.float64)).mean(axis=1))


def benchmark_score(
    ratios: ArrayLike, *, max_ratio: float = 4.0, method: Method = "exact", grid_points: int = 100
) -> NDArray[np.float64]:
    """Computes benchmark scores: the mean height of the profile between 1 and `max_ratio`.

    Args:
      ratios: Ratios to the fastest, `(submissions, base workloads)`; infinity and NaN never
        count.
      max_ratio: Upper end of the profile.
      method: ``"exact"`` integrates the step function; ``"grid"`` applies the trapezoid rule to
        evenly spaced points, as published leaderboards do. They differ by at most
        ``1 / (2 * (grid_points - 1))``.
      grid_points: Number of points of the grid.

    Returns:
      Scores between 0 and 1, `(submissions,)`.
    """
    if method == "exact":
        return _exact_score(np.asarray(ratios, dtype=np.float64), max_ratio)
    profile = performance_profile(ratios, np.linspace(1.0, max_ratio, grid_points))
    return np.asarray((profile[:, 1:] + profile[:, :-1]).mean(axis=1) / 2)


def _exact_score(ratios: NDArray[np.float64], max_ratio: float) -> NDArray[np.float64]:
    counts = ratios <= max_ratio
    credit = (max_ratio - np.clip(np.where(counts, ratios, max_ratio), 1.0, None)) / (max_ratio - 1)
    return np.asarray(credit.mean(axis=1))
