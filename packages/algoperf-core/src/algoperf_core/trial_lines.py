"""A trial in one line: where it is, or how it ended."""

from __future__ import annotations

import math
from pathlib import Path

from algoperf_core.durations import in_words
from algoperf_core.outcomes import Outcome, TrialResult
from algoperf_core.progress import Snapshot

OUTCOME_STYLES: dict[str, str] = {
    Outcome.TARGET_REACHED: "green",
    Outcome.BUDGET_EXHAUSTED: "yellow",
    Outcome.TRAINING_COMPLETE: "yellow",
    Outcome.DIVERGED: "magenta",
    Outcome.OUT_OF_MEMORY: "red",
    Outcome.CRASHED: "red",
    Outcome.INTERRUPTED: "dim",
}


def outcome_words(name: str) -> str:
    """An outcome for people."""
    return name.replace("_", " ")


def describe(snapshot: Snapshot) -> str:
    """Where a trial is: step, elapsed of budget, metric against target, and a best value that was better."""
    if snapshot.global_step == 0:
        return "setting up"
    value = "not evaluated yet" if snapshot.value is None else f"{snapshot.value:.4f}"
    if snapshot.best is not None and not _same(snapshot.best, snapshot.value):
        value += f", best {snapshot.best:.4f}"
    return (
        f"step {snapshot.global_step:,}, {snapshot.submission_s:.1f} of {snapshot.budget_s:g} s, "
        f"{snapshot.metric} {value} (target {snapshot.target:g})"
    )


def progress_line(snapshot: Snapshot | None, left_s: float | None) -> str:
    """Where a trial is, and how long it takes at most."""
    if snapshot is None:
        return "starting"
    left = "" if left_s is None else f", at most {in_words(left_s)} left"
    return describe(snapshot) + left


def short_progress(snapshot: Snapshot | None, left_s: float | None) -> str:
    """The same for narrow terminals: share of the budget, best value against target, time left at most."""
    if snapshot is None or snapshot.global_step == 0:
        return "starting" if snapshot is None else "setting up"
    share = f"{snapshot.submission_s / snapshot.budget_s:4.0%}" if snapshot.budget_s else ""
    best = snapshot.value if snapshot.best is None else snapshot.best
    value = "" if best is None else f"  {best:.4g}/{snapshot.target:g}"
    return share + value + ("" if left_s is None else f"  {in_words(left_s)}")


def describe_result(result: TrialResult | None, console: Path | None = None) -> str:
    """How a trial ended, in one line; for one that failed, with the path of what it printed."""
    see = "" if console is None else f" (see {console})"
    if result is None:
        return f"was killed; run the same command again to repeat it{see}"
    return _describe(result, see) + (" (profiled, does not count)" if result.profiled else "")


def _describe(result: TrialResult, see: str) -> str:
    if result.outcome is Outcome.TARGET_REACHED:
        return f"reached the target in {result.time_to_target_s:.2f} s"
    text = outcome_words(result.outcome)
    if result.outcome in (Outcome.CRASHED, Outcome.OUT_OF_MEMORY):
        return f"{text}: {result.message}{see}" if result.message else f"{text}{see}"
    if result.message:
        return f"{text}: {result.message}"
    return f"{text} after {result.global_step:,} steps"


def _same(best: float, value: float | None) -> bool:
    return value is not None and math.isclose(best, value)
