"""How a trial ends: always with one of these, never with a number that someone must guess at."""

from __future__ import annotations

import enum
from dataclasses import asdict, dataclass, field
from typing import Any


class Outcome(enum.StrEnum):
    """Typed outcome of a trial.

    `target_reached` means the validation target, which is what the score looks at. `interrupted` trials
    are run again; all others are done.
    """

    TARGET_REACHED = "target_reached"
    BUDGET_EXHAUSTED = "budget_exhausted"
    TRAINING_COMPLETE = "training_complete"
    DIVERGED = "diverged"
    OUT_OF_MEMORY = "out_of_memory"
    CRASHED = "crashed"
    INTERRUPTED = "interrupted"


class StoppedBy(enum.StrEnum):
    """Which rule ended the loop."""

    TARGETS = "targets"
    BUDGET = "budget"
    TRAINING_COMPLETE = "training_complete"


@dataclass(frozen=True, kw_only=True)
class TrialResult:
    """What a trial came to.

    Args:
        outcome: Typed outcome.
        stopped_by: The rule that ended the loop; None where an error did.
        global_step: Steps done.
        evaluations: Evaluations done.
        time_to_target_s: Submission time of the first evaluation that met the validation target.
        time_to_test_target_s: The same for the test target.
        ledger_s: Seconds by account; they add up to the trial's wall-clock.
        phases_s: Seconds by account and phase; the phases of an account add up to it.
        preemption_count: How often the trial was interrupted and went on.
        interruptions: What was lost each time, as in `interruptions.json`.
        failed_checkpoints: How many checkpoints could not be saved in the last attempt.
        message: What went wrong, if anything did.
        profiled: Whether a profiler watched it: it does not count.
        paused_workers: Threads and processes of the submission that computed while its clock was paused, and
            were charged for it, in the last attempt.
    """

    outcome: Outcome
    stopped_by: StoppedBy | None = None
    global_step: int = 0
    evaluations: int = 0
    time_to_target_s: float | None = None
    time_to_test_target_s: float | None = None
    ledger_s: dict[str, float] = field(default_factory=dict)
    phases_s: dict[str, dict[str, float]] = field(default_factory=dict)
    preemption_count: int = 0
    interruptions: tuple[dict[str, Any], ...] = ()
    failed_checkpoints: int = 0
    message: str | None = None
    profiled: bool = False
    paused_workers: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON-able data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> TrialResult:
        """Reads what `to_dict` wrote."""
        stopped_by = None if data["stopped_by"] is None else StoppedBy(data["stopped_by"])
        typed = {
            "outcome": Outcome(data["outcome"]),
            "stopped_by": stopped_by,
            "interruptions": tuple(data.get("interruptions", ())),
            "paused_workers": tuple(data.get("paused_workers", ())),
        }
        return cls(**(data | typed))

    def summary(self) -> str:
        """How the trial ended and where its time went, in one line."""
        accounts = (
            f"{account.replace('_', '-')} {seconds:.2f} s{_phases(self.phases_s.get(account, {}))}"
            for account, seconds in self.ledger_s.items()
        )
        interrupted = (
            f"; interrupted {self.preemption_count} times" if self.preemption_count else ""
        )
        work = f"{self.global_step:,} steps and {self.evaluations} evaluations"
        ended = f"{self.outcome} after {work}{interrupted}{self._remarks()}; {', '.join(accounts)}"
        return f"{ended}\n{self.message}" if self.message else ended

    def _remarks(self) -> str:
        profiled = "; profiled, does not count" if self.profiled else ""
        if not self.paused_workers:
            return profiled
        return f"{profiled}; charged for work while its clock was paused: {', '.join(self.paused_workers)}"


def _phases(phases: dict[str, float]) -> str:
    shown = {name: seconds for name, seconds in phases.items() if name != "background" or seconds}
    parts = [f"{name.replace('_', ' ')} {seconds:.2f}" for name, seconds in shown.items()]
    return f" ({', '.join(parts)})" if len(parts) > 1 else ""
