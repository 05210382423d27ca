"""AdamW with warmup and cosine decay, made by `from_torch`. Edit `optimizer`, then run it."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch

from algoperf_core import decay_groups, from_torch
from algoperf_core.spec import Hyperparameters, ParameterType


def optimizer(
    parameters: Iterable[torch.nn.Parameter],
    hyperparameters: Hyperparameters,
    step_hint: int,
    parameter_types: Mapping[torch.nn.Parameter, ParameterType],
) -> tuple[Any, Any]:
    """Builds the optimizer of a trial, and the scheduler that is stepped after each update.

    Args:
        parameters: Parameters of the model.
        hyperparameters: A point of `tuning_search_space.json`, its values as attributes.
        step_hint: Number of updates that the benchmark expects to fit into the budget.
        parameter_types: Type of each parameter; leave this argument out if you do not need it.
    """
    adamw = torch.optim.AdamW(
        # Biases and norms do not decay.
        decay_groups(parameters, parameter_types, hyperparameters.weight_decay),
        lr=hyperparameters.learning_rate,
        betas=(1.0 - hyperparameters.one_minus_beta1, 0.999),
    )
    warmup_steps = int(0.05 * step_hint)

    def factor(step: int) -> float:
        if step < warmup_steps:
            return step / warmup_steps
        progress = min((step - warmup_steps) / max(step_hint - warmup_steps, 1), 1.0)
        return 0.5 * (1.0 + math.cos(math.pi * progress))

    return adamw, torch.optim.lr_scheduler.LambdaLR(adamw, factor)


# The hyperparameters grad_clip, grad_clip_value, label_smoothing and dropout_rate need no code: put them
# into the search space. Further arguments of from_torch: average=ema(0.999), sam_rho=0.05, micro_batches=4.
submission = from_torch(optimizer, batch_size=128)
