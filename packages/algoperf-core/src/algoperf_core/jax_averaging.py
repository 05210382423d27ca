"""The average of parameters and model state in JAX, as a part of the optimizer state."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from algoperf_core.averaging import Averaging


class AverageState(NamedTuple):
    """An average and what it needs to go on.

    Args:
        updates: Number of updates seen, int32.
        mean: `(params, model_state)`, averaged. Leaves that are no floating-point numbers are the newest.
        samples: Tree like `mean` with a leading axis, if samples are kept; else `()`.
    """

    updates: Any
    mean: Any
    samples: Any


def start_average(averaging: Averaging, params: Any, model_state: Any) -> AverageState:
    """The average of nothing yet: copies that share no memory with what they are copied from."""
    newest = (params, model_state)
    kept = averaging.kept
    samples = jax.tree.map(lambda x: jnp.zeros((kept, *x.shape), x.dtype), newest) if kept else ()
    return AverageState(jnp.int32(0), jax.tree.map(jnp.copy, newest), samples)


def advance_average(
    averaging: Averaging, state: AverageState, params: Any, model_state: Any
) -> AverageState:
    """The average after one more update; for use in a jit."""
    newest = (params, model_state)
    updates = state.updates + 1
    number, since_sample = jnp.divmod(updates - averaging.start, averaging.every)

    def follow() -> Any:
        return jax.tree.map(jnp.copy, newest), state.samples

    def keep() -> Any:
        mean = jax.tree.map(lambda old, new: old if _is_float(new) else new, state.mean, newest)
        return mean, state.samples

    def sample() -> Any:
        return _sample(averaging, state, newest, number)

    if averaging.start == 0 and averaging.every == 1:
        return AverageState(updates, *sample())
    branch = jnp.where(number < 1, 0, jnp.where(since_sample == 0, 1, 2))
    return AverageState(updates, *jax.lax.switch(branch, (follow, sample, keep)))


def _sample(averaging: Averaging, state: AverageState, newest: Any, number: Any) -> Any:
    if averaging.kept:
        slot = (number - 1) % averaging.kept
        samples = jax.tree.map(lambda ring, new: ring.at[slot].set(new), state.samples, newest)
        filled = jnp.minimum(number, averaging.kept)

        def mean_of(ring: Any, new: Any) -> Any:
            return (ring.sum(0) / filled).astype(new.dtype) if _is_float(new) else new

        return jax.tree.map(mean_of, samples, newest), samples
    weight = averaging.weight(number.astype(jnp.float32), jnp.expm1)

    def mix(mean: Any, new: Any) -> Any:
        mixed = (1.0 - weight) * mean + weight * new
        return mixed.astype(new.dtype) if _is_float(new) else new

    return jax.tree.map(mix, state.mean, newest), ()


def _is_float(leaf: Any) -> bool:
    return bool(jnp.issubdtype(leaf.dtype, jnp.floating))
