"""Weights & Biases. Its own settings rule: `WANDB_PROJECT`, `WANDB_MODE=offline`, ...

Its uploader is a process of its own, which stays awake when the tracker is stopped, and uploads what was
logged; with `WANDB_MODE=offline` nothing is left for it to do. It ends with the trial at the latest.
Files go to the trial's folder.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from algoperf_core.trackers import TrialFacts


class WandbTracker:
    """One run of W&B per attempt of a trial, grouped by benchmark, workload and submission."""

    def start(self, facts: TrialFacts, hyperparameters: Mapping[str, Any]) -> None:
        """Begins a run; the project is called as the benchmark unless `WANDB_PROJECT` says otherwise."""
        import wandb

        self._run = wandb.init(
            dir=facts.trial_dir,
            project=os.environ.get("WANDB_PROJECT") or facts.benchmark,
            name=facts.label,
            group=f"{facts.workload}/{facts.submission}",
            tags=[facts.workload, facts.framework, *(() if facts.scored else ("unscored",))],
            config=asdict(facts) | {"hyperparameters": dict(hyperparameters)},
            # What W&B would measure and record by itself takes time from the submission.
            settings=wandb.Settings(x_disable_stats=True, console="off", silent=True),
        )
        self._run.define_metric("*", step_metric="submission_s")

    def log(self, metrics: Mapping[str, float], global_step: int, submission_s: float) -> None:
        """Logs a row; charts have submission time as their axis."""
        row = dict(metrics) | {"global_step": global_step, "submission_s": submission_s}
        self._run.log(row)

    def finish(self, result: Mapping[str, Any]) -> None:
        """Writes the outcome into the run's summary and ends it; a crashed trial is a failed run."""
        self._run.summary.update({name: result[name] for name in SUMMARY if name in result})
        self._run.finish(exit_code=int(result["outcome"] in FAILURES))


SUMMARY = ("outcome", "time_to_target_s", "time_to_test_target_s", "global_step", "message")
FAILURES = ("crashed", "out_of_memory", "interrupted")
