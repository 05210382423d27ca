"""The model of `digits` in Flax; `digits_torch` is the same function."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import flax.linen as nn

if TYPE_CHECKING:
    from jax import Array
    from jaxtyping import Float


class DigitsNet(nn.Module):  # type: ignore[misc]
    """Convolutions 3x3 without bias, each with batch norm and ReLU, then the mean, then a dense layer.

    Attributes:
        widths: Output channels of the convolutions.
        strides: Strides of the convolutions.
        num_classes: Number of classes.
    """

    widths: Sequence[int]
    strides: Sequence[int]
    num_classes: int

    @nn.compact  # type: ignore[untyped-decorator]
    def __call__(
        self, inputs: Float[Array, "batch height width channels"], train: bool
    ) -> Float[Array, "batch classes"]:
        """Images `(batch, height, width, channels)` to logits `(batch, num_classes)`."""
        hidden = inputs
        for width, stride in zip(self.widths, self.strides, strict=True):
            hidden = nn.Conv(width, (3, 3), strides=stride, padding=1, use_bias=False)(hidden)
            hidden = nn.BatchNorm(use_running_average=not train, momentum=0.9, epsilon=1e-5)(hidden)
            hidden = nn.relu(hidden)
        return nn.Dense(self.num_classes)(hidden.mean((1, 2)))
