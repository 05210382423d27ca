"""Nesterov momentum in JAX."""

import optax

from algoperf_baselines.batch_sizes import BATCH_SIZES
from algoperf_baselines.schedules_jax import warmup_linear
from algoperf_core import from_optax
from algoperf_core.spec import Hyperparameters


def optimizer(hyperparameters: Hyperparameters, step_hint: int) -> optax.GradientTransformation:
    """Builds Nesterov momentum with its schedule.

    Args:
        hyperparameters: A point of the search space.
        step_hint: Number of updates that the schedule plans for.
    """
    schedule = warmup_linear(
        hyperparameters.learning_rate,
        step_hint,
        hyperparameters.warmup_factor,
        hyperparameters.decay_steps_factor,
        hyperparameters.end_factor,
    )
    return optax.chain(
        optax.add_decayed_weights(hyperparameters.weight_decay),
        optax.sgd(schedule, momentum=1.0 - hyperparameters.one_minus_beta1, nesterov=True),
    )


submission = from_optax(optimizer, batch_size=BATCH_SIZES)
