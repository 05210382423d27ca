"""What a campaign will cost before it is started: hours, disk and memory, from a few measured steps.

Times are upper bounds: a trial that meets its targets ends earlier, and none trains longer than its budget.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from algoperf_core.probe import Measurement
from algoperf_core.probing import Probed
from algoperf_scoring import Benchmark

KEPT_CHECKPOINTS = 2
"""The last checkpoint, and the one before it in case the last is damaged."""
_OTHER_LOGS_BYTES = 32 * 1024  # JSON files, console and the copy of a small submission
_HOUR_S = 3600.0


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How much is going to be run.

    Args:
        studies: Number of studies.
        trials: Number of trials per study.
        jobs: Trials that run at once.
        max_global_steps: Step limit of every trial; None for none.
    """

    studies: int
    trials: int
    jobs: int = 1
    max_global_steps: int | None = None


@dataclass(frozen=True, kw_only=True)
class TrialEstimate:
    """What one trial costs at most.

    Args:
        submission: Name of the submission.
        workload: Name of the workload.
        framework: Its framework.
        measurement: What it rests on.
        budget_s: Submission time that it may use.
        budget_steps: Steps that fit into the budget.
        step_hint: Steps that the benchmark plans for; None where it says nothing.
        evaluations: Number of evaluations.
        submission_s: Submission time.
        evaluation_s: Time of all evaluations, which nobody is charged for.
        total_s: Wall-clock time, set-up included.
        disk_bytes: Logs and checkpoints.
    """

    submission: str
    workload: str
    framework: str | None
    measurement: Measurement
    budget_s: float
    budget_steps: int
    step_hint: int | None
    evaluations: int
    submission_s: float
    evaluation_s: float
    total_s: float
    disk_bytes: int

    @property
    def horizon(self) -> float | None:
        """Share of the step hint that fits into the budget on this machine."""
        return None if not self.step_hint else self.budget_steps / self.step_hint


@dataclass(frozen=True, kw_only=True)
class CampaignEstimate:
    """What a campaign costs at most.

    Args:
        scale: How much is run.
        trials: A trial of each submission on each workload that could be measured.
        unmeasured: Submissions and workloads that could not, and are in no sum.
    """

    scale: Scale
    trials: tuple[TrialEstimate, ...]
    unmeasured: tuple[Probed, ...]

    @property
    def study_s(self) -> float:
        """Seconds of one study of all submissions, one trial after another."""
        return self.scale.trials * sum(trial.total_s for trial in self.trials)

    @property
    def machine_s(self) -> float:
        """Seconds of all trials of all studies together."""
        return self.scale.studies * self.study_s

    @property
    def total_s(self) -> float:
        """Seconds from start to end, with so many jobs side by side; never less than the longest trial."""
        longest = max((trial.total_s for trial in self.trials), default=0.0)
        return max(self.machine_s / self.scale.jobs, longest)

    @property
    def trial_count(self) -> int:
        """Number of trials."""
        return self.scale.studies * self.scale.trials * len(self.trials)

    @property
    def disk_bytes(self) -> int:
        """Logs and checkpoints of all trials."""
        each = sum(trial.disk_bytes for trial in self.trials)
        return self.scale.studies * self.scale.trials * each

    @property
    def host_peak_bytes(self) -> int:
        """Memory of the host, with the hungriest trials side by side."""
        return self._peak([trial.measurement.host_peak or 0 for trial in self.trials])

    @property
    def device_peak_bytes(self) -> int:
        """Memory of an accelerator, with the hungriest trials side by side on it."""
        return self._peak([trial.measurement.device_peak or 0 for trial in self.trials])

    def _peak(self, each: Sequence[int]) -> int:
        copies = self.scale.studies * self.scale.trials
        return sum(
            sorted((size for size in each for _ in range(copies)), reverse=True)[: self.scale.jobs]
        )


