"""A campaign: benchmark x submissions x studies x trials, expanded into trial processes.

The folder of the runs is the only state. Running the same campaign again starts what is unfinished and
nothing that is done.
"""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from algoperf_core.environment import ENVIRONMENT_FILE, describe_environment
from algoperf_core.errors import CampaignError, SearchSpaceError
from algoperf_core.executors import Executor, TrialProcess
from algoperf_core.outcomes import Outcome, TrialResult
from algoperf_core.registry import workload_provider
from algoperf_core.seeds import derive_seed
from algoperf_core.sources import SubmissionSource, find_submission
from algoperf_core.spec import Framework
from algoperf_core.submission_copy import COPY_FILE, COPY_FOLDER, pack, unpack, write_copy
from algoperf_core.trackers.catalogue import check_trackers
from algoperf_core.trial import EXIT_BAD_INPUT
from algoperf_core.trial_spec import (
    BENCHMARK_FILE,
    CONSOLE_FILE,
    SPEC_FILE,
    TrialSpec,
    is_done,
    read_result,
    read_spec,
    reopen,
    write_json,
    write_spec,
)
from algoperf_core.tuning import Point, load_search_space, order_seed, trial_indices
from algoperf_scoring import AlgoperfError, Benchmark, Ruleset, load_benchmark
from algoperf_scoring.files import write_text_atomic

log = logging.getLogger(__name__)

