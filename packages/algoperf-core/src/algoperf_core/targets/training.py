"""Trains a run of the procedure with the loop of trials, on a clock that counts steps instead of seconds."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from algoperf_core.backends import load_backend
from algoperf_core.registry import workload_provider
from algoperf_core.seeds import derive_seed
from algoperf_core.sources import find_submission, load
from algoperf_core.spec import Framework
from algoperf_core.targets.procedure import Run
from algoperf_core.targets.results import Curve
from algoperf_core.training import TrainingRun, TrialPlan
from algoperf_core.tuning import Point, hyperparameters
from algoperf_scoring import BenchmarkWorkload


@dataclass
class StepClock:
    """A clock that counts steps, so that evaluations fall due by them, on any machine the same.

    It stands where a trial has its clock and its progress.

    Args:
        steps: Number of steps so far.
    """

    steps: int = 0

    def __call__(self) -> float:
        """The time: steps that are done."""
        return float(self.steps)

    def after_step(self, global_step: int, submission_s: float) -> None:
        """Lets time pass."""
        del submission_s
        self.steps = global_step

    def after_evaluation(self, metrics: Mapping[str, float]) -> None:
        """Nothing: `Evaluations` records them."""


@dataclass
class Evaluations:
    """Keeps what a run measures; stands where a trial has its log files.

    Args:
        rows: Step and metrics of each evaluation.
    """

    rows: list[tuple[int, Mapping[str, float]]] = field(default_factory=list)

    def append_evaluation(self, metrics: Mapping[str, float], global_step: int) -> None:
        """Keeps an evaluation."""
        self.rows.append((global_step, metrics))

    def append_scalar_metrics(self, metrics: Mapping[str, Any], global_step: int) -> None:
        """Drops what the submission logs of its own."""


def train(
    run: Run,
    point: Point,
    goal: BenchmarkWorkload,
    *,
    framework: Framework,
    data_dir: str,
    evaluations: int,
    root_seed: int,
) -> Curve:
    """Trains once, whatever targets and budget are, and evaluates about evenly.

    Args:
        run: What is trained.
        point: Its hyperparameters.
        goal: What the benchmark asks of the workload; its targets and times are left out of account.
        framework: The framework.
        data_dir: Where prepared datasets are.
        evaluations: Number of evaluations after the first, which follows the first step.
        root_seed: Root of all seeds.
    """
    # Data and programs of the run before hang in cycles of references, too large to wait for.
    gc.collect()
    clock, recorder = StepClock(), Evaluations()
    endless = replace(
        goal,
        validation_target=-math.inf if goal.direction == "minimize" else math.inf,
        test_target=None,
        step_hint=run.steps,
        eval_period_s=max(run.steps / evaluations, 1.0),
    )
    plan = TrialPlan(
        workload=workload_provider(goal.name).create(framework, endless),
        submission=load(find_submission(run.algorithm), framework),
        hyperparameters=hyperparameters(point),
        seed=derive_seed(root_seed, goal.name, run.algorithm, run.point, run.seed),
        budget_s=math.inf,
        data_dir=data_dir,
        max_global_steps=run.steps,
    )
    started_s = time.perf_counter()
    TrainingRun(plan, load_backend(framework), recorder, clock, clock).run()
    return Curve(
        run=run,
        hyperparameters=dict(point),
        evaluated_at=tuple(step for step, _ in recorder.rows),
        validation=_values(recorder, f"validation/{goal.metric}"),
        test=_values(recorder, f"test/{goal.metric}"),
        seconds=round(time.perf_counter() - started_s, 2),
    )


def _values(recorder: Evaluations, key: str) -> tuple[float, ...]:
    rows = [metrics for _, metrics in recorder.rows if key in metrics]
    return tuple(round(float(metrics[key]), 6) for metrics in rows)
