"""Average precision: how well scores rank the positives of a task before its negatives."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def average_precision(scores: ArrayLike, positive: ArrayLike) -> float:
    """Compute the average precision of one ranking.

    With `P_n` and `R_n` the precision and recall when everything that scores at least the n-th
    highest *distinct* score is taken,

        AP = sum over n of (R_n - R_{n-1}) P_n,    R_0 = 0.

    Examples of equal score enter together, so that their order does not matter. The result is that
    of scikit-learn's `average_precision_score`; there is no interpolation.

    Args:
        scores: `(examples,)`, higher for what is more likely positive.
        positive: `(examples,)`, True or 1 for positives.

    Returns:
        A value in (0, 1]; NaN if there is no positive or if a score is NaN.

    Raises:
        ValueError: If the shapes differ or are not of one dimension.

    Example:
        >>> average_precision([0.9, 0.8, 0.3], [1, 0, 1])
        0.8333333333333333
    """
    ranked, is_positive = np.asarray(scores), np.asarray(positive).astype(bool)
    if ranked.ndim != 1:
        raise ValueError(f"scores has shape {ranked.shape}, expected (examples,)")
    if is_positive.shape != ranked.shape:
        raise ValueError(f"positive has shape {is_positive.shape}, expected {ranked.shape}")
    if not is_positive.any() or np.isnan(ranked).any():
        return float("nan")
    order = np.argsort(ranked)[::-1]
    return _area(ranked[order], is_positive[order])


def average_precision_by_task(
    scores: NDArray[np.floating], positive: NDArray[np.bool_], labelled: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Compute the average precision of each task over the examples that have a label for it.

    Args:
        scores: `(examples, tasks)`, higher for what is more likely positive.
        positive: `(examples, tasks)`, whether the label is 1.
        labelled: `(examples, tasks)`, whether there is a label.

    Returns:
        `(tasks,)`, NaN for a task without a positive or with a score that is NaN.

    Example:
        >>> average_precision_by_task(
        ...     np.asarray([[0.9, 0.2], [0.1, 0.7]]),
        ...     np.asarray([[True, False], [False, False]]),
        ...     np.asarray([[True, True], [True, False]]),
        ... )
        array([ 1., nan])
    """
    columns = zip(scores.T, positive.T, labelled.T, strict=True)
    return np.asarray([average_precision(s[kept], p[kept]) for s, p, kept in columns], np.float64)


def _area(descending: NDArray[np.floating], positive: NDArray[np.bool_]) -> float:
    """Sum precision times gain in recall over the distinct values of `descending`."""
    is_last_of_tie = np.append(descending[1:] != descending[:-1], True)
    last_of_tie = np.flatnonzero(is_last_of_tie)
    found = np.cumsum(positive)[last_of_tie]
    precision = found / (last_of_tie + 1)
    recall = found / found[-1]
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))
