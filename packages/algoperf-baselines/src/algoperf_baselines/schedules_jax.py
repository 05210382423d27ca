"""The baselines' learning-rate schedules as Optax schedules; twins of `schedules_torch`."""

import optax

from algoperf_baselines.horizon import split_horizon


def warmup_cosine(learning_rate: float, horizon_steps: int, warmup_factor: float) -> optax.Schedule:
    r"""Linear warmup, then half a cosine down to zero (Loshchilov & Hutter 2017).

    With :math:`W` warmup and :math:`C` decay steps, the learning rate of update
    :math:`s = 0, 1, …` is

    .. math::
        \eta_s = \eta \begin{cases}
            s / W & s < W \\
            \tfrac12 \left(1 + \cos(\pi \min(s - W, C) / C)\right) & s \ge W
        \end{cases}

    so that the first update of a warmup changes nothing, and nothing changes past the horizon.

    Args:
        learning_rate: The peak :math:`\eta`, reached after the warmup.
        horizon_steps: Number of updates to plan for, :math:`W + C`.
        warmup_factor: Share of the horizon that is warmup, 0 to 1.

    Returns:
        A function from the number of updates made so far to the learning rate of the next one.

    Raises:
        SubmissionError: The horizon or the warmup factor is outside of its range.
    """
    warmup_steps, decay_steps = split_horizon(horizon_steps, warmup_factor)
    warmup = optax.linear_schedule(0.0, learning_rate, warmup_steps)
    cosine = optax.cosine_decay_schedule(learning_rate, decay_steps)
    return optax.join_schedules([warmup, cosine], [warmup_steps])


def warmup_linear(
    learning_rate: float,
    horizon_steps: int,
    warmup_factor: float,
    decay_steps_factor: float,
    end_factor: float,
) -> optax.Schedule:
    r"""Linear warmup, linear decay, then constant.

    Args:
        learning_rate: The peak :math:`\eta`, reached after the warmup.
        horizon_steps: Number of updates to plan for.
        warmup_factor: Share of the horizon that is warmup, 0 to 1.
        decay_steps_factor: Share of the steps after the warmup in which the learning rate decays.
        end_factor: The learning rate ends, and stays, at `end_factor` times its peak.

    Returns:
        A function from the number of updates made so far to the learning rate of the next one.

    Raises:
        SubmissionError: The horizon or the warmup factor is outside of its range.
    """
    warmup_steps, remaining_steps = split_horizon(horizon_steps, warmup_factor)
    decay_steps = max(int(remaining_steps * decay_steps_factor), 1)
    warmup = optax.linear_schedule(0.0, learning_rate, warmup_steps)
    decay = optax.linear_schedule(learning_rate, learning_rate * end_factor, decay_steps)
    return optax.join_schedules([warmup, decay], [warmup_steps])
