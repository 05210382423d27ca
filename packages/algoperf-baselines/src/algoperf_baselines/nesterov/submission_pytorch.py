"""Nesterov momentum in PyTorch."""

from collections.abc import Iterable

import torch
from torch.optim.lr_scheduler import LambdaLR

from algoperf_baselines.batch_sizes import BATCH_SIZES
from algoperf_baselines.schedules_torch import warmup_linear
from algoperf_core import from_torch
from algoperf_core.spec import Hyperparameters


def optimizer(
    parameters: Iterable[torch.nn.Parameter], hyperparameters: Hyperparameters, step_hint: int
) -> tuple[torch.optim.SGD, LambdaLR]:
    """Builds Nesterov momentum and its scheduler.

    Args:
        parameters: Parameters of the model.
        hyperparameters: A point of the search space.
        step_hint: Number of updates that the schedule plans for.
    """
    sgd = torch.optim.SGD(
        parameters,
        lr=hyperparameters.learning_rate,
        momentum=1.0 - hyperparameters.one_minus_beta1,
        weight_decay=hyperparameters.weight_decay,
        nesterov=True,
    )
    return sgd, warmup_linear(
        sgd,
        step_hint,
        hyperparameters.warmup_factor,
        hyperparameters.decay_steps_factor,
        hyperparameters.end_factor,
    )


submission = from_torch(optimizer, batch_size=BATCH_SIZES)
