"""A trial as a process: `python -m algoperf_core.trial TRIAL_DIR`.

Reads `trial.json`, trains under the clock, and leaves the logs and a typed outcome in the trial's folder.
Exit status: 0 when the outcome is written, 2 for input that the user must mend (nothing is written, so that
the trial runs once it is mended), 130 when interrupted.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from algoperf_core.backends import Backend, load_backend
from algoperf_core.ledger import Account
from algoperf_core.measurements import Measurements
from algoperf_core.outcomes import Outcome, TrialResult
from algoperf_core.profiling import watcher
from algoperf_core.progress import ProgressFile, Snapshot
from algoperf_core.registry import workload_provider
from algoperf_core.run_directory import clear_unfinished, describe_trial
from algoperf_core.sources import find_submission, load
from algoperf_core.trackers.of_trial import trackers_of_trial
from algoperf_core.trackers.process import Trackers
from algoperf_core.training import TrainingRun, TrialPlan
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


class OutcomeRecord:
    """Writes the outcome of a trial however it ends; errors pass through to the console.

    Input errors, and errors before the submission was involved (missing data, a broken installation), leave
    no outcome: the trial never began, and runs once they are mended.
    """

    def __init__(
        self, trial_dir: Path, run: TrainingRun, measurements: Measurements, backend: Backend
    ) -> None:
        self._path = trial_dir / OUTCOME_FILE
        self._run = run
        self._measurements = measurements
        self._backend = backend

    def write(self, result: TrialResult) -> None:
        """Writes the last row of the measurements and the outcome."""
        submission_s = self._run.ledger.seconds(Account.SUBMISSION)
        self._measurements.append_final(submission_s, self._run.global_step)
        write_json(self._path, result.to_dict())

    def __enter__(self) -> OutcomeRecord:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None or isinstance(error, AlgoperfError):
            return
        outcome = self._outcome(error)
        if outcome is Outcome.CRASHED and not self._run.submission_involved:
            return
        self._run.ledger.charge()
        message = "".join(traceback.format_exception_only(error)).strip()
        self.write(self._run.result(outcome, message=message))

    def _outcome(self, error: BaseException) -> Outcome:
        if isinstance(error, KeyboardInterrupt):
            return Outcome.INTERRUPTED
        if isinstance(error, MemoryError) or self._backend.is_out_of_memory(error):
            return Outcome.OUT_OF_MEMORY
        return Outcome.CRASHED


def run_trial(trial_dir: Path, orphaned: Callable[[], bool] = lambda: False) -> TrialResult:
    """Runs the trial that a folder specifies; a trial that is done is returned as it is.

    Raises:
        AlgoperfError: Something that the user must mend; no outcome is written.
    """
    if is_done(finished := read_result(trial_dir)):
        return finished
    spec = read_spec(trial_dir)
    benchmark = load_benchmark(benchmark_file(trial_dir))
    with trackers_of_trial(trial_dir, spec, benchmark) as trackers:
        return _run(trial_dir, spec, benchmark, trackers, orphaned)


def _run(
    trial_dir: Path,
    spec: TrialSpec,
    benchmark: Benchmark,
    trackers: Trackers,
    orphaned: Callable[[], bool],
) -> TrialResult:
    clear_unfinished(trial_dir)
    backend = load_backend(spec.framework)
    plan = _plan(spec, benchmark)
    describe_trial(trial_dir, spec, benchmark, plan.workload, backend)
    measurements = Measurements(trial_dir, trackers.log, scored=not spec.profile)
    goal = plan.workload.goal
    start = Snapshot(
        0, 0.0, plan.budget_s, goal.metric, None, goal.validation_target, goal.direction
    )
    trackers.wait_until_started()
    with (
        ProgressFile(trial_dir / PROGRESS_FILE, start, orphaned) as progress,
        watcher(progress, trial_dir, backend, profile=spec.profile) as watching,
    ):
        run = TrainingRun(plan, backend, measurements, watching, now=time.perf_counter)
        with OutcomeRecord(trial_dir, run, measurements, backend) as record:
            result = run.run()
            record.write(result)
    return result


def _plan(spec: TrialSpec, benchmark: Benchmark) -> TrialPlan:
    goal = benchmark.workload(spec.workload)
    point = spec.hyperparameters
    return TrialPlan(
        workload=workload_provider(spec.workload).create(spec.framework, goal),
        submission=load(find_submission(spec.submission), spec.framework),
        hyperparameters=None if point is None else hyperparameters(point),
        seed=spec.seed,
        budget_s=benchmark.budget_s(spec.workload, spec.ruleset),
        data_dir=spec.data_dir,
        imagenet_v2_data_dir=spec.imagenet_v2_data_dir,
        max_global_steps=spec.max_global_steps,
    )


def main(arguments: list[str] | None = None) -> int:
    """Command line of a trial process."""
    parser = argparse.ArgumentParser(
        prog="python -m algoperf_core.trial", description="Run one trial."
    )
    parser.add_argument("trial_dir", type=Path, help="folder that holds trial.json")
    parser.add_argument("--cpus", help="processors to run on, as 0,1,2")
    parser.add_argument("--parent", type=int, help="process to end with")
    options = parser.parse_args(arguments)
    if options.cpus and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {int(cpu) for cpu in options.cpus.split(",")})
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        run_trial(
            options.trial_dir, lambda: options.parent is not None and os.getppid() != options.parent
        )
    except AlgoperfError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return EXIT_BAD_INPUT
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
