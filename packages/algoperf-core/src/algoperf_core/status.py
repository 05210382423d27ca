"""How a campaign stands: its trials by submission and workload, and when it will be over."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from algoperf_core.forecast import Work, campaign_seconds_left, trial_seconds_left
from algoperf_core.trial_status import STALE_AFTER_S, Problem, State, StatusReader, TrialStatus


@dataclass(frozen=True, kw_only=True)
class WorkloadStatus:
    """How a submission stands on a workload.

    Args:
        submission: Name of the submission.
        workload: Name of the workload.
        framework: `jax` or `pytorch`.
        trials: Its trials.
    """

    submission: str
    workload: str
    framework: str
    trials: tuple[TrialStatus, ...]

    def count(self, state: State) -> int:
        """How many trials are in a state."""
        return sum(trial.state is state for trial in self.trials)

    @property
    def outcomes(self) -> Counter[str]:
        """How many trials had which outcome, the most frequent first."""
        named = Counter(trial.outcome for trial in self.trials if trial.outcome is not None)
        return Counter(dict(named.most_common()))

    @property
    def best_time_to_target_s(self) -> float | None:
        """The shortest time to the target of trials that count; None if none met it so far."""
        times = [trial.time_to_target_s for trial in self.trials if trial.scored]
        return min((seconds for seconds in times if seconds is not None), default=None)

    @property
    def submission_s(self) -> float:
        """Submission time used so far, in seconds."""
        return sum(trial.submission_s for trial in self.trials)

    @property
    def budget_s(self) -> float | None:
        """Budget of all trials in seconds; None if that of one is not known."""
        budgets = [trial.budget_s for trial in self.trials]
        return None if None in budgets else sum(budget or 0.0 for budget in budgets)


@dataclass(frozen=True, kw_only=True)
class CampaignStatus:
    """How the trials of a folder stand.

    Args:
        runs: The folder.
        trials: Its trials.
        problems: What could not be read.
    """

    runs: Path
    trials: tuple[TrialStatus, ...]
    problems: tuple[Problem, ...]

    def count(self, state: State) -> int:
        """How many trials are in a state."""
        return sum(trial.state is state for trial in self.trials)

    def of(self, state: State) -> tuple[TrialStatus, ...]:
        """The trials in a state."""
        return tuple(trial for trial in self.trials if trial.state is state)

    @property
    def failed(self) -> tuple[TrialStatus, ...]:
        """The trials that an error ended."""
        return tuple(trial for trial in self.trials if trial.failed)

    @property
    def complete(self) -> bool:
        """Whether there is nothing left to do."""
        return all(trial.state is State.DONE for trial in self.trials)

    @property
    def workloads(self) -> tuple[WorkloadStatus, ...]:
        """The trials by submission and workload, sorted."""
        groups: dict[tuple[str, str, str], list[TrialStatus]] = {}
        for trial in self.trials:
            key = (trial.submission, trial.workload, trial.framework)
            groups.setdefault(key, []).append(trial)
        return tuple(
            WorkloadStatus(
                submission=name, workload=workload, framework=framework, trials=tuple(of)
            )
            for (name, workload, framework), of in sorted(groups.items())
        )

    @property
    def seconds_left(self) -> float | None:
        """Wall-clock seconds to the end, with as many trials at a time as run now; None if unknown."""
        if self.complete:
            return 0.0
        works = [work(trial) for trial in self.trials if trial.state is not State.UNKNOWN]
        return campaign_seconds_left(works, self.count(State.RUNNING))


def read_status(
    runs: Path, now_epoch_s: float, stale_after_s: float = STALE_AFTER_S
) -> CampaignStatus:
    """Reads how the trials of a folder stand.

    Args:
        runs: The folder of the runs.
        now_epoch_s: The present moment in seconds since the epoch, as the times of files are.
        stale_after_s: How old the last sign of life of a running trial may be.

    Raises:
        LogError: The folder is not there.
    """
    reader = StatusReader(runs, now_epoch_s, stale_after_s)
    trials = reader.read()
    return CampaignStatus(runs=runs, trials=tuple(trials), problems=tuple(reader.problems))


def work(trial: TrialStatus) -> Work:
    """What a trial's status says of its duration."""
    begun = trial.state in (State.DONE, State.RUNNING)
    return Work(
        workload=trial.workload,
        budget_s=trial.budget_s,
        submission_s=trial.submission_s if begun else 0.0,
        wall_s=trial.wall_s if begun else 0.0,
        over=trial.state is State.DONE,
        running=trial.state is State.RUNNING,
        typical=not trial.failed,
    )


def status_as_json(status: CampaignStatus) -> dict[str, Any]:
    """The status as JSON-able data; numbers that are not finite become null, for JSON has none."""
    data = {
        "runs": str(status.runs),
        "complete": status.complete,
        **_counts(status.trials),
        "seconds_left": status.seconds_left,
        "workloads": [
            {
                "submission": group.submission,
                "workload": group.workload,
                "framework": group.framework,
                **_counts(group.trials),
                "outcomes": dict(group.outcomes),
                "best_time_to_target_s": group.best_time_to_target_s,
                "submission_s": group.submission_s,
                "budget_s": group.budget_s,
            }
            for group in status.workloads
        ],
        "trials": [_trial_as_json(trial) for trial in status.trials],
        "problems": [asdict(problem) for problem in status.problems],
    }
    finite: dict[str, Any] = json.loads(json.dumps(data), parse_constant=lambda _: None)
    return finite


def _counts(trials: Sequence[TrialStatus]) -> dict[str, int]:
    counted = Counter(trial.state for trial in trials)
    return {str(state): counted[state] for state in State}


def _trial_as_json(trial: TrialStatus) -> dict[str, Any]:
    running = trial.state is State.RUNNING
    return asdict(trial) | {
        "path": str(trial.path),
        "seconds_left": trial_seconds_left(work(trial)) if running else None,
    }
