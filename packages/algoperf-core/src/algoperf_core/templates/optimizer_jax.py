"""AdamW with warmup and cosine decay, made by `from_optax`. Edit `optimizer`, then run it."""

from typing import Any

import optax

from algoperf_core import decay_mask, from_optax
from algoperf_core.spec import Hyperparameters, ParameterTypeTree


def optimizer(
    hyperparameters: Hyperparameters, step_hint: int, parameter_types: ParameterTypeTree
) -> Any:
    """Builds the optimizer of a trial.

    Args:
        hyperparameters: A point of `tuning_search_space.json`, its values as attributes.
        step_hint: Number of updates that the benchmark expects to fit into the budget.
        parameter_types: Type of each parameter; leave this argument out if you do not need it.
    """
    schedule = optax.warmup_cosine_decay_schedule(
        init_value=0.0,
        peak_value=hyperparameters.learning_rate,
        warmup_steps=int(0.05 * step_hint),
        decay_steps=step_hint,
    )
    return optax.adamw(
        schedule,
        b1=1.0 - hyperparameters.one_minus_beta1,
        weight_decay=hyperparameters.weight_decay,
        mask=decay_mask(parameter_types),  # biases and norms do not decay
    )


# The hyperparameters grad_clip, grad_clip_value, label_smoothing and dropout_rate need no code: put them
# into the search space. Further arguments of from_optax: average=ema(0.999), sam_rho=0.05, micro_batches=4.
submission = from_optax(optimizer, batch_size=128)
