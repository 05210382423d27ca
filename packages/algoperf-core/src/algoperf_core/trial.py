"""A trial as a process: `python -m algoperf_core.trial TRIAL_DIR`, or as several (docs/devices.md).

Reads `trial.json`, trains under the clock, and leaves the logs and a typed outcome in the trial's folder. A
trial that was interrupted before continues from its last checkpoint.
Of several processes, rank 0 alone writes.
Exit status: 0 when the outcome is written, 2 for input that the user must mend (nothing is written, so that
the trial runs once it is mended), 130 when interrupted.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, NoReturn

from algoperf_core.backends import Backend, load_backend
from algoperf_core.checkpoints import Checkpoint, CheckpointFolder
from algoperf_core.errors import CheckpointError, RecordError
from algoperf_core.follower import FollowerProgress, SilentMeasurements, linger_when_asked_to_end
from algoperf_core.host_link import PeerFailedError, ProcessLostError
from algoperf_core.ledger import Ledger, Phase
from algoperf_core.measurements import Measurements
from algoperf_core.out_of_memory import shortage
from algoperf_core.outcomes import Outcome, TrialResult
from algoperf_core.paused_work import PausedWork, Unwatched
from algoperf_core.placement_arguments import add_placement_arguments, placement_of, rank_of
from algoperf_core.processes import BAD_INPUT, Placement, Processes, start_processes
from algoperf_core.profiling import watcher
from algoperf_core.progress import ProgressFile, Snapshot
from algoperf_core.registry import workload_provider
from algoperf_core.resumption import Resumption, resume
from algoperf_core.run_directory import describe_trial
from algoperf_core.sources import find_submission, load
from algoperf_core.trackers.of_trial import trackers_of_trial
from algoperf_core.trackers.process import Trackers
from algoperf_core.training import TrainingRun, TrialPlan
from algoperf_core.trial_checkpoints import TrialCheckpoints
from algoperf_core.trial_spec import (
    OUTCOME_FILE,
    PROGRESS_FILE,
    TrialSpec,
    benchmark_file,
    is_done,
    read_result,
    read_spec,
    write_json,
)
from algoperf_core.tuning import hyperparameters
from algoperf_scoring import AlgoperfError, Benchmark, load_benchmark

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130
# Trials that may run again keep their checkpoints.
REPEATABLE = (Outcome.INTERRUPTED, Outcome.CRASHED, Outcome.OUT_OF_MEMORY)


class Terminated(KeyboardInterrupt):
    """The process was asked to end, by SIGTERM."""


class OutcomeRecord:
    """Writes the outcome of a trial however it ends; errors pass through to the console.

    Input errors, and errors before the submission was involved (missing data, a broken installation), leave
    no outcome: the trial never began, and runs once they are mended.

    Args:
        trial_dir: Folder of the trial.
        run: The run.
        measurements: Where its measurements go.
        backend: The framework.
        interruptions: What was lost before.
        profiled: Whether a profiler watches the trial.
    """

    def __init__(
        self,
        trial_dir: Path,
        run: TrainingRun,
        measurements: Measurements,
        backend: Backend,
        checkpoints: TrialCheckpoints,
        interruptions: tuple[dict[str, Any], ...] = (),
        profiled: bool = False,
    ) -> None:
        self._path = trial_dir / OUTCOME_FILE
        self._run = run
        self._measurements = measurements
        self._backend = backend
        self._checkpoints = checkpoints
        self._interruptions = interruptions
        self._profiled = profiled

    def write(self, result: TrialResult) -> TrialResult:
        """Writes the last row of the measurements and the outcome; a trial that is done needs no checkpoints.

        Returns:
            The result with its ledger complete.
        """
        ledger = self._run.ledger
        ledger.switch(Phase.MEASUREMENTS)
        self._measurements.append_final(self._run.submission_s, self._run.global_step)
        return self._write_outcome(result)

    def _write_outcome(self, result: TrialResult) -> TrialResult:
        ledger = self._run.ledger
        ledger.charge()
        complete = replace(
            result,
            ledger_s=ledger.entries(),
            phases_s=ledger.breakdown(),
            interruptions=self._interruptions,
            failed_checkpoints=self._checkpoints.failed,
            profiled=self._profiled,
        )
        write_json(self._path, complete.to_dict())
        # Only now: without room for the outcome, the trial goes on from its last checkpoint.
        if complete.outcome not in REPEATABLE:
            self._checkpoints.clear()
        return complete

    def __enter__(self) -> OutcomeRecord:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            with _undisturbed():
                self._end(error)

    def _end(self, error: BaseException) -> None:
        if isinstance(error, RecordError) and self._run.submission_involved:
            self._write_outcome(self._run.result(Outcome.INTERRUPTED, message=str(error)))
            return
        if isinstance(error, AlgoperfError):
            return
        outcome = outcome_of(error, self._backend)
        if outcome is Outcome.CRASHED and not self._run.submission_involved:
            return
        self._run.ledger.charge()
        message = "".join(traceback.format_exception_only(error)).strip()
        if outcome is Outcome.OUT_OF_MEMORY:
            message = f"{self._remedy(error)} ({message})"
        print(self.write(self._run.result(outcome, message=message)).summary())  # noqa: T201

    def _remedy(self, error: BaseException) -> str:
        return shortage(
            self._run.ledger.open,
            self._backend.framework,
            on_device=not isinstance(error, MemoryError),
            batch_sizes=self._run.batch_sizes,
            device_count=self._backend.device_count,
        ).remedy()


def outcome_of(error: BaseException, backend: Backend) -> Outcome:
    """What an error makes of a trial; a process that is gone interrupts it, and it can go on."""
    if isinstance(error, PeerFailedError):
        return Outcome(error.failure.outcome)
    if isinstance(error, KeyboardInterrupt | ProcessLostError):
        return Outcome.INTERRUPTED
    if isinstance(error, MemoryError) or backend.is_out_of_memory(error):
        return Outcome.OUT_OF_MEMORY
    return Outcome.CRASHED


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Holds signals back: the outcome is written whole, even where the trial is killed for its error."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)


def run_trial(
    trial_dir: Path,
    orphaned: Callable[[], bool] = lambda: False,
    placement: Placement | None = None,
) -> TrialResult:
    """Runs the trial that a folder specifies; a trial that is done is returned as it is.

    Args:
        trial_dir: Folder of the trial.
        orphaned: Tells whether nobody waits for the trial any more.
        placement: Where this process stands among several JAX processes; PyTorch asks `torchrun`.

    Raises:
        AlgoperfError: Something that the user must mend; no outcome is written.
    """
    if is_done(finished := read_result(trial_dir)):
        return finished
    ledger = Ledger(time.perf_counter)
    spec = read_spec(trial_dir)
    benchmark = load_benchmark(benchmark_file(trial_dir))
    processes = start_processes(spec.framework, placement, spec.processes)
    if not processes.is_first:
        linger_when_asked_to_end()
        result = _follow(trial_dir, spec, benchmark, orphaned, ledger, processes)
    else:
        with trackers_of_trial(trial_dir, spec, benchmark) as trackers:
            result = _run(trial_dir, spec, benchmark, trackers, orphaned, ledger, processes)
    processes.stop()
    return result


def _run(
    trial_dir: Path,
    spec: TrialSpec,
    benchmark: Benchmark,
    trackers: Trackers,
    orphaned: Callable[[], bool],
    ledger: Ledger,
    processes: Processes,
) -> TrialResult:
    start = _start(trial_dir, processes)
    preemptions = len(start.interruptions)
    backend = load_backend(spec.framework)
    plan, paused_work = _plan(spec, benchmark)
    describe_trial(trial_dir, spec, benchmark, plan.workload, backend, preemptions)
    measurements = Measurements(trial_dir, preemptions, trackers.log, scored=not spec.profile)
    checkpoints = _checkpoints(trial_dir, spec, start, processes)
    progress = ProgressFile(
        trial_dir / PROGRESS_FILE,
        _first_snapshot(plan),
        orphaned,
        # Goes on from the checkpoint, as submission time does.
        now=lambda: ledger.elapsed_s,
        began_at=0.0,
    )
    trackers.wait_until_started()
    with watcher(progress, trial_dir, backend, profile=spec.profile) as watching:
        run = TrainingRun(
            plan,
            backend,
            measurements,
            watching,
            time.perf_counter,
            ledger=ledger,
            checkpoints=checkpoints,
            preemption_count=preemptions,
            processes=processes,
            paused_work=paused_work,
        )
        record = OutcomeRecord(
            trial_dir, run, measurements, backend, checkpoints, start.interruptions, spec.profile
        )
        # The outcome comes last, so that its ledger holds all that came before.
        with record:
            with progress, processes.sharing_failures(lambda error: _said(error, backend)):
                result = run.run()
            return record.write(result)


def _follow(
    trial_dir: Path,
    spec: TrialSpec,
    benchmark: Benchmark,
    orphaned: Callable[[], bool],
    ledger: Ledger,
    processes: Processes,
) -> TrialResult:
    """The same on the other processes, which write nothing."""
    with FollowerProgress(orphaned) as progress:
        start = _start(trial_dir, processes)
        backend = load_backend(spec.framework)
        with processes.sharing_failures(lambda error: _said(error, backend)):
            plan, paused_work = _plan(spec, benchmark)
            run = TrainingRun(
                plan,
                backend,
                SilentMeasurements(),
                progress,
                time.perf_counter,
                ledger=ledger,
                checkpoints=_checkpoints(trial_dir, spec, start, processes),
                preemption_count=len(start.interruptions),
                processes=processes,
                paused_work=paused_work,
            )
            return run.run()


def _start(trial_dir: Path, processes: Processes) -> Resumption:
    """Where all processes go on; rank 0 puts the folder in order."""
    if processes.count == 1:
        return resume(trial_dir)

    def resumed() -> list[Any]:
        start = resume(trial_dir)
        step = None if start.checkpoint is None else start.checkpoint.global_step
        return [step, list(start.interruptions)]

    step, interruptions = processes.first(resumed)
    checkpoint = None
    if step is not None:
        checkpoint = Checkpoint(CheckpointFolder(trial_dir).path_of(step), step)
        # Without a shared file system, the processes would train different models.
        if not checkpoint.path.is_dir():
            raise CheckpointError(
                f"{checkpoint.path}: is not there for process {processes.rank}; the folder of the runs must "
                "be on a file system that all machines share"
            )
    return Resumption(checkpoint, tuple(interruptions))


def _checkpoints(
    trial_dir: Path, spec: TrialSpec, start: Resumption, processes: Processes
) -> TrialCheckpoints:
    # A traced trial begins anew: its trace would not fit together.
    period_s = None if spec.profile else spec.checkpoint_period_s
    return TrialCheckpoints(trial_dir, spec.framework, period_s, start.checkpoint, processes)


def _said(error: BaseException, backend: Backend) -> str:
    return BAD_INPUT if isinstance(error, AlgoperfError) else str(outcome_of(error, backend))


def _first_snapshot(plan: TrialPlan) -> Snapshot:
    goal = plan.workload.goal
    return Snapshot(
        0, 0.0, plan.budget_s, goal.metric, None, goal.validation_target, goal.direction
    )


def _plan(spec: TrialSpec, benchmark: Benchmark) -> tuple[TrialPlan, Unwatched]:
    """What is trained, and who charges the submission for work in pauses, its import included."""
    source = find_submission(spec.submission)
    # The time of a trial that is profiled does not count, and a profiler has threads of its own.
    paused_work = Unwatched() if spec.profile else PausedWork(source.own_files(spec.framework))
    paused_work.to_submission()
    submission = load(source, spec.framework)
    paused_work.to_harness()
    goal = benchmark.workload(spec.workload)
    point = spec.hyperparameters
    plan = TrialPlan(
        workload=workload_provider(spec.workload).create(spec.framework, goal),
        submission=submission,
        hyperparameters=None if point is None else hyperparameters(point),
        seed=spec.seed,
        budget_s=benchmark.budget_s(spec.workload, spec.ruleset),
        data_dir=spec.data_dir,
        imagenet_v2_data_dir=spec.imagenet_v2_data_dir,
        max_global_steps=spec.max_global_steps,
    )
    return plan, paused_work


def main(arguments: list[str] | None = None) -> int:
    """Command line of a trial process."""
    parser = argparse.ArgumentParser(
        prog="python -m algoperf_core.trial", description="Run one trial."
    )
    parser.add_argument("trial_dir", type=Path, help="folder that holds trial.json")
    parser.add_argument("--cpus", help="processors to run on, as 0,1,2")
    parser.add_argument("--parent", type=int, help="process to end with")
    add_placement_arguments(parser)
    options = parser.parse_args(arguments)
    rank = rank_of(options, os.environ)
    if rank:
        logging.disable(logging.WARNING)  # rank 0 says the same
    several = rank > 0 or options.coordinator or options.cluster or "LOCAL_RANK" in os.environ
    if options.cpus and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {int(cpu) for cpu in options.cpus.split(",")})
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _terminate)
    return _one_of_several(options, rank) if several else _run_options(options, rank)


def _one_of_several(options: argparse.Namespace, rank: int) -> NoReturn:
    status = 1
    try:
        status = _run_options(options, rank)
    finally:
        if sys.exc_info()[0] is not None:
            traceback.print_exc()
        # At a normal exit, frameworks would wait for processes that are gone, and threads of Gloo that are
        # still at work would abort the process.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _run_options(options: argparse.Namespace, rank: int) -> int:
    try:
        result = run_trial(
            options.trial_dir,
            lambda: options.parent is not None and os.getppid() != options.parent,
            placement_of(options),
        )
        if rank == 0:
            print(result.summary())  # noqa: T201
    except ProcessLostError as error:
        if rank == 0:
            print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return EXIT_INTERRUPTED
    except RecordError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        # Where not even the outcome could be written, the campaign must not go on.
        ended = (options.trial_dir / OUTCOME_FILE).exists()
        return EXIT_INTERRUPTED if ended else EXIT_BAD_INPUT
    except AlgoperfError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return EXIT_BAD_INPUT
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    return 0


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated("asked to end by SIGTERM")


if __name__ == "__main__":
    raise SystemExit(main())
