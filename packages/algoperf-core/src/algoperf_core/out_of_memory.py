"""What to say when a trial, or the measurement of one, runs out of memory: when, the peak, and the remedy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from algoperf_core.ledger import Account, Phase
from algoperf_core.memory import peak_device_bytes, peak_host_bytes, readable
from algoperf_core.spec import Framework

Moment = Literal["set_up", "step", "evaluation"]
MOMENTS: dict[str, str] = {
    "set_up": "set-up",
    "step": "a training step",
    "evaluation": "an evaluation",
}


@dataclass(frozen=True, kw_only=True)
class Shortage:
    """What was going on when memory ran out.

    Args:
        moment: `set_up`, `step` or `evaluation`.
        peak_bytes: The most that was in use before; None if that is not known.
        device: Whether that is the memory of an accelerator; else it is the machine's.
        batch_size: Global training batch size; None if it was not known yet.
        eval_batch_size: Global evaluation batch size.
        device_count: Number of devices that batches are split over.
    """

    moment: str
    peak_bytes: int | None = None
    device: bool = False
    batch_size: int | None = None
    eval_batch_size: int | None = None
    device_count: int | None = None

    def remedy(self) -> str:
        """When it happened, the peak, and what to do."""
        where = "on the accelerator" if self.device else "by this process"
        peak = readable(self.peak_bytes)
        used = f"; at most {peak} were in use before {where}" if self.peak_bytes else ""
        said = f"ran out of memory during {MOMENTS[self.moment]}{used}. "
        if self.moment == "evaluation":
            size = self.eval_batch_size or "the workload's"
            return (
                f"{said}The evaluation batch size is {size}: define get_eval_batch_size to make it smaller; "
                "metrics do not depend on it"
            )
        if self.moment == "set_up" or self.batch_size is None:
            return f"{said}Model and optimizer state alone are too large for this machine"
        return (
            f"{said}The batch size is {self.batch_size} on {self.device_count or 1} devices: return a "
            "smaller one from get_batch_size, or keep it and compute its gradient in micro-batches "
            "(micro_batches= of from_optax and from_torch); algoperf memory tells what fits"
        )


def shortage(
    open_phase: Phase,
    framework: Framework,
    *,
    on_device: bool,
    batch_sizes: tuple[int, int] | None,
    device_count: int,
) -> Shortage:
    """The shortage that this process is in.

    Args:
        open_phase: The phase of the ledger in which the error was raised.
        framework: The framework.
        on_device: Whether the framework reported it, rather than Python.
        batch_sizes: Training and evaluation batch size; None before they are known.
        device_count: Number of devices that batches are split over.
    """
    device_peak = peak_device_bytes(framework) if on_device else None
    train, evaluation = batch_sizes or (None, None)
    return Shortage(
        moment=_moment(open_phase),
        # Without accelerators, the framework's memory is the machine's.
        peak_bytes=device_peak or peak_host_bytes(),
        device=device_peak is not None,
        batch_size=train,
        eval_batch_size=evaluation,
        device_count=device_count,
    )


def _moment(phase: Phase) -> Moment:
    if phase.account is Account.SET_UP:
        return "set_up"
    return "step" if phase.account is Account.SUBMISSION else "evaluation"
