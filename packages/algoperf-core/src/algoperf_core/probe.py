"""A short look at a trial: a few steps and an evaluation, measured, in a process of its own.

`python -m algoperf_core.probe FOLDER` reads `trial.json` and `benchmark.toml`, runs the training loop that
trials run, and leaves `probe.json`. It never scores and leaves no logs; `algoperf memory` and
`algoperf estimate` are made of it.
"""

from __future__ import annotations

import argparse
import functools
import logging
import math
import os
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from algoperf_core.backends import Backend, load_backend
from algoperf_core.ledger import Account
from algoperf_core.memory import device_bytes, peak_device_bytes, peak_host_bytes, tree_bytes
from algoperf_core.registry import workload_provider
from algoperf_core.sources import find_submission, load
from algoperf_core.spec import Workload
from algoperf_core.submission import Submission
from algoperf_core.training import TrainingRun, TrialPlan
from algoperf_core.trial_spec import TrialSpec, benchmark_file, read_spec, write_json
from algoperf_core.tuning import hyperparameters
from algoperf_scoring import AlgoperfError, Benchmark, load_benchmark

PROBE_FILE = "probe.json"
# Compilation, and the second compilation that many JAX submissions cause by changing a type.
WARM_UP_STEPS = 3
# An evaluation that took longer than this is not repeated to tell its compilation apart.
REPEATED_EVALUATION_S = 30.0


@dataclass(kw_only=True)
class Measurement:
    """What a probe found out so far; written at every change of phase, should the process be killed.

    Args:
        status: `running`, `measured`, `unavailable` (nothing to do with the submission: data or a package
            are missing), `out_of_memory`, or `failed`.
        phase: `set_up`, `step` or `evaluation`: what was going on last.
        message: What went wrong.
        batch_size: Global training batch size.
        eval_batch_size: Global evaluation batch size.
        device: Model of the accelerator, or `cpu`.
        device_count: Number of devices that batches are split over.
        set_up_s: Seconds of set-up.
        compilation_s: Seconds that the first steps took longer than later ones.
        step_s: Seconds of a step after these.
        steps: Number of steps that `step_s` is the mean of.
        first_evaluation_s: Seconds of the first evaluation, compilation included.
        evaluation_s: Seconds of a later evaluation; of the first where `evaluation_compiled` is False.
        evaluation_compiled: Whether `evaluation_s` is free of compilation.
        host_peak_bytes: Peak resident memory after each phase.
        device_peak_bytes: Peak memory on the accelerator after each phase; empty without one.
        device_bytes: Memory of the accelerator.
        parameter_bytes: Size of parameters and model state.
        optimizer_bytes: Size of the optimizer state.
        row_bytes: Length of an evaluation's row in the logs.
        scalar_bytes: Length of what the submission logged.
        scalar_steps: Number of steps in which it did.
    """

    status: str = "running"
    phase: str = "set_up"
    message: str | None = None
    batch_size: int | None = None
    eval_batch_size: int | None = None
    device: str | None = None
    device_count: int | None = None
    set_up_s: float | None = None
    compilation_s: float | None = None
    step_s: float | None = None
    steps: int = 0
    first_evaluation_s: float | None = None
    evaluation_s: float | None = None
    evaluation_compiled: bool = False
    host_peak_bytes: dict[str, int] = field(default_factory=dict)
    device_peak_bytes: dict[str, int] = field(default_factory=dict)
    device_bytes: int | None = None
    parameter_bytes: int | None = None
    optimizer_bytes: int | None = None
    row_bytes: int = 0
    scalar_bytes: int = 0
    scalar_steps: int = 0

    @property
    def host_peak(self) -> int | None:
        """Peak resident memory over all phases."""
        return max(self.host_peak_bytes.values(), default=None)

    @property
    def device_peak(self) -> int | None:
        """Peak memory on the accelerator over all phases."""
        return max(self.device_peak_bytes.values(), default=None)


class EnoughMeasuredError(Exception):
    """Ends the loop: everything has been measured."""


class EvaluationFailedError(Exception):
    """Ends the loop: trials forgive failed evaluations, a measurement does not."""


