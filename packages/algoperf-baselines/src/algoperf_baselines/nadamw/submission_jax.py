"""NAdamW in JAX."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from algoperf_baselines.batch_sizes import BATCH_SIZES
from algoperf_baselines.schedules_jax import warmup_cosine
from algoperf_core import from_optax
from algoperf_core.spec import Hyperparameters


def scale_by_nadamw(b1: float, b2: float, eps: float = 1e-8) -> optax.GradientTransformation:
    r"""Rescales gradients by the NAdamW rule, without learning rate and weight decay.

    >>> rule = scale_by_nadamw(b1=0.5, b2=0.75)
    >>> gradient = jnp.array([2.0, -0.5])
    >>> direction, state = rule.update(gradient, rule.init(gradient))
    >>> print(direction)  # 1 + b1 in the first step, whatever the gradient's size
    [ 1.5 -1.5]

    Args:
        b1: :math:`\beta_1`, decay of the running mean of gradients and weight of the look-ahead.
        b2: :math:`\beta_2`, decay of the running mean of squared gradients.
        eps: :math:`\epsilon`, added to the root, not under it.
    """

    def init(params: Any) -> optax.ScaleByAdamState:
        mu, nu = jax.tree.map(jnp.zeros_like, params), jax.tree.map(jnp.zeros_like, params)
        return optax.ScaleByAdamState(count=jnp.zeros([], jnp.int32), mu=mu, nu=nu)

    def update(
        gradient: Any, state: optax.ScaleByAdamState, params: Any = None
    ) -> tuple[Any, optax.ScaleByAdamState]:
        del params
        count = optax.safe_increment(state.count)
        mu = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, state.mu, gradient)
        nu = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * g**2, state.nu, gradient)

        def direction(m: jax.Array, v: jax.Array, g: jax.Array) -> jax.Array:
            ahead = (b1 * m + (1 - b1) * g) / (1 - b1**count)
            return ahead / (jnp.sqrt(v / (1 - b2**count)) + eps)

        state = optax.ScaleByAdamState(count=count, mu=mu, nu=nu)
        return jax.tree.map(direction, mu, nu, gradient), state

    return optax.GradientTransformation(init, update)


def nadamw(
    learning_rate: optax.ScalarOrSchedule,
    b1: float,
    b2: float,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
) -> optax.GradientTransformation:
    r"""NAdamW with decoupled weight decay.

    Args:
        learning_rate: :math:`\eta`, a number or a schedule.
        b1: :math:`\beta_1`, decay of the running mean of gradients and weight of the look-ahead.
        b2: :math:`\beta_2`, decay of the running mean of squared gradients.
        eps: :math:`\epsilon`, added to the root, not under it.
        weight_decay: :math:`\lambda`, multiplied by the learning rate.
    """
    return optax.chain(
        scale_by_nadamw(b1, b2, eps),
        optax.add_decayed_weights(weight_decay),
        optax.scale_by_learning_rate(learning_rate),
    )


def optimizer(hyperparameters: Hyperparameters, step_hint: int) -> optax.GradientTransformation:
    """Builds NAdamW with its schedule.

    Args:
        hyperparameters: A point of the search space.
        step_hint: Number of updates that the schedule plans for.
    """
    schedule = warmup_cosine(
        hyperparameters.learning_rate, step_hint, hyperparameters.warmup_factor
    )
    return nadamw(
        schedule,
        b1=1.0 - hyperparameters.one_minus_beta1,
        b2=hyperparameters.beta2,
        weight_decay=hyperparameters.weight_decay,
    )


submission = from_optax(optimizer, batch_size=BATCH_SIZES)
