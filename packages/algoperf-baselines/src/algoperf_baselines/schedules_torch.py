"""The baselines' learning-rate schedules as PyTorch schedulers; twins of `schedules_jax`."""

import math

import torch
from torch.optim.lr_scheduler import LambdaLR

from algoperf_baselines.horizon import split_horizon


def warmup_cosine(
    optimizer: torch.optim.Optimizer, horizon_steps: int, warmup_factor: float
) -> LambdaLR:
    r"""Linear warmup, then half a cosine down to zero (Loshchilov & Hutter 2017).

    With :math:`W` warmup and :math:`C` decay steps, the learning rate of update
    :math:`s = 0, 1, …` is

    .. math::
        \eta_s = \eta \begin{cases}
            s / W & s < W \\
            \tfrac12 \left(1 + \cos(\pi \min(s - W, C) / C)\right) & s \ge W
        \end{cases}

    so that the first update of a warmup changes nothing, and nothing changes past the horizon.
    There `torch.optim.lr_scheduler.CosineAnnealingLR` turns up again instead.

    Args:
        optimizer: Its learning rate is the peak :math:`\eta`, reached after the warmup.
        horizon_steps: Number of updates to plan for, :math:`W + C`.
        warmup_factor: Share of the horizon that is warmup, 0 to 1.

    Returns:
        The scheduler, to be stepped after each update.

    Raises:
        SubmissionError: The horizon or the warmup factor is outside of its range.
    """
    warmup_steps, decay_steps = split_horizon(horizon_steps, warmup_factor)

    def factor(step: int) -> float:
        if step < warmup_steps:
            return step / warmup_steps
        progress = min((step - warmup_steps) / decay_steps, 1.0)
        return 0.5 * (1.0 + math.cos(math.pi * progress))

    return LambdaLR(optimizer, factor)


def warmup_linear(
    optimizer: torch.optim.Optimizer,
    horizon_steps: int,
    warmup_factor: float,
    decay_steps_factor: float,
    end_factor: float,
) -> LambdaLR:
    r"""Linear warmup, linear decay, then constant.

    Args:
        optimizer: Its learning rate is the peak :math:`\eta`, reached after the warmup.
        horizon_steps: Number of updates to plan for.
        warmup_factor: Share of the horizon that is warmup, 0 to 1.
        decay_steps_factor: Share of the steps after the warmup in which the learning rate decays.
        end_factor: The learning rate ends, and stays, at `end_factor` times its peak.

    Returns:
        The scheduler, to be stepped after each update.

    Raises:
        SubmissionError: The horizon or the warmup factor is outside of its range.
    """
    warmup_steps, remaining_steps = split_horizon(horizon_steps, warmup_factor)
    decay_steps = max(int(remaining_steps * decay_steps_factor), 1)

    def factor(step: int) -> float:
        if step < warmup_steps:
            return step / warmup_steps
        progress = min((step - warmup_steps) / decay_steps, 1.0)
        return 1.0 + (end_factor - 1.0) * progress

    return LambdaLR(optimizer, factor)