class Probe:
    """Watches a training loop from its callbacks, and ends it after a few steps.

    It stands where a trial has its measurements and its progress.

    Args:
        warm_up: Steps before those that are timed.
        steps: Steps that are timed.
        repeat: Whether to evaluate a second time if the first was quick.
        backend: The framework.
        save: Called with the measurement at every change of phase.
    """

    def __init__(
        self,
        warm_up: int,
        steps: int,
        repeat: bool,
        backend: Backend,
        save: Callable[[Measurement], None],
    ) -> None:
        self.found = Measurement(
            device=backend.hardware().get("gpu_model_name", "cpu"),
            device_count=backend.device_count,
        )
        self.last_step = warm_up + steps + 1
        self._warm_up = warm_up
        self._steps = steps
        self._repeat = repeat
        self._backend = backend
        self._save = save
        self._warm_s = 0.0
        self._metrics: dict[str, float] | None = None
        self.run: TrainingRun | None = None

    # Where measurements and progress would be.

    def append_scalar_metrics(self, metrics: Mapping[str, Any], global_step: int) -> None:
        """Counts what the submission logs; values are left on their device."""
        self.found.scalar_steps += 1
        self.found.scalar_bytes += 12 * (len(metrics) + 1)

    def append_evaluation(self, metrics: Mapping[str, float], global_step: int) -> None:
        """Notes how long a row is."""
        self.found.row_bytes = len(",".join(map(str, metrics.values()))) + 1

    def after_evaluation(self, metrics: Mapping[str, float]) -> None:
        """Does nothing."""

    def after_step(self, global_step: int, submission_s: float) -> None:
        """Takes times at the end of the warm-up and of the timed steps."""
        if global_step == self._warm_up:
            self._warm_s = self._elapsed()
            self._note_memory()
        if global_step == self._warm_up + self._steps:
            self._note_steps(self._steps)
            quick = (self.found.first_evaluation_s or math.inf) <= REPEATED_EVALUATION_S
            if not (self._repeat and quick):
                raise EnoughMeasuredError

    def _elapsed(self) -> float:
        if self.run is None:
            return 0.0
        self._backend.synchronize()
        self.run.ledger.charge()
        return self.run.ledger.seconds(Account.SUBMISSION)

    def _note_steps(self, steps: int) -> None:
        found = self.found
        found.steps = steps
        found.step_s = (self._elapsed() - self._warm_s) / steps
        found.compilation_s = max(self._warm_s - self._warm_up * found.step_s, 0.0)
        self._note_memory()

    def _note_memory(self) -> None:
        found, framework = self.found, self._backend.framework
        found.host_peak_bytes[found.phase] = peak_host_bytes()
        if (peak := peak_device_bytes(framework)) is not None:
            found.device_peak_bytes[found.phase] = peak
            found.device_bytes = device_bytes(framework)
        self._save(found)

    def _enter(self, phase: str) -> None:
        self._note_memory()
        self.found.phase = phase
        self._save(self.found)

    # What the loop calls, listened to.

    def listen(self, submission: Submission) -> Submission:
        """The submission, whose batch size and sizes of state are noted as they come."""

        @functools.wraps(submission.init_optimizer_state)
        def init_optimizer_state(*arguments: Any) -> Any:
            if self.run is not None and self.run.batch_sizes is not None:
                self.found.batch_size = self.run.batch_sizes[0]
            state = submission.init_optimizer_state(*arguments)
            self._enter("step")
            return state

        @functools.wraps(submission.update_params)
        def update_params(**arguments: Any) -> Any:
            updated = submission.update_params(**arguments)
            if arguments["global_step"] == 0:
                self._note_sizes(updated)
            return updated

        return replace(
            submission,
            init_optimizer_state=init_optimizer_state,
            update_params=update_params,
        )

    def _note_sizes(self, updated: Any) -> None:
        if isinstance(updated, tuple) and len(updated) == 3:
            framework = self._backend.framework
            self.found.optimizer_bytes = tree_bytes(updated[0], framework)
            self.found.parameter_bytes = tree_bytes(updated[1:], framework)

    def listen_to_evaluations(self, workload: Workload) -> None:
        """Times the first evaluation and the last; those between are skipped, and no target is ever met."""
        evaluate = workload.eval_model

        def eval_model(*arguments: Any, **options: Any) -> dict[str, float]:
            step = arguments[6] if len(arguments) > 6 else options["global_step"]
            if self._metrics is None or step >= self.last_step:
                self._metrics = self._evaluate(lambda: evaluate(*arguments, **options))
                self.found.eval_batch_size = arguments[0]
                goal = f"/{workload.target_metric_name}"
                hidden = {name: math.nan for name in self._metrics if name.endswith(goal)}
                self._metrics |= hidden
            return dict(self._metrics)

        # On the instance: a submission may hold the workload by identity.
        workload.__dict__["eval_model"] = eval_model

    def _evaluate(self, evaluate: Callable[[], dict[str, float]]) -> dict[str, float]:
        self._enter("evaluation")
        begin = time.perf_counter()
        try:
            metrics = evaluate()
        except RuntimeError as error:
            raise EvaluationFailedError(str(error)) from error
        elapsed = time.perf_counter() - begin
        found = self.found
        if found.first_evaluation_s is None:
            found.first_evaluation_s = elapsed
        else:
            found.evaluation_compiled = True
        found.evaluation_s = elapsed
        self._enter("step")
        return metrics

    def conclude(self) -> None:
        """Takes times from a submission that ended training by itself."""
        done = self.run.global_step - self._warm_up if self.run is not None else 0
        if self.found.step_s is None and done > 0:
            self._note_steps(done)


