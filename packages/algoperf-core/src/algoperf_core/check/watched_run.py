"""A short training run under guards, in this process."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from algoperf_core.backends import Backend
from algoperf_core.background import BackgroundWork, Worker
from algoperf_core.check.audit import Audit
from algoperf_core.check.contents import digest
from algoperf_core.check.frozen_names import FrozenNames
from algoperf_core.check.guards import (
    Guard,
    ModelGuard,
    NamesGuard,
    ProcessGuard,
    SeedGuard,
    SelectionGuard,
    WorkloadGuard,
)
from algoperf_core.check.observations import Line, Observations
from algoperf_core.check.recording import WatchedQueue
from algoperf_core.check.watched_submission import WatchedSubmission
from algoperf_core.spec import Workload
from algoperf_core.submission import Submission
from algoperf_core.training import TrainingRun, TrialPlan

# After an evaluation the clock stays paused for so long, that work in the background shows even if the
# evaluation itself takes no time.
LINGER_S = 0.1
# What waiting threads use to wake up and to wait on.
IDLE_S = 0.01


class StepClock:
    """A clock that moves by one second a step, so that two runs evaluate at the same steps."""

    def __init__(self) -> None:
        self._now_s = 0.0

    def __call__(self) -> float:
        """Seconds since the first step."""
        return self._now_s

    def advance(self) -> None:
        """A step begins."""
        self._now_s += 1.0


@dataclass(eq=False)
class Measured:
    """What the run measures, kept in memory."""

    evaluations: list[dict[str, float]] = field(default_factory=list)

    def append_scalar_metrics(self, metrics: Mapping[str, Any], global_step: int) -> None:
        """Takes scalars of the submission."""

    def append_evaluation(self, metrics: Mapping[str, float], global_step: int) -> None:
        """Keeps an evaluation."""
        self.evaluations.append(dict(metrics))

    def after_step(self, global_step: int, submission_s: float) -> None:
        """Does nothing."""

    def after_evaluation(self, metrics: Mapping[str, float]) -> None:
        """Does nothing."""


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """What to run, and how long.

    Args:
        steps: Number of steps, at least 2.
        hyperparameters: The point; None in the self-tuning ruleset.
        data_dir: Where prepared datasets are.
        seed: Seed of the run.
    """

    steps: int
    hyperparameters: Any = None
    data_dir: str = ""
    seed: int = 0


class WatchedRun:
    """Trains a few steps and looks at everything that a submission must leave alone.

    Args:
        workload: The workload; its functions for input and evaluation are wrapped.
        backend: The framework.
        observations: Where findings go.
        names: Functions that must stay what they are.
        audit: Listens to the interpreter; None to leave that out.
        linger_s: How long the clock stays paused after an evaluation.
    """

    def __init__(
        self,
        workload: Workload,
        backend: Backend,
        observations: Observations,
        names: FrozenNames,
        audit: Audit | None = None,
        linger_s: float = LINGER_S,
    ) -> None:
        self._workload = workload
        self._backend = backend
        self._observations = observations
        self._audit = audit
        self._linger_s = linger_s
        self._clock = StepClock()
        self._processes = ProcessGuard()
        self._work = BackgroundWork(self._workers)
        self._watched: WatchedSubmission
        self._run: TrainingRun | None = None
        self.measured = Measured()
        self.queue: WatchedQueue | None = None
        self._names = names

    @property
    def submission_involved(self) -> bool:
        """Whether what goes wrong may be the submission's doing."""
        return self._run is None or self._run.submission_involved

    @property
    def final_digest(self) -> str | None:
        """A digest of the last parameters."""
        return self._watched.returned.digest

    def load(self, import_it: Callable[[], Submission]) -> Submission:
        """Imports a submission under the guards that make sense so early."""
        guards: list[Guard] = [
            NamesGuard(self._observations, self._names),
            self._processes,
        ]
        early = WatchedSubmission(_NO_SUBMISSION, self._observations, guards, self._clock.advance)
        with early.watch("the import", None, {}):
            return import_it()

    def train(self, submission: Submission, settings: RunSettings) -> None:
        """Trains and evaluates at least twice."""
        guards: list[Guard] = [
            NamesGuard(self._observations, self._names),
            WorkloadGuard(self._observations, self._workload),
            ModelGuard(self._observations),
            SelectionGuard(self._observations),
            SeedGuard(self._observations),
            self._processes,
        ]
        self._watched = WatchedSubmission(
            submission, self._observations, guards, self._clock.advance, self._guarded
        )
        self._wrap_workload()
        # What the harness imported and wrapped until now is no change.
        self._names.changed()
        self._run = TrainingRun(
            self._plan(settings), self._backend, self.measured, self.measured, now=self._clock
        )
        self._run.run()
        self._note_metrics()

    def _plan(self, settings: RunSettings) -> TrialPlan:
        # A step takes a second: the first evaluation is after the first step, the last at the end.
        period_s = float(max(settings.steps // 4, 1))
        self._workload.goal = replace(self._workload.goal, eval_period_s=period_s)
        return TrialPlan(
            workload=self._workload,
            submission=self._watched.submission(),
            hyperparameters=settings.hyperparameters,
            seed=settings.seed,
            budget_s=math.inf,
            data_dir=settings.data_dir,
            max_global_steps=settings.steps,
        )

    def _guarded(self, queue: Iterator[Any]) -> WatchedQueue:
        if self.queue is None:
            self.queue = WatchedQueue(queue, self._observations)
        return self.queue

    # The workload, wrapped.

    def _wrap_workload(self) -> None:
        build, evaluate = self._workload._build_input_queue, self._workload.eval_model

        def build_input_queue(*args: Any, **kwargs: Any) -> Iterator[Any]:
            if self._watched.inside:
                line = self._observations.current_line()
                self._observations.add("input-queue-built", "calls _build_input_queue", line)
                return build(*args, **kwargs)
            return _Batches(build(*args, **kwargs), self._processes)

        def eval_model(*args: Any, **kwargs: Any) -> dict[str, float]:
            if self._watched.inside:
                line = self._observations.current_line()
                self._observations.add("evaluation-on-clock", "evaluates on the clock", line)
                return evaluate(*args, **kwargs)
            return self._evaluate(evaluate, *args, **kwargs)

        self._workload._build_input_queue = build_input_queue  # type: ignore[method-assign]
        self._workload.eval_model = eval_model  # type: ignore[method-assign]

    def _evaluate(
        self,
        evaluate: Callable[..., dict[str, float]],
        batch_size: int,
        params: Any,
        model_state: Any,
        *rest: Any,
    ) -> dict[str, float]:
        self._work.start()
        self._check_evaluated(params, model_state, "are not those that the submission returned")
        metrics = evaluate(batch_size, params, model_state, *rest)
        time.sleep(self._linger_s)
        self._note_work()
        self._check_evaluated(params, model_state, "changed while they were evaluated")
        return metrics

    def _check_evaluated(self, params: Any, model_state: Any, what: str) -> None:
        returned = self._watched.returned
        same = params is returned.params and digest((params, model_state)) == returned.digest
        if not same:
            self._observations.add("evaluated-parameters", f"the evaluated parameters {what}")
            returned.note(params, model_state)

    # Work beside the main thread.

    def _threads(self) -> dict[threading.Thread, Line]:
        return {} if self._audit is None else self._audit.threads

    def _workers(self) -> list[Worker]:
        threads = [thread for thread in self._threads() if thread.is_alive()]
        return [*threads, *(process for process in self._processes.started if process.is_running())]

    def _note_work(self) -> None:
        threads, processes = self._threads(), self._processes.started
        for worker, seconds in self._work.stop().items():
            if isinstance(worker, threading.Thread):
                kind, line = "a thread", threads.get(worker)
            else:
                kind, line = "a process", processes.get(worker)
            if seconds > IDLE_S:
                detail = f"{kind} computed while the clock was paused, {seconds:.2f} s of it"
                self._observations.add("paused-work", detail, line)
            else:
                detail = f"{kind} is alive while the clock is paused"
                self._observations.add("threads", detail, line)

    def _note_metrics(self) -> None:
        metric = f"validation/{self._workload.target_metric_name}"
        for row in self.measured.evaluations:
            if not math.isfinite(row.get(metric, 0.0)):
                step = int(row["global_step"])
                self._observations.add("nan-loss", f"{metric} is not finite at step {step}")


class _Batches(Iterator[Any]):
    """The harness's queue; processes that it starts are the harness's."""

    def __init__(self, batches: Iterator[Any], processes: ProcessGuard) -> None:
        self._batches = batches
        self._processes = processes

    def __next__(self) -> Any:
        return self._processes.harness_started(lambda: next(self._batches))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batches, name)


def _nothing(*args: Any, **kwargs: Any) -> Any:
    raise NotImplementedError


_NO_SUBMISSION = Submission(
    get_batch_size=_nothing, init_optimizer_state=_nothing, update_params=_nothing
)
