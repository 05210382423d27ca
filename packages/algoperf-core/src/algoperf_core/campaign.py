"""A campaign: benchmark x submissions x studies x trials, expanded into trial processes.

The folder of the runs is the only state. Running the same campaign again starts what is unfinished and
nothing that is done.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from algoperf_core.errors import CampaignError, SearchSpaceError
from algoperf_core.executors import Executor, TrialProcess
from algoperf_core.outcomes import Outcome, TrialResult
from algoperf_core.registry import workload_provider
from algoperf_core.seeds import derive_seed
from algoperf_core.sources import SubmissionSource, find_submission
from algoperf_core.spec import Framework
from algoperf_core.trackers.catalogue import check_trackers
from algoperf_core.trial import EXIT_BAD_INPUT
from algoperf_core.trial_spec import (
    CONSOLE_FILE,
    OUTCOME_FILE,
    SPEC_FILE,
    TrialSpec,
    is_done,
    read_result,
    read_spec,
    write_spec,
)
from algoperf_core.tuning import Point, load_search_space
from algoperf_scoring import Benchmark, Ruleset, load_benchmark
from algoperf_scoring.files import write_text_atomic

POLL_S = 0.2
# Paths may differ when a campaign is continued from another folder or another machine, and so may trackers.
PATH_FIELDS = {"submission", "search_space", "data_dir", "imagenet_v2_data_dir", "trackers"}


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
        seed: Root of all seeds.
        max_global_steps: Step limit of every trial.
        imagenet_v2_data_dir: Where the test split of ImageNet is, if not in `data_dir`.
        retry_crashed: Whether to run trials again that crashed or ran out of memory.
        trackers: Names of the trackers that every trial has.
        profile: Whether to trace a few steps of every trial; none of them counts.
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
    seed: int = 0
    max_global_steps: int | None = None
    imagenet_v2_data_dir: Path | None = None
    retry_crashed: bool = False
    trackers: tuple[str, ...] = ()
    profile: bool = False

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
        for workload in self._workloads():
            workload_provider(workload)
            self.benchmark.budget_s(workload, self.ruleset)
        expanded = [self._expand_submission(source) for source in sources]
        return sorted(
            (spec for specs in expanded for spec in specs),
            key=lambda spec: (spec.study, spec.trial),
        )

    def _workloads(self) -> tuple[str, ...]:
        chosen = self.benchmark.scored if self.workloads is None else self.workloads
        return tuple(self.benchmark.workload(name).name for name in chosen)

    def _expand_submission(self, source: SubmissionSource) -> Iterator[TrialSpec]:
        ruleset = self.benchmark.ruleset(self.ruleset)
        framework = source.choose_framework(self.framework)
        order_seed = derive_seed(self.seed, self.benchmark.name, source.name, "tuning")
        space, points = self._points(source, ruleset, order_seed)
        digest = source.sha256(framework)
        for workload in self._workloads():
            for study in range(min(self.studies or ruleset.studies, ruleset.studies)):
                for trial in range(1, min(self.trials or ruleset.trials, ruleset.trials) + 1):
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
                        order_seed=order_seed,
                        search_space=space,
                        hyperparameters=points[study][trial - 1] if points else None,
                        data_dir=str(self.data_dir.absolute()),
                        imagenet_v2_data_dir=_optional(self.imagenet_v2_data_dir),
                        max_global_steps=self.max_global_steps,
                        trackers=list(self.trackers),
                        profile=self.profile,
                    )

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
        unfinished = []
        for spec in specs:
            trial_dir = spec.directory(self.runs)
            if (trial_dir / SPEC_FILE).exists():
                _check_same(trial_dir, spec)
            self._write_benchmark(self.runs / spec.submission_name / "benchmark.toml")
            write_spec(trial_dir, spec)
            if self._is_unfinished(trial_dir):
                unfinished.append(trial_dir)
        return unfinished

    def _is_unfinished(self, trial_dir: Path) -> bool:
        result = read_result(trial_dir)
        retried = result is not None and result.outcome in (Outcome.CRASHED, Outcome.OUT_OF_MEMORY)
        if self.retry_crashed and retried:
            (trial_dir / OUTCOME_FILE).unlink()
            return True
        return not is_done(result)

    def _write_benchmark(self, path: Path) -> None:
        if path.exists() and load_benchmark(path) != self.benchmark:
            raise CampaignError(
                f"{path}: these runs were made under another definition of {self.benchmark.name}; choose "
                "another folder with --runs"
            )
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CampaignError(
                f"{path.parent}: cannot write there: {error.strerror}; choose --runs"
            ) from None
        if not path.exists():
            write_text_atomic(path, self.benchmark.to_toml())


def _absolute(reference: str) -> str:
    path = Path(reference)
    return str(path.absolute()) if path.exists() else reference


def _optional(path: Path | None) -> str | None:
    return None if path is None else str(path.absolute())


def _check_same(trial_dir: Path, spec: TrialSpec) -> None:
    before, now = asdict(read_spec(trial_dir)), asdict(spec)
    changed = [name for name in now if name not in PATH_FIELDS and before[name] != now[name]]
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


def run_campaign(
    campaign: Campaign,
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
    watcher.started(trial_dir)
    return Running(trial_dir, slot, executor.start(trial_dir, slot))


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
