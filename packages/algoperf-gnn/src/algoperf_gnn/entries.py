"""Checked entries of a batch: which labels exist, and what the model said about each.

An entry is one graph's label for one task. Few of them exist: most molecules were measured for some
of the tasks only, and rows of padding for none. The loss and the metrics both start from here.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, eq=False)
class Entries:
    """Logits and labels of a batch; the logits of entries without a label are set to 0.

    Attributes:
        logits: `(graphs, tasks)`, float64.
        positive: `(graphs, tasks)`, whether the entry has a label and it is 1.
        labelled: `(graphs, tasks)`, whether the entry has a label.
    """

    logits: NDArray[np.float64]
    positive: NDArray[np.bool_]
    labelled: NDArray[np.bool_]


def labelled_entries(logits: ArrayLike, targets: ArrayLike, weights: ArrayLike) -> Entries:
    """Check a batch and blank out its entries without a label.

    Args:
        logits: `(graphs, tasks)`, log odds of label 1.
        targets: `(graphs, tasks)`, 0 or 1 where the weight is 1, anything (NaN too) elsewhere.
        weights: `(graphs, tasks)`, 1 where there is a label and 0 where there is none.

    Returns:
        The entries of the batch.

    Raises:
        ValueError: If the shapes differ or are not of two dimensions, if a weight is neither 0 nor
            1, or if a target of weight 1 is neither 0 nor 1.
    """
    scores = np.asarray(logits).astype(np.float64)
    if scores.ndim != 2:
        raise ValueError(f"logits has shape {scores.shape}, expected (graphs, tasks)")
    kept = _of_shape("weights", weights, scores.shape)
    if not np.isin(kept, (0, 1)).all():
        raise ValueError("weights holds values other than 0 and 1")
    labelled = kept.astype(bool)
    labels = np.where(labelled, _of_shape("targets", targets, scores.shape), 0)
    if not np.isin(labels, (0, 1)).all():
        raise ValueError("targets holds values other than 0 and 1 where weights is 1")
    return Entries(np.where(labelled, scores, 0), labels == 1, labelled)


def _of_shape(name: str, values: ArrayLike, shape: tuple[int, ...]) -> NDArray[Any]:
    array = np.asarray(values)
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}, expected that of logits, {shape}")
    return array
