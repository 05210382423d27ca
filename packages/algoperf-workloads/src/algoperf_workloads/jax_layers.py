"""Flax layers that the models of several families use."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp


class Dropout(nn.Module):  # type: ignore[misc]
    """Dropout whose rate is given at each call and may be traced."""

    @nn.compact  # type: ignore[untyped-decorator]
    def __call__(self, values: Any, rate: Any, train: bool) -> Any:
        """Zeroes values with probability `rate` and scales the others by `1 / (1 - rate)`.

        Draws from the random stream `dropout`; outside of training nothing is dropped or drawn.
        """
        if not train or (isinstance(rate, float) and rate == 0.0):
            return values
        keep = 1.0 - rate
        mask = jax.random.bernoulli(self.make_rng("dropout"), keep, values.shape)
        return jnp.where(mask, values / keep, 0.0)
