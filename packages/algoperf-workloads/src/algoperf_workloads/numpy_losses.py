"""Losses in NumPy and double precision, for metrics on the host."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from jaxtyping import Bool, Float


def sigmoid_losses(
    logits: Float[NDArray[np.float64], ...], positive: Bool[NDArray[np.bool_], ...]
) -> Float[NDArray[np.float64], ...]:
    """Cross-entropy of each entry, in nats.

    With `x` the logit and `y` the label,

        loss = -log(s(x)) if y = 1, -log(1 - s(x)) if y = 0
             = max(z, 0) + log(1 + exp(-|z|)),    z = (1 - 2 y) x,

    where `s` is the sigmoid; the second form neither overflows nor loses digits.

    Args:
        logits: Log odds of label 1, of any shape.
        positive: Whether the label is 1, of the same shape.

    Returns:
        Losses of that shape.

    Example:
        >>> sigmoid_losses(np.array([0.0, 100.0]), np.array([True, False])).round(4)
        array([  0.6931, 100.    ])
    """
    z = np.where(positive, -logits, logits)
    losses: NDArray[np.float64] = np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))
    return losses
