"""MNIST's network in Flax; `mlp_torch` is the same function."""

from __future__ import annotations

from typing import TYPE_CHECKING

import flax.linen as nn

if TYPE_CHECKING:
    from jax import Array
    from jaxtyping import Float


class MLP(nn.Module):  # type: ignore[misc]
    """Dense, sigmoid, dense.

    Attributes:
        input_size: Number of values of an input.
        num_hidden: Units of the hidden layer.
        num_classes: Number of classes.
    """

    input_size: int
    num_hidden: int
    num_classes: int

    @nn.compact  # type: ignore[untyped-decorator]
    def __call__(
        self, inputs: Float[Array, "batch ..."], train: bool
    ) -> Float[Array, "batch classes"]:
        """Inputs `(batch, ...)` of any shape to logits `(batch, num_classes)`."""
        del train
        flat = inputs.reshape(len(inputs), self.input_size)
        hidden = nn.sigmoid(nn.Dense(self.num_hidden)(flat))
        return nn.Dense(self.num_classes)(hidden)
