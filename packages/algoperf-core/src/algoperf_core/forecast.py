"""When a campaign will be over, from what its trials took so far.

A trial that has yet to run is expected to take what finished trials of its workload took, and until there
are any, its whole budget and the share of evaluations that other trials have. So the forecast starts too
high where targets are met early, and gets better with every trial.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Work:
    """What is known of one trial's duration.

    Args:
        workload: Its workload.
        budget_s: Its budget in seconds of submission time; None if that is not known.
        submission_s: Submission time so far, in seconds.
        wall_s: Wall-clock seconds so far.
        over: Whether it came to an end by itself.
        running: Whether it runs now; a trial that does neither will begin from the start.
        typical: Whether others may be expected to take as long; not if it failed.
    """

    workload: str
    budget_s: float | None
    submission_s: float = 0.0
    wall_s: float = 0.0
    over: bool = False
    running: bool = False
    typical: bool = True


def trial_seconds_left(work: Work) -> float | None:
    """Wall-clock seconds until a running trial has used up its budget; it may meet its target before."""
    if work.budget_s is None or work.submission_s <= 0:
        return None
    return max(work.budget_s - work.submission_s, 0.0) * max(work.wall_s / work.submission_s, 1.0)


def campaign_seconds_left(trials: Sequence[Work], at_a_time: int) -> float | None:
    """Wall-clock seconds until all trials are over, run so many at a time.

    Returns:
        None where nothing is known of a trial, not even its budget, or where none is running.
    """
    overhead = _overhead(trials)
    open_trials = [trial for trial in trials if not trial.over]
    left = [_left(trial, trials, overhead) for trial in open_trials]
    known = [seconds for seconds in left if seconds is not None]
    if at_a_time < 1 or len(known) < len(left):
        return None
    return max(sum(known) / at_a_time, max(known, default=0.0))


def _overhead(trials: Iterable[Work]) -> float:
    """Wall-clock seconds for a second of submission time; 1 until it is known."""
    begun = [trial for trial in trials if trial.submission_s > 0]
    submission_s = sum(trial.submission_s for trial in begun)
    return max(sum(trial.wall_s for trial in begun) / submission_s, 1.0) if begun else 1.0


def _left(trial: Work, trials: Iterable[Work], overhead: float) -> float | None:
    before = [
        other.wall_s
        for other in trials
        if other.over and other.typical and other.workload == trial.workload
    ]
    usual_s = sum(before) / len(before) if before else None
    if not trial.running:
        return (
            usual_s if usual_s is not None or trial.budget_s is None else trial.budget_s * overhead
        )
    if usual_s is not None and usual_s > trial.wall_s:
        return usual_s - trial.wall_s
    until_budget_s = trial_seconds_left(trial)
    if until_budget_s is None and trial.budget_s is not None:
        return trial.budget_s * overhead
    return until_budget_s
