"""Mixup (Zhang et al. 2018): a batch is mixed with itself, and its labels with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from jaxtyping import Float, Int

Numbers = npt.NDArray[np.float32]


def one_hot(
    labels: Int[npt.NDArray[Any], " batch"], num_classes: int
) -> Float[Numbers, "batch classes"]:
    """Integer labels `(batch,)` to `(batch, num_classes)`, float32."""
    targets = np.zeros((len(labels), num_classes), np.float32)
    targets[np.arange(len(labels)), labels] = 1
    return targets


def mixup(
    inputs: Float[Numbers, "batch ..."],
    targets: Float[Numbers, "batch classes"],
    alpha: float,
    generator: np.random.Generator,
) -> tuple[Float[Numbers, "batch ..."], Float[Numbers, "batch classes"]]:
    """Mixes every example with the one before it, `w x_i + (1 - w) x_{i-1}`, with one weight per batch.

    Args:
        inputs: `(batch, ...)`.
        targets: Dense targets `(batch, num_classes)`.
        alpha: The weight is drawn from Beta(alpha, alpha).
        generator: Draws the weight.

    Returns:
        New inputs and targets.
    """
    weight = np.float32(generator.beta(alpha, alpha))
    return _mix(inputs, weight), _mix(targets, weight)


def _mix(values: Float[Numbers, "batch ..."], weight: np.float32) -> Float[Numbers, "batch ..."]:
    mixed = values * weight
    rest = np.float32(1) - weight
    # Row by row, so that what is added is still in the cache.
    for row, before in zip(mixed, np.roll(np.arange(len(values)), 1), strict=True):
        row += values[before] * rest
    return mixed
