"""Reads log trees: every trial of every scored workload, and what was left out.

Published logs and our own run directories have the same layout. Results never depend on the
order in which the file system lists folders.
"""

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from algoperf_scoring.benchmark import Benchmark
from algoperf_scoring.errors import AlgoperfError, LogError
from algoperf_scoring.findings import Finding
from algoperf_scoring.layout import (
    Folder,
    check_folder,
    find_submissions,
    ruleset_folder,
    subfolders,
    trial_folders,
    trial_number,
    workload_and_framework,
)
from algoperf_scoring.measurements import read_bytes, read_measurements
from algoperf_scoring.names import unknown_name

MEASUREMENTS_FILE = "eval_measurements.csv"
# Where a runner puts the evaluations of a trial that must not count.
UNSCORED_FILE = "unscored_eval_measurements.csv"
BENCHMARK_FILE = "benchmark.toml"

Roots = Path | str | Iterable[Path | str]


@dataclass(frozen=True, eq=False)
class Trial:
    """The evaluations of one run.

    Attributes:
      study: Name of the study folder.
      number: The ``n`` of ``trial_<n>``.
      framework: ``"jax"`` or ``"pytorch"``; empty if the folder does not say.
      times: Submission time at each evaluation in seconds, `(evaluations,)`.
      values: Validation metric at each evaluation, `(evaluations,)`; NaN where missing.
      path: The measurement file.
    """

    study: str
    number: int
    framework: str
    times: NDArray[np.float64]
    values: NDArray[np.float64]
    path: Path


Studies = Mapping[str, tuple[Trial, ...]]


@dataclass(frozen=True, eq=False)
class Logs:
    """All that was read from log trees.

    Attributes:
      trials: Trials by submission, workload and study, all sorted. Only scored workloads, and
        only trials with measurements; a study without any of them is not there.
      folders: Number of trial folders by submission and workload, measurements or not.
      findings: Every exclusion and irregularity.
    """

    trials: Mapping[str, Mapping[str, Studies]]
    folders: Mapping[str, Mapping[str, int]]
    findings: tuple[Finding, ...]

    @property
    def submissions(self) -> tuple[str, ...]:
        """Names of the submissions, sorted."""
        return tuple(self.trials)

    def studies(self, submission: str, workload: str) -> Studies:
        """Returns the studies of a workload; empty if there are no measurements."""
        return self.trials.get(submission, {}).get(workload, {})

    def each(self) -> Iterator[tuple[str, str, Trial]]:
        """Yields every trial with its submission and workload."""
        for submission, workloads in self.trials.items():
            for workload, studies in workloads.items():
                for trials in studies.values():
                    for trial in trials:
                        yield submission, workload, trial


def read_logs(
    roots: Roots,
    benchmark: Benchmark,
    *,
    ruleset: str | None = None,
    include: Collection[str] = (),
    exclude: Collection[str] = (),
) -> Logs:
    """Reads log trees.

    Args:
      roots: One or several of: a folder of submissions, the folder of one submission, an archive
        with a folder ``<ruleset>_tuning`` for each ruleset.
      benchmark: Says which workloads are scored, by which metric.
      ruleset: Name of the ruleset to read from an archive; None for roots without rulesets.
      include: Submissions to read; empty for all.
      exclude: Submissions to leave out.

    Raises:
      LogError: If a tree has no trials, a file cannot be read, a submission has a workload in
        both frameworks, or two roots hold the same submission.
      UnknownNameError: If a workload, submission or ruleset is unknown; suggests the nearest.
    """
    if ruleset is not None:
        benchmark.ruleset(ruleset)
    found, findings = _find(_paths(roots), ruleset)
    trials, folders = {}, {}
    for submission in chosen_names(found, include, exclude):
        reader = _SubmissionReader(submission, benchmark)
        for folder in found[submission]:
            reader.read(folder)
        findings += reader.findings
        if not reader.workloads_seen:
            findings.append(Finding("no_trials", submission, "", submission))
            continue
        trials[submission] = reader.studies_by_workload()
        folders[submission] = dict(reader.folders)
    return Logs(trials, folders, tuple(findings))