def measure(
    folder: Path, *, warm_up: int = WARM_UP_STEPS, steps: int = 20, repeat: bool = True
) -> Measurement:
    """Measures the trial that a folder specifies, in this process.

    Args:
        folder: Holds `trial.json` and `benchmark.toml`; `probe.json` is kept up to date in it.
        warm_up: Steps before those that are timed.
        steps: Steps that are timed.
        repeat: Whether to evaluate a second time if the first was quick.
    """
    begun = Measurement()
    try:
        spec = read_spec(folder)
        backend = load_backend(spec.framework)
        probe = Probe(
            warm_up,
            steps,
            repeat,
            backend,
            lambda found: write_json(folder / PROBE_FILE, asdict(found)),
        )
        begun = probe.found
        run = _run(spec, load_benchmark(benchmark_file(folder)), probe, backend)
    except (AlgoperfError, ImportError) as error:
        begun.status, begun.message = "unavailable", str(error)
        return begun
    with Ending(run, probe, backend):
        run.run()
        probe.conclude()
    return probe.found


def _run(spec: TrialSpec, benchmark: Benchmark, probe: Probe, backend: Backend) -> TrainingRun:
    goal = benchmark.workload(spec.workload)
    workload = workload_provider(spec.workload).create(spec.framework, goal)
    probe.listen_to_evaluations(workload)
    point = spec.hyperparameters
    plan = TrialPlan(
        workload=workload,
        submission=probe.listen(load(find_submission(spec.submission), spec.framework)),
        hyperparameters=None if point is None else hyperparameters(point),
        seed=spec.seed,
        budget_s=math.inf,
        data_dir=spec.data_dir,
        imagenet_v2_data_dir=spec.imagenet_v2_data_dir,
        max_global_steps=probe.last_step,
    )
    probe.run = TrainingRun(plan, backend, probe, probe, now=time.perf_counter)
    return probe.run


class Ending:
    """Turns however the loop ends into the status of the measurement."""

    def __init__(self, run: TrainingRun, probe: Probe, backend: Backend) -> None:
        self._run = run
        self._probe = probe
        self._backend = backend

    def __enter__(self) -> Ending:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        found = self._probe.found
        found.set_up_s = self._run.ledger.seconds(Account.SET_UP)
        if error is None or isinstance(error, EnoughMeasuredError):
            found.status = "measured"
            return True
        if not isinstance(error, Exception):
            return False
        cause = error.__cause__ if isinstance(error, EvaluationFailedError) else None
        found.status = _status(cause or error, self._run, self._backend)
        found.message = "".join(traceback.format_exception_only(cause or error)).strip()
        if found.status == "failed":
            traceback.print_exception(cause or error)
        return True


def _status(error: BaseException, run: TrainingRun, backend: Backend) -> str:
    if isinstance(error, MemoryError) or backend.is_out_of_memory(error):
        return "out_of_memory"
    return "failed" if run.submission_involved else "unavailable"


def main(arguments: list[str] | None = None) -> int:
    """Command line of a probing process."""
    parser = argparse.ArgumentParser(prog="python -m algoperf_core.probe")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--warm-up", type=int, default=WARM_UP_STEPS)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--once", action="store_true", help="evaluate once only")
    parser.add_argument("--cpus", help="processors to run on, as 0,1,2")
    options = parser.parse_args(arguments)
    if options.cpus and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {int(cpu) for cpu in options.cpus.split(",")})
    logging.basicConfig(level=logging.WARNING)
    found = measure(
        options.folder, warm_up=options.warm_up, steps=options.steps, repeat=not options.once
    )
    write_json(options.folder / PROBE_FILE, asdict(found))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
