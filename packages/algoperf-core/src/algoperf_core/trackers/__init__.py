"""Trackers: other tools that are told what a trial measures (TensorBoard, Weights & Biases, MLflow).

The CSV files are the truth; a tracker gets a copy. It lives in a process of its own, which is stopped while
the submission's clock runs and works only while rows are logged (`process.py`), so that it takes nothing
from the submission and cannot stop a trial. Anybody's tracker is found through the entry-point group
`algoperf.trackers`, whose values are classes, or functions without arguments, that give a `Tracker`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, kw_only=True)
class TrialFacts:
    """What a tracker is told of a trial before it begins.

    Args:
        trial_dir: Folder of the trial.
        benchmark: Name of the benchmark.
        ruleset: `external` or `self`.
        submission: Name of the submission.
        framework: `jax` or `pytorch`.
        workload: Name of the workload.
        study: Number of the study, from 0.
        trial: Number of the trial in its study, from 1.
        seed: Seed of the trial.
        metric: Name of the target metric, without split.
        target: Its validation target.
        budget_s: Budget in seconds of submission time; None if the benchmark gives none.
        scored: Whether the trial counts; a profiled one does not.
    """

    trial_dir: str
    benchmark: str
    ruleset: str
    submission: str
    framework: str
    workload: str
    study: int
    trial: int
    seed: int
    metric: str
    target: float
    budget_s: float | None
    scored: bool = True

    @property
    def label(self) -> str:
        """Short name for people."""
        return f"{self.submission} / {self.workload} / study {self.study} / trial {self.trial}"


class Tracker(Protocol):
    """A tool that is told what a trial measures.

    The three methods are called one after the other, from one thread of the tracker's own process. An
    exception from any of them switches the tracker off, and the trial goes on.
    """

    def start(self, facts: TrialFacts, hyperparameters: Mapping[str, Any]) -> None:
        """A trial is about to begin.

        Args:
            facts: The trial.
            hyperparameters: Its point of the search space; empty in the self-tuning ruleset.
        """
        ...

    def log(self, metrics: Mapping[str, float], global_step: int, submission_s: float) -> None:
        """A row was written to `measurements.csv`.

        Args:
            metrics: Its numbers by column, for example `validation/accuracy`; NaN where training diverged.
            global_step: Steps done. Rows come in order; several may have the same step.
            submission_s: Submission time in seconds. For scalars that the submission logged between two
                evaluations, it is interpolated between these by step.
        """
        ...

    def finish(self, result: Mapping[str, Any]) -> None:
        """The trial came to an end.

        Args:
            result: What `outcome.json` holds: `outcome`, `time_to_target_s`, `ledger_s` and others.
        """
        ...