def submissions_in(roots: Roots, ruleset: str | None = None) -> tuple[str, ...]:
    """Returns the names of the submissions in log trees, sorted, without reading their trials.

    Raises:
      LogError: As `read_logs`.
    """
    return tuple(_find(_paths(roots), ruleset)[0])


def read_benchmark(roots: Roots) -> Benchmark | None:
    """Reads the copies of the benchmark definition that run directories carry.

    Args:
      roots: One or several folders of submissions, or of one submission.

    Returns:
      The benchmark, or None if no submission carries one.

    Raises:
      DefinitionError: If a copy is wrong; names file and field.
      LogError: If two copies differ; names both files.
    """
    paths = [path for root in _paths(roots) for path in _definitions(root)]
    if not paths:
        return None
    first, *others = [(path, _read_definition(path)) for path in paths]
    for path, benchmark in others:
        if benchmark != first[1]:
            raise LogError(
                f"{path} and {first[0]} differ: these submissions ran under different "
                "definitions. Score them apart, or say which definition rules (--benchmark)."
            )
    return first[1]


def chosen_names(
    found: Collection[str], include: Collection[str], exclude: Collection[str]
) -> list[str]:
    """Returns the names of submissions that are to be scored.

    Raises:
      UnknownNameError: If a name is not among those found.
      AlgoperfError: If none is left.
    """
    for name in (*include, *exclude):
        if name not in found:
            raise unknown_name("submission", name, found)
    chosen = [name for name in found if (not include or name in include) and name not in exclude]
    if not chosen:
        raise AlgoperfError("no submission is left to score; include more or exclude fewer.")
    return chosen


def _paths(roots: Roots) -> list[Path]:
    return [Path(roots)] if isinstance(roots, Path | str) else [Path(root) for root in roots]


def _find(roots: list[Path], ruleset: str | None) -> tuple[dict[str, list[Folder]], list[Finding]]:
    found: dict[str, list[Folder]] = {}
    findings: list[Finding] = []
    for root in roots:
        submissions, noted = find_submissions(ruleset_folder(root, ruleset))
        for name in submissions.keys() & found.keys():
            raise LogError(
                f"{submissions[name][0].path} and {found[name][0].path} are both called {name!r}; "
                "rename one of the folders."
            )
        found.update(submissions)
        findings += noted
    return dict(sorted(found.items())), findings


def _definitions(root: Path) -> Iterator[Path]:
    check_folder(root)
    for folder in (root, *(Path(folder.path) for folder in subfolders(str(root)))):
        path = folder / BENCHMARK_FILE
        if os.path.exists(path):
            yield path


def _read_definition(path: Path) -> Benchmark:
    try:
        text = read_bytes(path, limit=2**20).decode("utf-8")
    except (FileNotFoundError, UnicodeDecodeError) as error:
        raise LogError(f"{path}: cannot be read: {error}.") from error
    return Benchmark.from_toml(text, source=str(path), trusted=False)


