"""The loss of the graph workloads: sigmoid cross entropy over the labels that exist."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from algoperf_gnn.entries import Entries, labelled_entries
from algoperf_workloads.numpy_losses import sigmoid_losses


def masked_sigmoid_cross_entropy(
    logits: ArrayLike, targets: ArrayLike, weights: ArrayLike
) -> NDArray[np.float64]:
    """Compute the loss of each labelled entry, and 0 for each of the others.

    With `x` the logit and `y` the label, in nats,

        loss = -log(s(x)) if y = 1, -log(1 - s(x)) if y = 0
             = max(z, 0) + log(1 + exp(-|z|)),    z = (1 - 2 y) x,

    where `s` is the sigmoid; the second form neither overflows nor loses digits.

    Args:
        logits: `(graphs, tasks)`, log odds of label 1.
        targets: `(graphs, tasks)`, 0 or 1 where the weight is 1, anything (NaN too) elsewhere.
        weights: `(graphs, tasks)`, 1 where there is a label and 0 where there is none.

    Returns:
        The losses `(graphs, tasks)`, float64. Their sum over the sum of `weights` is the mean.

    Raises:
        ValueError: If the shapes differ or are not of two dimensions, if a weight is neither 0 nor
            1, or if a target of weight 1 is neither 0 nor 1.

    Example:
        >>> masked_sigmoid_cross_entropy([[0.0, 100.0]], [[1, np.nan]], [[1, 0]]).round(4)
        array([[0.6931, 0.    ]])
    """
    return entry_losses(labelled_entries(logits, targets, weights))


def entry_losses(entries: Entries) -> NDArray[np.float64]:
    """Compute `masked_sigmoid_cross_entropy` of a batch that is checked already."""
    return np.where(entries.labelled, sigmoid_losses(entries.logits, entries.positive), 0)
