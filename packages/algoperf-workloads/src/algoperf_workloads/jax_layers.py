"""Flax layers that the models of several families use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import flax.linen as nn
import jax
import jax.numpy as jnp

if TYPE_CHECKING:
    from jax import Array
    from jaxtyping import Float

ACTIVATIONS: Mapping[str, Callable[[Any], Any]] = {
    "relu": nn.relu,
    "silu": nn.silu,
    "gelu": partial(nn.gelu, approximate=True),
    "tanh": jnp.tanh,
}
"""Activations by the names that models take as options; `gelu` is the tanh approximation."""


class Dropout(nn.Module):  # type: ignore[misc]
    """Dropout whose rate is given at each call and may be traced.

    Attributes:
        broadcast_dims: Axes along which values are dropped together: `(1, 2)` drops whole channels
            of images `(batch, height, width, channels)`.
    """

    broadcast_dims: Sequence[int] = ()

    @nn.compact  # type: ignore[untyped-decorator]
    def __call__(self, values: Float[Array, ...], rate: Any, train: bool) -> Float[Array, ...]:
        """Zeroes values with probability `rate` and scales the others by `1 / (1 - rate)`.

        Draws from the random stream `dropout`; outside of training nothing is dropped or drawn.
        """
        if not train or (isinstance(rate, float) and rate == 0.0):
            return values
        keep = 1.0 - rate
        shape = list(values.shape)
        for axis in self.broadcast_dims:
            shape[axis] = 1
        mask = jax.random.bernoulli(self.make_rng("dropout"), keep, shape)
        return jnp.where(mask, values / keep, 0.0)


def instance_norm(
    values: Float[Array, "batch height width channels"], eps: float = 1e-5
) -> Float[Array, "batch height width channels"]:
    """Normalises every channel of every image `(batch, height, width, channels)` over its positions.

    No parameters, no running averages (Ulyanov et al. 2016); the variance is the biased one.
    """
    mean = values.mean((1, 2), keepdims=True)
    variance = jnp.square(values).mean((1, 2), keepdims=True) - jnp.square(mean)
    return (values - mean) * jax.lax.rsqrt(jnp.maximum(variance, 0.0) + eps)