@dataclass
class _SubmissionReader:
    """Collects the trials of one submission, folder by folder."""

    submission: str
    benchmark: Benchmark
    findings: list[Finding] = field(default_factory=list)
    folders: dict[str, int] = field(default_factory=dict)
    workloads_seen: int = 0
    _trials: dict[str, dict[str, dict[int, Trial]]] = field(default_factory=dict)
    _frameworks: dict[str, str] = field(default_factory=dict)
    _not_scored: dict[str, set[str]] = field(default_factory=dict)

    def read(self, folder: Folder) -> None:
        self._note_link(folder, "")
        for study in subfolders(folder.path):
            self._note_link(study, "", study.name)
            for workload_folder in subfolders(study.path):
                self._read_workload(study.name, workload_folder)
        for workload, studies in sorted(self._not_scored.items()):
            count = f"{len(studies)} {'study' if len(studies) == 1 else 'studies'}"
            self._note("not_scored", workload, workload, detail=count)
        self._not_scored.clear()

    def studies_by_workload(self) -> dict[str, dict[str, tuple[Trial, ...]]]:
        return {
            workload: {
                study: tuple(studies[study][number] for number in sorted(studies[study]))
                for study in sorted(studies)
            }
            for workload, studies in sorted(self._trials.items())
        }

    def _read_workload(self, study: str, folder: Folder) -> None:
        if trial_number(folder.name) is not None:
            self._note("stray_trial", "", study, folder.name)
            return
        trials, others = trial_folders(folder.path)
        if not trials:
            self._note("no_trials", "", study, folder.name)
            return
        self.workloads_seen += 1
        workload, framework = workload_and_framework(folder.name)
        if workload not in self.benchmark.workloads:
            error = unknown_name("workload", workload, self.benchmark.workloads)
            raise type(error)(f"{folder.path}: {error} Benchmark: {self.benchmark.name}.")
        if workload not in self.benchmark.scored:
            self._skip_workload(study, workload, folder, trials)
            return
        self._note_link(folder, workload, study, folder.name)
        for kind, ignored in others:
            self._note(kind, workload, study, folder.name, ignored.name)
        self._check_framework(workload, framework, folder)
        self.folders[workload] = self.folders.get(workload, 0) + len(trials)
        for number, trial in trials:
            self._read_trial(study, workload, framework, number, folder.name, trial)

    def _skip_workload(
        self, study: str, workload: str, folder: Folder, trials: list[tuple[int, Folder]]
    ) -> None:
        self._not_scored.setdefault(workload, set()).add(study)
        for _, trial in trials:
            if not os.path.exists(f"{trial.path}/{MEASUREMENTS_FILE}"):
                self._note_without_measurements(trial, workload, study, folder.name, trial.name)

    def _check_framework(self, workload: str, framework: str, folder: Folder) -> None:
        earlier = self._frameworks.setdefault(workload, framework)
        if earlier != framework:
            raise LogError(
                f"{folder.path}: submission {self.submission!r} has the workload {workload!r} in "
                f"two frameworks, {earlier or 'none'!r} and {framework or 'none'!r}; keep one."
            )

    def _read_trial(
        self, study: str, workload: str, framework: str, number: int, parent: str, folder: Folder
    ) -> None:
        place = (study, parent, folder.name)
        self._note_link(folder, workload, *place)
        path = f"{folder.path}/{MEASUREMENTS_FILE}"
        if os.path.islink(path):
            self._note("symbolic_link", workload, *place, MEASUREMENTS_FILE)
        try:
            read = read_measurements(
                path,
                time_column=self.benchmark.scoring.time_column,
                metric_column=f"validation/{self.benchmark.workload(workload).metric}",
            )
        except FileNotFoundError:
            self._note_without_measurements(folder, workload, *place)
            return
        if read is None:
            self._note("no_header", workload, *place)
            return
        if read.cut:
            self._note("cut_row", workload, *place)
        self._keep(workload, Trial(study, number, framework, read.times, read.values, Path(path)))

    def _note_without_measurements(self, trial: Folder, workload: str, *place: str) -> None:
        unscored = os.path.exists(f"{trial.path}/{UNSCORED_FILE}")
        self._note("unscored" if unscored else "no_measurements_file", workload, *place)

    def _keep(self, workload: str, trial: Trial) -> None:
        trials = self._trials.setdefault(workload, {}).setdefault(trial.study, {})
        if trial.number in trials:
            raise LogError(
                f"{trial.path} and {trials[trial.number].path} are the same trial of submission "
                f"{self.submission!r}; keep one of them."
            )
        trials[trial.number] = trial

    def _note_link(self, folder: Folder, workload: str, *place: str) -> None:
        if folder.link:
            self._note("symbolic_link", workload, *place)

    def _note(self, kind: str, workload: str, *place: str, detail: str = "") -> None:
        where = "/".join((self.submission, *place))
        self.findings.append(Finding(kind, self.submission, workload, where, detail))