POLL_S = 0.2
# What may differ when a campaign is continued: paths, on another machine, and what changes no result.
FREE_FIELDS = {
    "submission",
    "search_space",
    "data_dir",
    "imagenet_v2_data_dir",
    "checkpoint_period_s",
    "trackers",
}


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """What to run.

    Args:
        benchmark: The benchmark.
        ruleset: `external` or `self`.
        submissions: Names or paths of submissions.
        runs: Folder of the runs.
        data_dir: Where prepared datasets are.
        framework: Framework for submissions that are written for both; None takes JAX for these.
        search_space: Tuning search space for all submissions; None takes the one beside each.
        workloads: Only these workloads; None for all that the benchmark scores.
        studies: Only the first so many studies; None for all.
        trials: Only the first so many trials of each study; None for all.
        points: Only the trials with these indices from 0, in each study, as `tuning.trial_indices` reads
            them; which point belongs to which trial stays the same. None for all.
        seed: Root of all seeds.
        max_global_steps: Step limit of every trial.
        imagenet_v2_data_dir: Where the test split of ImageNet is, if not in `data_dir`.
        retry_crashed: Whether to run trials again that crashed or ran out of memory.
        checkpoint_period_s: Seconds between two checkpoints of a trial; 0: every evaluation; None: never.
        trackers: Names of the trackers that every trial has.
        profile: Whether to trace a few steps of every trial; none of them counts.
        processes: Number of processes that train each trial together.
    """

    benchmark: Benchmark
    ruleset: str
    submissions: tuple[str, ...]
    runs: Path
    data_dir: Path
    framework: Framework | None = None
    search_space: Path | None = None
    workloads: tuple[str, ...] | None = None
    studies: int | None = None
    trials: int | None = None
    points: str | None = None
    seed: int = 0
    max_global_steps: int | None = None
    imagenet_v2_data_dir: Path | None = None
    retry_crashed: bool = False
    checkpoint_period_s: float | None = 300.0
    trackers: tuple[str, ...] = ()
    profile: bool = False
    processes: int = 1

    def expand(self) -> list[TrialSpec]:
        """All trials of the campaign, study by study, so that an unfinished campaign is worth scoring.

        Raises:
            AlgoperfError: A submission, workload or search space is missing or malformed.
        """
        check_trackers(self.trackers)
        sources = [find_submission(reference) for reference in self.submissions]
        names = [source.name for source in sources]
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise CampaignError(
                f"two submissions are called {', '.join(repeated)}: rename one of the folders"
            )
        for workload in self.workload_names():
            workload_provider(workload)
            self.benchmark.budget_s(workload, self.ruleset)
        expanded = [self._expand_submission(source) for source in sources]
        return sorted(
            (spec for specs in expanded for spec in specs),
            key=lambda spec: (spec.study, spec.trial),
        )

    def workload_names(self) -> tuple[str, ...]:
        """Names of the workloads, in the order of the benchmark or as chosen.

        Raises:
            UnknownNameError: The benchmark does not know one of those chosen.
        """
        chosen = self.benchmark.scored if self.workloads is None else self.workloads
        return tuple(self.benchmark.workload(name).name for name in chosen)

    def _expand_submission(self, source: SubmissionSource) -> Iterator[TrialSpec]:
        ruleset = self.benchmark.ruleset(self.ruleset)
        framework = source.choose_framework(self.framework)
        order = order_seed(self.seed, self.benchmark.name, source.name)
        space, points = self._points(source, ruleset, order)
        digest = source.sha256(framework)
        for workload in self.workload_names():
            for study in range(min(self.studies or ruleset.studies, ruleset.studies)):
                for trial in self._trials(ruleset):
                    path = (
                        self.benchmark.name,
                        source.name,
                        workload,
                        f"study_{study}",
                        f"trial_{trial}",
                    )
                    yield TrialSpec(
                        benchmark=self.benchmark.name,
                        ruleset=self.ruleset,
                        submission=_absolute(source.reference),
                        submission_name=source.name,
                        submission_sha256=digest,
                        framework=framework,
                        workload=workload,
                        study=study,
                        trial=trial,
                        seed=derive_seed(self.seed, *path),
                        order_seed=order,
                        search_space=space,
                        hyperparameters=points[study][trial - 1] if points else None,
                        data_dir=str(self.data_dir.absolute()),
                        imagenet_v2_data_dir=_optional(self.imagenet_v2_data_dir),
                        max_global_steps=self.max_global_steps,
                        checkpoint_period_s=self.checkpoint_period_s,
                        trackers=list(self.trackers),
                        profile=self.profile,
                        processes=self.processes,
                    )

    def _trials(self, ruleset: Ruleset) -> Sequence[int]:
        if self.points is None:
            return range(1, min(self.trials or ruleset.trials, ruleset.trials) + 1)
        if self.trials is not None:
            raise CampaignError("--points and --trials both choose trials: give one of them")
        return [index + 1 for index in trial_indices(self.points, ruleset.trials)]

    def _points(
        self, source: SubmissionSource, ruleset: Ruleset, seed: int
    ) -> tuple[str | None, list[list[Point]] | None]:
        if not ruleset.tuned:
            if self.search_space is not None:
                raise SearchSpaceError(
                    f"{self.search_space}: the {ruleset.name} ruleset takes no search space: leave it out"
                )
            return None, None
        path = self.search_space or source.search_space
        if not path.exists():
            raise SearchSpaceError(
                f"{path}: no such file; the {ruleset.name} ruleset needs a search space: put it beside the "
                "submission or name it with --tuning-search-space"
            )
        return str(path.absolute()), load_search_space(path).study_points(
            ruleset.studies, ruleset.trials, seed
        )

    def prepare(self) -> list[Path]:
        """Writes the specification of every trial and returns the folders of those that are not done.

        Raises:
            CampaignError: The folder of the runs is unwritable, or holds trials that were run with other
                settings.
        """
        specs = self.expand()
        environment = describe_environment()
        copies: dict[str, bytes] = {}
        unfinished = []
        for spec in specs:
            trial_dir = spec.directory(self.runs)
            if (trial_dir / SPEC_FILE).exists():
                check_same(trial_dir, spec)
            if spec.submission not in copies:
                copies[spec.submission] = pack(find_submission(spec.submission), spec.framework)
            write_benchmark(self.runs / spec.submission_name / BENCHMARK_FILE, self.benchmark)
            write_spec(trial_dir, spec)
            if self._is_unfinished(trial_dir):
                write_copy(trial_dir, copies[spec.submission])
                describe_rerun(trial_dir, self.benchmark, environment)
                unfinished.append(trial_dir)
        return unfinished

    def _is_unfinished(self, trial_dir: Path) -> bool:
        result = read_result(trial_dir)
        repeatable = (Outcome.CRASHED, Outcome.OUT_OF_MEMORY)
        if self.retry_crashed and result is not None and result.outcome in repeatable:
            reopen(trial_dir, result)
            return True
        return not is_done(result)