def estimate_campaign(
    probed: Sequence[Probed], benchmark: Benchmark, ruleset: str, scale: Scale
) -> CampaignEstimate:
    """Turns measurements into what a campaign costs at most.

    Args:
        probed: What was measured, submissions by workloads.
        benchmark: The benchmark.
        ruleset: Name of the ruleset.
        scale: How much is run.
    """
    measured = [probe for probe in probed if probe.measurement.step_s is not None]
    trials = tuple(
        estimate_trial(
            probe,
            budget_s=benchmark.budget_s(probe.workload, ruleset),
            eval_period_s=benchmark.workload(probe.workload).eval_period_s or math.inf,
            step_hint=benchmark.workload(probe.workload).step_hint,
            max_global_steps=scale.max_global_steps,
        )
        for probe in measured
        if probe.measurement.status == "measured"
    )
    unmeasured = tuple(
        probe
        for probe in probed
        if probe.measurement.status != "measured" or probe.measurement.step_s is None
    )
    return CampaignEstimate(scale=scale, trials=trials, unmeasured=unmeasured)


def estimate_trial(
    probe: Probed,
    *,
    budget_s: float,
    eval_period_s: float,
    step_hint: int | None = None,
    max_global_steps: int | None = None,
) -> TrialEstimate:
    """What one trial costs at most.

    Submission time is the budget, or less with a step limit. Evaluations follow the first step and then each
    evaluation period of submission time, at the end of a step.

    Args:
        probe: A measured workload.
        budget_s: Submission time that the trial may use, the ruleset's factor included.
        eval_period_s: Submission time between two evaluations.
        step_hint: Steps that the benchmark plans for.
        max_global_steps: Step limit; None for none.
    """
    found = probe.measurement
    step_s = max(found.step_s or 0.0, 1e-9)
    compilation_s = found.compilation_s or 0.0
    submission_s = budget_s
    if max_global_steps is not None:
        submission_s = min(budget_s, compilation_s + max_global_steps * step_s)
    # At the end of the step in which the period passes, so never more often than every step.
    period_s = (
        max(math.ceil(eval_period_s / step_s) * step_s, step_s)
        if eval_period_s < math.inf
        else math.inf
    )
    evaluations = 1 + int(max(submission_s - compilation_s, 0.0) / period_s)
    evaluation_s = (found.first_evaluation_s or 0.0) + (evaluations - 1) * (
        found.evaluation_s or 0.0
    )
    return TrialEstimate(
        submission=probe.submission,
        workload=probe.workload,
        framework=probe.framework,
        measurement=found,
        budget_s=budget_s,
        budget_steps=int(max(budget_s - compilation_s, 0.0) / step_s),
        step_hint=step_hint,
        evaluations=evaluations,
        submission_s=submission_s,
        evaluation_s=evaluation_s,
        total_s=(found.set_up_s or 0.0) + submission_s + evaluation_s,
        disk_bytes=_disk_bytes(found, evaluations, int(submission_s / step_s)),
    )


def _disk_bytes(found: Measurement, evaluations: int, steps: int) -> int:
    checkpoint = (found.parameter_bytes or 0) + (found.optimizer_bytes or 0)
    rows = 2 * evaluations * found.row_bytes  # in both CSV files
    # Of a submission that logs now and then, the first steps show at least one row: an upper bound.
    seen_steps = max(found.steps, 1)
    scalars = found.scalar_bytes * steps // seen_steps
    return KEPT_CHECKPOINTS * checkpoint + rows + scalars + _OTHER_LOGS_BYTES


def hours(seconds: float) -> float:
    """Seconds as hours."""
    return seconds / _HOUR_S


def readable_time(seconds: float | None) -> str:
    """A length of time for people.

    >>> readable_time(0.0042), readable_time(90), readable_time(9000), readable_time(None)
    ('4.2 ms', '1.5 min', '2.5 h', '-')
    """
    if seconds is None:
        return "-"
    for limit, unit, name in ((1.0, 1e-3, "ms"), (60.0, 1.0, "s"), (_HOUR_S, 60.0, "min")):
        if seconds < limit:
            return f"{seconds / unit:.3g} {name}"
    return f"{hours(seconds):,.1f} h"
