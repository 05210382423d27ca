"""Performance ratios, profiles and benchmark scores of any times: functions over arrays.

Performance profiles are those of Dolan and Moré (2002), the score is the mean height of a profile
(Dahl et al. 2023, section 4.5). Rows are submissions (solvers), columns are workloads (problems);
any number of axes may stand before them, and each of their entries is a table of its own.
What a benchmark's rules leave of the times is in `counting.py`.
"""

from typing import get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from algoperf_scoring.errors import AlgoperfError
from algoperf_scoring.facts import Method


def performance_ratios(times: ArrayLike, *, reference: int | None = None) -> NDArray[np.float64]:
    """Divides times by the fastest time on each workload.

    Args:
      times: Positive numbers `(..., submissions, workloads)`, smaller is better; infinity for a
        workload that was not solved, NaN for one that was not tried.
      reference: Row of the submission to divide by, in place of the fastest. On workloads that it
        did not solve, whoever did has ratio 0.

    Returns:
      Ratios of the same shape: 1 for the fastest, infinity for what was not solved. Ratios are
      times in another unit: every function here takes them as well.

    Raises:
      AlgoperfError: If there are not two axes, or a time is negative.
    """
    seconds = _table(times)
    if reference is not None and not 0 <= reference < max(1, seconds.shape[-2]):
        raise AlgoperfError(
            f"reference: expected a row from 0 to {seconds.shape[-2] - 1}, found {reference}."
        )
    if reference is None:
        unit = seconds.min(axis=-2, keepdims=True, initial=np.inf)
    else:
        unit = seconds[..., reference : reference + 1, :] if seconds.shape[-2] else seconds
    unit = np.broadcast_to(unit, seconds.shape)
    ratios = np.full(seconds.shape, np.inf)
    solved = np.isfinite(seconds)
    ratios[solved & (seconds == unit)] = 1.0
    with np.errstate(over="ignore"):
        np.divide(seconds, unit, out=ratios, where=solved & (unit > 0.0))
    return ratios


def performance_profile(
    times: ArrayLike, taus: ArrayLike, *, reference: int | None = None
) -> NDArray[np.float64]:
    """Computes performance profiles.

    Args:
      times: As for `performance_ratios`, `(..., submissions, workloads)`.
      taus: Multiples of the fastest time at which to evaluate the profiles, `(taus,)`.
      reference: As for `performance_ratios`.

    Returns:
      Share of the workloads that a submission solved within tau times the fastest,
      `(..., submissions, taus)`. All workloads are counted, also those that nobody solved.
    """
    ratios = performance_ratios(times, reference=reference)
    within = ratios[..., np.newaxis] <= np.asarray(taus, dtype=np.float64)
    return np.asarray(within.mean(axis=-2))


def benchmark_score(
    times: ArrayLike,
    *,
    max_ratio: float = 4.0,
    method: Method = "exact",
    grid_points: int = 100,
    reference: int | None = None,
) -> NDArray[np.float64]:
    """Computes benchmark scores: the mean height of the profile from 1 to `max_ratio`.

    Args:
      times: As for `performance_ratios`, `(..., submissions, workloads)`.
      max_ratio: Upper end of the profile.
      method: ``"exact"`` integrates the step function; ``"grid"`` is the trapezoid rule on evenly
        spaced points, as on the published leaderboards. They differ by at most
        ``1 / (2 * (grid_points - 1))``.
      grid_points: Number of points of the grid.
      reference: As for `performance_ratios`.

    Returns:
      Scores between 0 and 1, `(..., submissions)`.
    """
    if method not in get_args(Method):
        raise AlgoperfError(f"method: expected 'grid' or 'exact', found {method!r}.")
    ratios = performance_ratios(times, reference=reference)
    if method == "exact":
        credit = (max_ratio - np.clip(ratios, 1.0, max_ratio)) / (max_ratio - 1.0)
    else:
        credit = _trapezoid_credit(ratios, np.linspace(1.0, max_ratio, grid_points))
    # Sorted, so that rounding does not tell apart equal credits on other workloads.
    return np.asarray(np.sort(credit, axis=-1).mean(axis=-1))


def _trapezoid_credit(
    ratios: NDArray[np.float64], grid: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Returns the area under each workload's own step, by the trapezoid rule on ``grid``."""
    # The step is up from the first grid point that is not below the ratio.
    first = np.searchsorted(grid, ratios)
    intervals = len(grid) - 1
    return np.where(first == 0, 1.0, np.maximum(intervals + 0.5 - first, 0.0) / intervals)


def _table(times: ArrayLike) -> NDArray[np.float64]:
    seconds = np.asarray(times, dtype=np.float64)
    if seconds.ndim < 2:
        raise AlgoperfError(
            f"times: expected rows of submissions and columns of workloads, found the shape "
            f"{seconds.shape}."
        )
    if (seconds < 0.0).any():
        raise AlgoperfError(
            f"times: expected numbers of at least 0, found {seconds[seconds < 0.0][0]}."
        )
    return np.where(np.isnan(seconds), np.inf, seconds)
