"""Ranks of scores."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray


def shared_ranks(scores: ArrayLike) -> NDArray[np.int64]:
    """Returns ranks from 1, the highest score first; equal scores share the better one.

    Args:
      scores: `(..., submissions)`. Differences below 1e-12, which come from the order of summation,
        count as none.

    Returns:
      Ranks of the same shape.
    """
    table = without_rounding(np.asarray(scores, dtype=np.float64))
    ranks = np.ones(table.shape, dtype=np.int64)
    for column in range(table.shape[-1]):
        ranks += table[..., column, np.newaxis] > table
    return ranks


def rank_range(probabilities: Sequence[float], confidence: float) -> tuple[int, int]:
    """Returns the ranks between which a submission is in at least that share of the resamples.

    Args:
      probabilities: Of each rank, the first first.
      confidence: As for intervals of scores; what is cut off is cut off at both ends alike.
    """
    tail = (1.0 - confidence) / 2.0
    below = np.cumsum(probabilities)
    low = int(np.searchsorted(below, tail, side="right"))
    high = int(np.searchsorted(below, 1.0 - tail - 1e-9))
    last = len(probabilities) - 1
    return min(low, last) + 1, min(high, last) + 1


def without_rounding(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns scores without the digits that the order of summation decides."""
    return np.round(scores, 12)
