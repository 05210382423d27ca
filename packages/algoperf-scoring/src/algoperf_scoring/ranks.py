"""Ranks of scores."""

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


def without_rounding(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns scores without the digits that the order of summation decides."""
    return np.round(scores, 12)