def write_benchmark(path: Path, benchmark: Benchmark) -> None:
    """Writes a definition beside the studies that run under it.

    Raises:
        CampaignError: Another definition is there, or the folder cannot be written.
    """
    if path.exists() and load_benchmark(path) != benchmark:
        raise CampaignError(
            f"{path}: these runs were made under another definition of {benchmark.name}; choose "
            "another folder with --runs"
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CampaignError(
            f"{path.parent}: cannot write there: {error.strerror}; choose --runs"
        ) from None
    if not path.exists():
        write_text_atomic(path, benchmark.to_toml())


def describe_rerun(trial_dir: Path, benchmark: Benchmark, environment: Mapping[str, Any]) -> None:
    """Writes what it takes to run a trial again: the definition and the environment."""
    write_text_atomic(trial_dir / BENCHMARK_FILE, benchmark.to_toml())
    write_json(trial_dir / ENVIRONMENT_FILE, environment)


def _absolute(reference: str) -> str:
    path = Path(reference)
    return str(path.absolute()) if path.exists() else reference


def _optional(path: Path | None) -> str | None:
    return None if path is None else str(path.absolute())


def check_same(trial_dir: Path, spec: TrialSpec) -> None:
    """Checks that a trial's folder holds the same trial; paths may differ.

    Raises:
        CampaignError: It was run with other settings, or other files of the submission.
    """
    before, now = asdict(read_spec(trial_dir)), asdict(spec)
    changed = [name for name in now if name not in FREE_FIELDS and before[name] != now[name]]
    if not changed:
        return
    if "submission_sha256" in changed:
        what = f"was run with other files of {spec.submission_name}: they were edited since"
    else:
        settings = (f"{name}: {before[name]!r} before, {now[name]!r} now" for name in changed)
        what = f"was run with other settings ({'; '.join(settings)})"
    raise CampaignError(
        f"{trial_dir / SPEC_FILE}: {what}; choose another folder with --runs, or delete "
        f"{trial_dir.parents[2]}"
    )


@dataclass(frozen=True)
class Running:
    """A trial that runs now."""

    trial_dir: Path
    slot: int
    process: TrialProcess


class Watcher:
    """Told what happens in a campaign; this one keeps quiet."""

    def started(self, trial_dir: Path) -> None:
        """A trial was started."""

    def running(self, running: Sequence[Running]) -> None:
        """Trials are running; called several times a second."""

    def finished(self, trial_dir: Path, result: TrialResult | None) -> None:
        """A trial came to an end; without a result it was killed and will run again."""


class Preparable(Protocol):
    """Trials that can be run: a campaign, or a single trial that is run again."""

    @property
    def runs(self) -> Path:
        """Folder of the runs."""
        ...

    def prepare(self) -> list[Path]:
        """Writes the specification of every trial and returns the folders of those that are not done."""
        ...


def run_campaign(
    campaign: Preparable,
    executor: Executor,
    watcher: Watcher,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Runs every trial that is not done.

    Returns:
        Whether all trials are done; killed ones are not.

    Raises:
        AlgoperfError: Something that the user must mend; trials that are running are stopped first.
    """
    with _locked(campaign.runs):
        waiting = campaign.prepare()[::-1]
        running: list[Running] = []
        complete = True
        try:
            while waiting or running:
                while waiting and len(running) < executor.slots:
                    running.append(_start(waiting.pop(), running, executor, watcher))
                watcher.running(running)
                sleep(POLL_S)
                for ended in [trial for trial in running if trial.process.poll() is not None]:
                    running.remove(ended)
                    complete &= _conclude(ended, watcher)
        finally:
            for trial in running:
                trial.process.stop()
    return complete


def _start(
    trial_dir: Path, running: Sequence[Running], executor: Executor, watcher: Watcher
) -> Running:
    slot = min(set(range(executor.slots)) - {trial.slot for trial in running})
    _keep_what_was_recorded(trial_dir)
    watcher.started(trial_dir)
    return Running(trial_dir, slot, executor.start(trial_dir, slot))


def _keep_what_was_recorded(trial_dir: Path) -> None:
    """Makes a trial run the copy of its submission where the original was edited meanwhile."""
    spec = read_spec(trial_dir)
    try:
        unchanged = find_submission(spec.submission).sha256(spec.framework)
    except AlgoperfError:
        unchanged = ""
    if unchanged == spec.submission_sha256 or not (trial_dir / COPY_FILE).exists():
        return
    log.warning(
        "%s was edited while its campaign is running; %s runs the copy that was made at the start",
        spec.submission,
        spec.label(),
    )
    copy = unpack(trial_dir / COPY_FILE, trial_dir / COPY_FOLDER, spec.submission_sha256)
    write_spec(trial_dir, replace(spec, submission=str(copy.absolute())))


def _conclude(ended: Running, watcher: Watcher) -> bool:
    if ended.process.poll() == EXIT_BAD_INPUT:
        raise CampaignError(_last_error(ended.trial_dir))
    result = read_result(ended.trial_dir)
    if result is None and (ended.process.poll() or 0) > 0:
        # The process ended by itself before the trial began, and said why on its console.
        raise CampaignError(_last_error(ended.trial_dir))
    watcher.finished(ended.trial_dir, result)
    return is_done(result)


def _last_error(trial_dir: Path) -> str:
    console = trial_dir / CONSOLE_FILE
    lines = console.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    message = lines[-1].removeprefix("error: ") if lines else "the trial process said nothing"
    return f"{message}\n(from {console})"


@contextmanager
def _locked(runs: Path) -> Iterator[None]:
    try:
        runs.mkdir(parents=True, exist_ok=True)
        folder = os.open(runs, os.O_RDONLY)
    except OSError as error:
        raise CampaignError(
            f"{runs}: cannot write there: {error.strerror}; choose --runs"
        ) from None
    try:
        # The lock is on the folder itself: a lock file beside the submissions would look like one.
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise CampaignError(
            f"{runs}: another campaign is running here; wait for it to end"
        ) from None
    else:
        yield
    finally:
        os.close(folder)
