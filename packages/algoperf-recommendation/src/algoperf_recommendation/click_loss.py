"""Mean sigmoid cross entropy, the target metric of the Criteo workloads, over batches."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from algoperf_recommendation.examples import (
    Floats,
    checked_targets,
    checked_weights,
    of_length,
    per_example,
)
from algoperf_workloads.numpy_losses import sigmoid_losses


def sigmoid_cross_entropy(logits: ArrayLike, targets: ArrayLike) -> Floats:
    """Compute the loss of each example.

    With `x` the logit and `y` the label, in nats,

        loss = -log(s(x)) if y = 1, -log(1 - s(x)) if y = 0
             = max(z, 0) + log(1 + exp(-|z|)),    z = (1 - 2 y) x,

    where `s` is the sigmoid; the second form neither overflows nor loses digits.

    Args:
        logits: `(batch,)` or `(batch, 1)`, log odds of a click.
        targets: `(batch,)` or `(batch, 1)`, 1 for a click and 0 for none.

    Returns:
        The losses `(batch,)`, float64.

    Raises:
        ValueError: If a shape is not as above, the lengths differ, or a target is neither 0 nor 1.

    Example:
        >>> sigmoid_cross_entropy([0.0, 100.0], [1, 0]).round(4)
        array([  0.6931, 100.    ])
    """
    x = per_example("logits", logits)
    return sigmoid_losses(x, checked_targets(targets, x.size) == 1)


@dataclass(frozen=True)
class ClickLoss:
    """Weighted sums of loss and examples seen so far.

    The published loss of a split is the sum of the losses of its examples divided by their number.
    It is formed here from one pair of sums over all batches, so that it does not depend on the
    division into batches or on padding, up to the rounding of a float64 sum. The divisor is the
    weight that was seen, which for a complete split is its number of examples.

    `ClickLoss()` has seen nothing: the neutral element of `merge`.

    Attributes:
        loss_sum: Sum of weight times loss, in nats.
        weight_sum: Sum of the weights; the number of examples if these are 0 and 1.

    References:
        Naumov et al., "Deep Learning Recommendation Model for Personalization and Recommendation
        Systems", 2019 (arXiv:1906.00091). Dahl et al., "Benchmarking Neural Network Training
        Algorithms", 2023 (arXiv:2306.07179).

    Example:
        >>> first = ClickLoss.from_batch([0.0, 2.0], [0, 1])
        >>> second = ClickLoss.from_batch([-3.0, 0.0], [0, 0], weights=[1, 0])
        >>> {name: round(value, 4) for name, value in first.merge(second).compute().items()}
        {'loss': 0.2896}
    """

    loss_sum: float = 0.0
    weight_sum: float = 0.0

    @classmethod
    def from_batch(
        cls, logits: ArrayLike, targets: ArrayLike, weights: ArrayLike | None = None
    ) -> Self:
        """Sum up one batch.

        Args:
            logits: `(batch,)` or `(batch, 1)`, log odds of a click.
            targets: `(batch,)` or `(batch, 1)`, 1 for a click and 0 for none; anything (NaN too)
                where the weight is 0.
            weights: `(batch,)` or `(batch, 1)`, not negative; 0 for a row of padding, which counts
                nothing. None for all ones.

        Returns:
            The sums of this batch.

        Raises:
            ValueError: If a shape is not as above, the lengths differ, a weight is negative or not
                finite, or a target of positive weight is neither 0 nor 1.
        """
        x = per_example("logits", logits)
        y = of_length("targets", targets, x.size)
        w = checked_weights(weights, x.size)
        seen = w > 0
        losses = sigmoid_cross_entropy(x[seen], y[seen])
        return cls(loss_sum=float(np.sum(w[seen] * losses)), weight_sum=float(np.sum(w)))

    def merge(self, other: Self) -> Self:
        """Return the sums over the examples of both."""
        return type(self)(self.loss_sum + other.loss_sum, self.weight_sum + other.weight_sum)

    def compute(self) -> dict[str, float]:
        """Return the mean `loss`, in nats per example; NaN where no weight was seen."""
        if self.weight_sum == 0:
            return {"loss": float("nan")}
        return {"loss": self.loss_sum / self.weight_sum}
