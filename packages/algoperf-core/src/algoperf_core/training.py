"""The training loop: one trial of one submission on one workload, under the clock.

Rules (docs/protocol.md): data selection, update and preparation for evaluation are charged to the
submission, compilation included; evaluation and logging are not. Before the clock stops, the device has
finished everything that was dispatched. Where several processes train one trial, time is that of the slowest,
and all decide alike. The budget is checked after every step, and nothing is evaluated
once it is used. The first evaluation follows the first step, further ones each evaluation period of
submission time, and a last one when the submission says that training is complete.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

from algoperf_core import numpy_keys
from algoperf_core.backends import Backend, Key
from algoperf_core.errors import CheckpointError, SubmissionError, WorkloadError
from algoperf_core.ledger import Account, Clock, Ledger, Phase
from algoperf_core.outcomes import Outcome, StoppedBy, TrialResult
from algoperf_core.paused_work import Unwatched
from algoperf_core.processes import ALONE, Processes
from algoperf_core.seeds import derive_seed
from algoperf_core.spec import MetricsLogger, TrainingCompleteError, Workload
from algoperf_core.submission import Submission, checked_update
from algoperf_core.timed_queue import TimedQueue
from algoperf_core.trial_checkpoints import RunState

log = logging.getLogger(__name__)

# How far the host may run ahead of the device. Without a bound, JAX queues steps faster than it computes
# them, and evaluations and the budget's end would be noticed late.
MAX_STEPS_AHEAD = 2
# A failed evaluation is tried again after the next step; one that keeps failing ends the trial.
MAX_FAILED_EVALUATIONS = 3


# What a run counts and remembers between evaluations, and a checkpoint holds.
_COUNTERS = (
    "_evaluations",
    "_failed_evaluations",
    "_submission_s_at_last_eval",
    "_time_to_target_s",
    "_time_to_test_target_s",
)


class Recorder(MetricsLogger, Protocol):
    """Where the loop writes what it measures."""

    def append_evaluation(self, metrics: Mapping[str, float], global_step: int) -> None:
        """Records an evaluation, with its times; called on the logging account."""
        ...


class Progress(Protocol):
    """Who watches a trial while it runs; called after every step, so it must return at once."""

    def after_step(self, global_step: int, submission_s: float) -> None:
        """Takes note of a step."""
        ...

    def after_evaluation(self, metrics: Mapping[str, float]) -> None:
        """Takes note of an evaluation."""
        ...


class Checkpoints(Protocol):
    """Saves and restores a run; times are seconds of wall-clock in this process."""

    def begin(self, state: RunState, attempt_s: float) -> RunState | None:
        """Takes note of the state after set-up, and returns the one to continue from, if any."""
        ...

    def is_due(self, attempt_s: float) -> bool:
        """Whether it is time for a checkpoint."""
        ...

    def save(self, state: RunState, attempt_s: float) -> None:
        """Saves a run, or says why it cannot."""
        ...


@dataclass(frozen=True, kw_only=True)
class TrialPlan:
    """What is trained, and for how long.

    Args:
        workload: The workload.
        submission: The training algorithm.
        hyperparameters: Named tuple of this trial's point; None in the self-tuning ruleset.
        seed: Seed of the trial; the seeds of data, model, optimizer and steps derive from it by name.
        budget_s: Submission time in seconds after which the trial is over, the ruleset's factor included.
        data_dir: Where prepared datasets are.
        imagenet_v2_data_dir: Where the test split of ImageNet is, if not in `data_dir`.
        max_global_steps: Ends training after this many steps; None for no limit.
    """

    workload: Workload
    submission: Submission
    hyperparameters: Any
    seed: int
    budget_s: float
    data_dir: str
    imagenet_v2_data_dir: str | None = None
    max_global_steps: int | None = None


def batch_sizes(
    workload: Workload, submission: Submission, base_name: str, devices: int
) -> tuple[int, int]:
    """Global training and evaluation batch size, both divisible by the number of devices.

    `get_batch_size` may raise `ValueError` for a variant's name; it is then asked for its base workload, and
    where it does not know that either, the workload's own suggestion counts.

    Raises:
        SubmissionError: There is no batch size, or one does not divide by the number of devices.
    """
    train = _training_batch_size(workload, submission, base_name)
    evaluation = workload.eval_batch_size
    if submission.get_eval_batch_size is not None:
        evaluation = submission.get_eval_batch_size(workload.name)
    for function, size in (("get_batch_size", train), ("get_eval_batch_size", evaluation)):
        if size <= 0 or size % devices:
            raise SubmissionError(
                f"{function}({workload.name!r}) gives {size}, which does not divide by the {devices} "
                f"devices; the nearest that does is {max(round(size / devices), 1) * devices}"
            )
    return train, evaluation


def _training_batch_size(workload: Workload, submission: Submission, base_name: str) -> int:
    for name in (workload.name, base_name):
        try:
            return submission.get_batch_size(name)
        except ValueError as error:
            unknown = error
    if workload.suggested_batch_size is None:
        raise SubmissionError(
            f"the submission has no batch size for workload {workload.name!r}, which suggests none itself: "
            f"{unknown}; add one to the submission's get_batch_size or to the workload's definition "
            "(suggested_batch_size)"
        ) from unknown
    return workload.suggested_batch_size


class TrainingRun:
    """One trial, from set-up to its typed outcome.

    Args:
        plan: What is trained.
        backend: The framework.
        recorder: Where measurements go.
        progress: Who watches.
        now: Monotonic clock, in seconds.
        ledger: A ledger that is kept since the trial's process began; None starts one here.
        checkpoints: Where the run continues from, and is saved; None for neither.
        preemption_count: How often the trial was interrupted before.
        processes: Those that train the trial together.
        paused_work: Charges the submission for work while its clock is paused; None to leave that out.
    """

    def __init__(
        self,
        plan: TrialPlan,
        backend: Backend,
        recorder: Recorder,
        progress: Progress,
        now: Clock,
        *,
        ledger: Ledger | None = None,
        checkpoints: Checkpoints | None = None,
        preemption_count: int = 0,
        processes: Processes = ALONE,
        paused_work: Unwatched | None = None,
    ) -> None:
        self._processes = processes
        self.ledger = ledger or Ledger(now)
        self._checkpoints = checkpoints
        self._preemption_count = preemption_count
        self._paused_work = paused_work or Unwatched()
        self._plan = plan
        self._workload = plan.workload
        self._submission = plan.submission
        self._backend = backend
        self._recorder = recorder
        self._progress = progress
        self._fences: deque[Any] = deque()
        self._eval_results: list[tuple[int, dict[str, float]]] = []
        self._evaluations = 0
        self._failed_evaluations = 0
        self._last_metrics: Mapping[str, float] = {}
        self._submission_s_at_last_eval: float | None = None
        self._time_to_target_s: float | None = None
        self._time_to_test_target_s: float | None = None
        self._train_state: dict[str, Any] = {
            "validation_goal_reached": False,
            "test_goal_reached": False,
            "is_time_remaining": True,
            "last_eval_time": 0,
            "training_complete": False,
            "accumulated_submission_time": 0.0,
            "accumulated_eval_time": 0.0,
            "accumulated_logging_time": 0.0,
            "last_step_end_time": None,
        }
        self.global_step = 0
        self.batch_sizes: tuple[int, int] | None = None  # training and evaluation
        self.submission_involved = False  # whether what goes wrong may be the submission's doing

    @property
    def submission_s(self) -> float:
        """Submission time so far, in seconds: of the slowest process, as far as it was agreed on."""
        submission_s = self.ledger.seconds(Account.SUBMISSION)
        if self._processes.count == 1:
            return submission_s
        agreed_s: float = self._train_state["accumulated_submission_time"]
        return max(submission_s, agreed_s)

    def run(self) -> TrialResult:
        """Trains until the targets, the budget or the submission itself ends it."""
        self._set_up()
        while (stopped_by := self._stopped_by()) is None:
            self._step()
        self.ledger.switch(Phase.SYNCHRONIZE)
        self._backend.synchronize()
        self._charge()
        return self.result(self._outcome(stopped_by), stopped_by)

    def result(
        self, outcome: Outcome, stopped_by: StoppedBy | None = None, message: str | None = None
    ) -> TrialResult:
        """The trial so far, as a result with the given outcome."""
        return TrialResult(
            outcome=outcome,
            stopped_by=stopped_by,
            global_step=self.global_step,
            evaluations=self._evaluations,
            time_to_target_s=self._time_to_target_s,
            time_to_test_target_s=self._time_to_test_target_s,
            ledger_s=self.ledger.entries(),
            phases_s=self.ledger.breakdown(),
            preemption_count=self._preemption_count,
            message=message,
            paused_workers=self._paused_work.culprits,
        )

    # Set-up: not on the clock.

    def _set_up(self) -> None:
        workload, backend, plan = self._workload, self._backend, self._plan
        if workload.eval_period_time_sec is None:
            raise WorkloadError(
                f"workload {workload.name!r}: the benchmark sets no eval_period_s; add it"
            )
        self._eval_period_s = workload.eval_period_time_sec
        self.batch_sizes = batch_sizes(
            workload,
            self._submission,
            workload.goal.variant_of or workload.name,
            backend.device_count,
        )
        train_batch, self._eval_batch = self.batch_sizes
        self._with_train_state = self._submission.wants_train_state
        self._loop_key = self._key("loop")
        # The same words in both frameworks, which therefore train on the same batches.
        data_key = numpy_keys.key(derive_seed(plan.seed, "data"))
        self.ledger.switch(Phase.DATA)
        queue = self._processes.in_turns(
            lambda: workload._build_input_queue(data_key, "train", plan.data_dir, train_batch)
        )
        self._queue = TimedQueue(queue, self.ledger, self._paused_work.harness_work)
        self.ledger.switch(Phase.MODEL)
        self._params, self._model_state = workload.init_model_fn(self._key("model"))
        self._processes.separate_generators(
            derive_seed(plan.seed, f"process {self._processes.rank}")
        )
        workload.attach_metrics_logger(self._recorder)
        backend.synchronize()
        self.ledger.switch(Phase.OPTIMIZER)
        self.submission_involved = True
        self._paused_work.to_submission()
        self._optimizer_state = self._submission.init_optimizer_state(
            workload, self._params, self._model_state, plan.hyperparameters, self._key("optimizer")
        )
        backend.synchronize()
        self._paused_work.to_harness()
        self.ledger.switch(Phase.RESTORE)
        self._restore()
        self.ledger.switch(Phase.START)
        # The harness's own dispatches are compiled now, so that no submission pays for them.
        backend.step_keys(self._loop_key, 0)
        backend.wait(backend.fence(self._params))
        backend.synchronize()
        self._processes.barrier()
        self._paused_work.to_submission()
        self.ledger.switch(Phase.HARNESS)

    def _key(self, purpose: str) -> Key:
        return self._backend.key(derive_seed(self._plan.seed, purpose))

    # Checkpoints: not on the clock.

    def _state(self) -> RunState:
        get_position = getattr(self._queue, "get_state", None)
        return RunState(
            params=self._params,
            optimizer_state=self._optimizer_state,
            model_state=self._model_state,
            queue_position=None if get_position is None else get_position(),
            facts={
                "global_step": self.global_step,
                "ledger": self.ledger.breakdown(),
                "eval_results": self._eval_results,
                "train_state": self._train_state,
                "last_metrics": dict(self._last_metrics),
            }
            | {name: getattr(self, name) for name in _COUNTERS},
        )

    def _restore(self) -> None:
        if self._checkpoints is None:
            return
        state = self._state()
        # Nothing else may keep the fresh arrays alive while the saved ones are read.
        self._params = self._optimizer_state = self._model_state = None
        restored = self._checkpoints.begin(state, self.ledger.attempt_s)
        state = restored or state
        self._params, self._model_state = state.params, state.model_state
        self._optimizer_state = state.optimizer_state
        if restored is not None:
            self._continue_from(restored)

    def _continue_from(self, state: RunState) -> None:
        facts = state.facts
        self.ledger.resume(facts["ledger"])
        self.global_step = facts["global_step"]
        self._eval_results[:] = facts["eval_results"]
        self._train_state |= facts["train_state"]
        self._last_metrics = facts["last_metrics"]
        for name in _COUNTERS:
            setattr(self, name, facts[name])
        if state.queue_position is None:
            log.warning("the input queue has no position (get_state): its data start over")
        else:
            self._set_queue_position(state.queue_position)
        self._progress.after_step(self.global_step, self.submission_s)
        self._progress.after_evaluation(self._last_metrics)

    def _set_queue_position(self, position: Any) -> None:
        try:
            self._queue.set_state(position)
        except ValueError as error:
            raise CheckpointError(f"the input queue cannot be put back: {error}") from error

    def _save_if_due(self) -> None:
        if self._checkpoints is None or self._stopped_by() is not None:
            return
        if not self._processes.any(self._checkpoints.is_due(self.ledger.attempt_s)):
            return
        self.ledger.switch(Phase.CHECKPOINT)
        self._backend.synchronize()
        self._checkpoints.save(self._state(), self.ledger.attempt_s)
        self.ledger.charge()
        self._train_state["accumulated_logging_time"] = self.ledger.seconds(Account.LOGGING)

    # One step: on the clock.

    def _step(self) -> None:
        data_key, update_key, prepare_key, eval_key = self._backend.step_keys(
            self._loop_key, self.global_step
        )
        self.ledger.switch(Phase.DATA_SELECTION)
        batch = self._submission.data_selection(
            self._workload,
            self._queue,
            self._optimizer_state,
            self._params,
            self._model_state,
            self._plan.hyperparameters,
            self.global_step,
            data_key,
        )
        self.ledger.switch(Phase.UPDATE)
        self._update(batch, update_key)
        del batch
        self.ledger.switch(Phase.HARNESS)
        self.global_step += 1
        if (
            self._plan.max_global_steps is not None
            and self.global_step >= self._plan.max_global_steps
        ):
            self._train_state["training_complete"] = True
        self._bound_run_ahead()
        self._charge()
        if self._train_state["is_time_remaining"] and self._evaluation_is_due():
            self._evaluate(prepare_key, eval_key)
        submission_s = self._train_state["accumulated_submission_time"]
        self._progress.after_step(self.global_step, submission_s)

    def _state_arguments(self) -> dict[str, Any]:
        return {
            "workload": self._workload,
            "current_param_container": self._params,
            "current_params_types": self._workload.model_params_types,
            "model_state": self._model_state,
            "hyperparameters": self._plan.hyperparameters,
            "loss_type": self._workload.loss_type,
            "optimizer_state": self._optimizer_state,
            "eval_results": self._eval_results,
            "global_step": self.global_step,
        }

    def _update(self, batch: Any, key: Key) -> None:
        extra = (
            {"train_state": MappingProxyType(self._train_state)} if self._with_train_state else {}
        )
        try:
            updated = self._submission.update_params(
                **self._state_arguments(), batch=batch, rng=key, **extra
            )
        except TrainingCompleteError:
            self._train_state["training_complete"] = True
            return
        self._optimizer_state, self._params, self._model_state = checked_update(
            "update_params", updated
        )

    def _bound_run_ahead(self) -> None:
        self._fences.append(self._backend.fence(self._params))
        if len(self._fences) > MAX_STEPS_AHEAD:
            self.ledger.switch(Phase.SYNCHRONIZE)
            self._backend.wait(self._fences.popleft())
            self.ledger.switch(Phase.HARNESS)

    def _charge(self) -> None:
        self.ledger.charge()
        submission_s, total_s = self.ledger.seconds(Account.SUBMISSION), self.ledger.total_s
        if self._processes.count > 1:
            submission_s, total_s = self._agree_on_step(submission_s, total_s)
        self._note_submission_time(submission_s, total_s)

    def _note_submission_time(self, submission_s: float, total_s: float) -> None:
        self._train_state["accumulated_submission_time"] = submission_s
        self._train_state["last_step_end_time"] = total_s
        self._train_state["is_time_remaining"] = submission_s < self._plan.budget_s

    def _agree_on_step(self, submission_s: float, total_s: float) -> tuple[float, float]:
        """The slowest process's times; all complete training if one does. Waiting is on the clock."""
        self.ledger.switch(Phase.SYNCHRONIZE)
        complete = float(self._train_state["training_complete"])
        # Never back: a process may continue from a checkpoint that another one's ledger was ahead of.
        submission_s = max(submission_s, self._train_state["accumulated_submission_time"])
        submission_s, total_s, complete = self._processes.agree((submission_s, total_s, complete))
        self._train_state["training_complete"] = bool(complete)
        self.ledger.switch(Phase.HARNESS)
        return submission_s, total_s

    def _evaluation_is_due(self) -> bool:
        if self._train_state["training_complete"] or self._submission_s_at_last_eval is None:
            return True
        submission_s: float = self._train_state["accumulated_submission_time"]
        return submission_s - self._submission_s_at_last_eval >= self._eval_period_s

    # Evaluation: prepared on the clock, done off it.

    def _evaluate(self, prepare_key: Key, eval_key: Key) -> None:
        if self._submission.prepare_for_eval is not None:
            self.ledger.switch(Phase.PREPARE_FOR_EVAL)
            prepared = self._submission.prepare_for_eval(**self._state_arguments(), rng=prepare_key)
            self._optimizer_state, self._params, self._model_state = checked_update(
                "prepare_for_eval", prepared
            )
        self.ledger.switch(Phase.SYNCHRONIZE)
        self._fences.clear()
        self._backend.synchronize()
        self.ledger.switch(Phase.HARNESS)
        self._charge()
        if not self._train_state["is_time_remaining"]:
            return
        self.ledger.switch(Phase.EVALUATION)
        with self._paused_work.pause(self.ledger):
            metrics = self._metrics(eval_key)
            # Before the row is written, so that its time holds what was done beside the evaluation.
            self._charge_paused_work()
            if metrics is not None:
                self.ledger.switch(Phase.MEASUREMENTS)
                self._record(metrics)
                self._save_if_due()
            self._charge_paused_work()
        if self._processes.count > 1:
            self._agree_on_logging()
        self.ledger.switch(Phase.HARNESS)

    def _agree_on_logging(self) -> None:
        # Nobody's clock starts before the process that writes is back.
        logging_s = self._train_state["accumulated_logging_time"]
        (self._train_state["accumulated_logging_time"],) = self._processes.agree((logging_s,))

    def _charge_paused_work(self) -> None:
        charged_s = self._paused_work.charge(self.ledger)
        # All processes agree, although the submission may have worked in one of them only.
        if self._processes.any(charged_s > 0.0):
            (submission_s,) = self._processes.agree((self.submission_s,))
            self._note_submission_time(submission_s, self.ledger.total_s)

    def _metrics(self, key: Key) -> dict[str, float] | None:
        self._backend.release_memory()
        failure: RuntimeError | None = None
        try:
            metrics = self._workload.eval_model(
                self._eval_batch,
                self._params,
                self._model_state,
                key,
                self._plan.data_dir,
                self._plan.imagenet_v2_data_dir,
                self.global_step,
            )
        # Frameworks report failures on the device (memory, a lost link) as RuntimeError; the published
        # benchmark forgives these and evaluates again after the next step.
        except RuntimeError as error:
            failure = error
        finally:
            self._backend.release_memory()
        if self._processes.any(failure is not None):
            failure = failure or RuntimeError("the evaluation failed in another process")
            self._failed_evaluations += 1
            if self._failed_evaluations >= MAX_FAILED_EVALUATIONS:
                raise failure
            log.warning(
                "evaluation at step %d failed: %s", self.global_step, failure, exc_info=failure
            )
            return None
        self._failed_evaluations = 0
        return metrics

    def _record(self, metrics: dict[str, float]) -> None:
        submission_s, total_s, set_up_s, evaluation_s, logging_s = self._processes.agree(
            (
                self.submission_s,
                self.ledger.total_s,
                self.ledger.seconds(Account.SET_UP),
                self.ledger.seconds(Account.EVALUATION),
                # As of before this logging: the switch to the logging account charged nothing yet.
                self.ledger.seconds(Account.LOGGING),
            )
        )
        self._submission_s_at_last_eval = submission_s
        self._last_metrics = metrics
        self._evaluations += 1
        self._note_goals(metrics, submission_s)
        self._train_state |= {
            "last_eval_time": total_s,
            "accumulated_eval_time": evaluation_s,
        }
        row = metrics | {
            "score": submission_s,
            "total_duration": total_s - set_up_s,
            "accumulated_submission_time": submission_s,
            "accumulated_eval_time": evaluation_s,
            "accumulated_logging_time": logging_s,
            "global_step": self.global_step,
            "preemption_count": self._preemption_count,
        }
        self._eval_results.append((self.global_step, row))
        self._recorder.append_evaluation(row, self.global_step)
        self._progress.after_evaluation(metrics)
        self.ledger.charge()
        self._train_state["accumulated_logging_time"] = self.ledger.seconds(Account.LOGGING)

    def _note_goals(self, metrics: Mapping[str, float], submission_s: float) -> None:
        if self._time_to_target_s is None and self._workload.has_reached_validation_target(metrics):
            self._time_to_target_s = submission_s
            self._train_state["validation_goal_reached"] = True
        if self._time_to_test_target_s is None and self._workload.has_reached_test_target(metrics):
            self._time_to_test_target_s = submission_s
            self._train_state["test_goal_reached"] = True

    # The end.

    def _stopped_by(self) -> StoppedBy | None:
        test_done = (
            self._workload.test_target_value is None or self._time_to_test_target_s is not None
        )
        if self._time_to_target_s is not None and test_done:
            return StoppedBy.TARGETS
        if not self._train_state["is_time_remaining"]:
            return StoppedBy.BUDGET
        if self._train_state["training_complete"]:
            return StoppedBy.TRAINING_COMPLETE
        return None

    def _outcome(self, stopped_by: StoppedBy) -> Outcome:
        if self._time_to_target_s is not None:
            return Outcome.TARGET_REACHED
        metric = f"validation/{self._workload.target_metric_name}"
        if not math.isfinite(self._last_metrics.get(metric, 0.0)):
            return Outcome.DIVERGED
        if stopped_by is StoppedBy.TRAINING_COMPLETE:
            return Outcome.TRAINING_COMPLETE
        return Outcome.BUDGET_EXHAUSTED
