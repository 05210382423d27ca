"""AdamW in JAX."""

import optax

from algoperf_baselines.batch_sizes import BATCH_SIZES
from algoperf_baselines.schedules_jax import warmup_cosine
from algoperf_core import from_optax
from algoperf_core.spec import Hyperparameters


def optimizer(hyperparameters: Hyperparameters, step_hint: int) -> optax.GradientTransformation:
    """Builds AdamW with its schedule.

    Args:
        hyperparameters: A point of the search space.
        step_hint: Number of updates that the schedule plans for.
    """
    schedule = warmup_cosine(
        hyperparameters.learning_rate, step_hint, hyperparameters.warmup_factor
    )
    return optax.adamw(
        schedule,
        b1=1.0 - hyperparameters.one_minus_beta1,
        b2=hyperparameters.beta2,
        eps=1e-8,
        weight_decay=hyperparameters.weight_decay,
    )


submission = from_optax(optimizer, batch_size=BATCH_SIZES)
