"""AdamW in PyTorch."""

from collections.abc import Iterable

import torch
from torch.optim.lr_scheduler import LambdaLR

from algoperf_baselines.batch_sizes import BATCH_SIZES
from algoperf_baselines.schedules_torch import warmup_cosine
from algoperf_core import from_torch
from algoperf_core.spec import Hyperparameters


def optimizer(
    parameters: Iterable[torch.nn.Parameter], hyperparameters: Hyperparameters, step_hint: int
) -> tuple[torch.optim.AdamW, LambdaLR]:
    """Builds AdamW and its scheduler.

    Args:
        parameters: Parameters of the model.
        hyperparameters: A point of the search space.
        step_hint: Number of updates that the schedule plans for.
    """
    adamw = torch.optim.AdamW(
        parameters,
        lr=hyperparameters.learning_rate,
        betas=(1.0 - hyperparameters.one_minus_beta1, hyperparameters.beta2),
        eps=1e-8,
        weight_decay=hyperparameters.weight_decay,
        fused=False,
    )
    return adamw, warmup_cosine(adamw, step_hint, hyperparameters.warmup_factor)


submission = from_torch(optimizer, batch_size=BATCH_SIZES)
