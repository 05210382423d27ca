"""MLflow; its own settings rule (`MLFLOW_TRACKING_URI`, `MLFLOW_EXPERIMENT_NAME`), local stores included."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from algoperf_core.trackers import TrialFacts

LARGEST_BATCH = 1000  # metrics in one request, as MLflow's server allows


class MlflowTracker:
    """One run of MLflow per attempt of a trial; the experiment is called as the benchmark."""

    def start(self, facts: TrialFacts, hyperparameters: Mapping[str, Any]) -> None:
        """Creates the run with the facts as tags and the hyperparameters as parameters."""
        from mlflow.entities import Metric, Param
        from mlflow.tracking import MlflowClient

        self._metric = Metric
        self._client = MlflowClient()
        self._started_at = time.time()
        experiment = os.environ.get("MLFLOW_EXPERIMENT_NAME") or facts.benchmark
        tags = {f"algoperf.{name}": str(value) for name, value in asdict(facts).items()}
        run = self._client.create_run(self._experiment(experiment), tags=tags, run_name=facts.label)
        self._run_id = run.info.run_id
        params = [Param(_name(name), str(value)) for name, value in hyperparameters.items()]
        self._client.log_batch(self._run_id, params=params)

    def log(self, metrics: Mapping[str, float], global_step: int, submission_s: float) -> None:
        """Logs a row; its moment is the start of the trial plus its submission time."""
        moment_ms = round(1000 * (self._started_at + submission_s))
        batch = [
            self._metric(_name(name), float(value), moment_ms, global_step)
            for name, value in metrics.items()
        ]
        for start in range(0, len(batch), LARGEST_BATCH):
            self._client.log_batch(self._run_id, metrics=batch[start : start + LARGEST_BATCH])

    def finish(self, result: Mapping[str, Any]) -> None:
        """Tags the run with the outcome and ends it."""
        outcome = result["outcome"]
        self._client.set_tag(self._run_id, "algoperf.outcome", outcome)
        time_to_target = result.get("time_to_target_s")
        if time_to_target is not None:
            self._client.log_metric(self._run_id, "time_to_target_s", time_to_target)
        self._client.set_terminated(self._run_id, STATUS.get(outcome, "FINISHED"))

    def _experiment(self, name: str) -> str:
        from mlflow.exceptions import MlflowException

        found = self._client.get_experiment_by_name(name)
        if found is None:
            try:
                return str(self._client.create_experiment(name))
            except MlflowException:
                # Another trial created it at the same time.
                found = self._client.get_experiment_by_name(name)
                if found is None:
                    raise
        return str(found.experiment_id)


STATUS = {"crashed": "FAILED", "out_of_memory": "FAILED", "interrupted": "KILLED"}


def _name(name: str) -> str:
    # What MLflow allows in names of metrics and parameters.
    return re.sub(r"[^\w\-./ :]", "_", name)
