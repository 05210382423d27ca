"""How a learning-rate schedule divides a training horizon, for both frameworks."""

from algoperf_core.errors import SubmissionError


def split_horizon(horizon_steps: int, warmup_factor: float) -> tuple[int, int]:
    """Divides a horizon into warmup and decay.

    >>> split_horizon(199, 0.05)
    (9, 190)

    Args:
        horizon_steps: Number of updates to plan for, the workload's `step_hint`; at least 1.
        warmup_factor: Share of the horizon that is warmup, 0 to 1.

    Returns:
        `(warmup_steps, decay_steps)`. The warmup is rounded down; the decay has at least one step.

    Raises:
        SubmissionError: A value is outside of its range.
    """
    if horizon_steps < 1:
        raise SubmissionError(
            "a schedule plans for at least 1 step, and step_hint is "
            f"{horizon_steps or 'not given'}; set it for the workload in the benchmark's definition"
        )
    if not 0.0 <= warmup_factor <= 1.0:
        raise SubmissionError(f"warmup_factor is {warmup_factor}, allowed 0 to 1")
    warmup_steps = int(warmup_factor * horizon_steps)
    return warmup_steps, max(horizon_steps - warmup_steps, 1)
