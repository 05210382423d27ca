"""Reads log trees: every trial of every scored workload, and what was left out.

Published logs and our own run directories have the same layout. Results never depend on the
order in which the file system lists folders.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from algoperf_scoring.benchmark import Benchmark
from algoperf_scoring.errors import AlgoperfError, LogError
from algoperf_scoring.facts import Ruleset
from algoperf_scoring.layout import (
    check_folder,
    find_submissions,
    ruleset_folder,
    subfolders,
    trial_folders,
    trial_number,
    workload_and_framework,
)
from algoperf_scoring.measurements import header_note, read_measurements
from algoperf_scoring.names import unknown_name
from algoperf_scoring.notes import (
    NO_CSV,
    NO_MEASUREMENTS,
    NO_TRIALS,
    NOT_SCORED,
    STRAY_TRIAL,
    STUDY_COUNT,
    TRIAL_COUNT,
    note,
)

MEASUREMENTS_FILE = "eval_measurements.csv"
BENCHMARK_FILE = "benchmark.toml"


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
    """All that was read from a log tree.

    Attributes:
      trials: Trials by submission, workload and study, all sorted. Only scored workloads, and
        only trials with measurements; a study without any of them is not there.
      notes: Every exclusion and irregularity, ``"<kind>: <detail>"`` (see `notes.py`).
    """

    trials: Mapping[str, Mapping[str, Studies]]
    notes: tuple[str, ...]

    @property
    def submissions(self) -> tuple[str, ...]:
        """Names of the submissions, sorted."""
        return tuple(self.trials)

    def studies(self, submission: str, workload: str) -> Studies:
        """Returns the studies of a workload; empty if it has no measurements."""
        return self.trials[submission].get(workload, {})


def read_logs(
    root: Path | str,
    benchmark: Benchmark,
    *,
    ruleset: str | None = None,
    include: Collection[str] = (),
    exclude: Collection[str] = (),
) -> Logs:
    """Reads a log tree.

    Args:
      root: A folder of submissions, the folder of one submission, or an archive with a folder
        ``<ruleset>_tuning`` for each ruleset.
      benchmark: Says which workloads are scored, by which metric.
      ruleset: Name of the ruleset whose numbers of studies and trials are expected; None for no
        expectation.
      include: Submissions to read; empty for all.
      exclude: Submissions to leave out.

    Raises:
      LogError: If the tree has no trials, a file cannot be read, or a submission has a workload
        in both frameworks.
      UnknownNameError: If a workload, submission or ruleset is unknown; suggests the nearest.
    """
    expected = benchmark.ruleset(ruleset) if ruleset is not None else None
    found, notes = find_submissions(ruleset_folder(Path(root), ruleset))
    trials = {}
    for submission in _chosen(found, include, exclude):
        reader = _SubmissionReader(submission, benchmark)
        for folder in found[submission]:
            reader.read(folder)
        if not reader.folders_seen:
            notes = (*notes, note(NO_TRIALS, submission))
            continue
        trials[submission] = reader.studies_by_workload()
        odd_counts = _odd_counts(submission, trials[submission], benchmark, expected)
        notes = (*notes, *reader.notes, *odd_counts)
    return Logs(trials, notes)


def read_benchmark(root: Path | str) -> Benchmark | None:
    """Reads the copies of the benchmark definition that run directories carry.

    Args:
      root: A folder of submissions, or the folder of one submission.

    Returns:
      The benchmark, or None if no submission carries one.

    Raises:
      DefinitionError: If a copy is wrong; names file and field.
      LogError: If two copies differ; names both files.
    """
    root = Path(root)
    check_folder(root)
    folders = [root, *subfolders(root)]
    paths = [path for path in (folder / BENCHMARK_FILE for folder in folders) if path.is_file()]
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


def _read_definition(path: Path) -> Benchmark:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise LogError(f"{path}: cannot be read: {error}.") from error
    return Benchmark.from_toml(text, source=str(path))


def _chosen(
    found: Collection[str], include: Collection[str], exclude: Collection[str]
) -> Iterator[str]:
    for name in (*include, *exclude):
        if name not in found:
            raise unknown_name("submission", name, found)
    chosen = [name for name in found if (not include or name in include) and name not in exclude]
    if not chosen:
        raise AlgoperfError("no submission is left to score; include more or exclude fewer.")
    yield from chosen


@dataclass
class _SubmissionReader:
    """Collects the trials of one submission, folder by folder."""

    submission: str
    benchmark: Benchmark
    notes: list[str] = field(default_factory=list)
    folders_seen: int = 0
    _trials: dict[str, dict[str, dict[str, Trial]]] = field(default_factory=dict)
    _frameworks: dict[str, str] = field(default_factory=dict)
    _not_scored: dict[str, set[str]] = field(default_factory=dict)

    def read(self, folder: Path) -> None:
        for study in subfolders(folder):
            for workload_folder in subfolders(study):
                self._read_workload(study.name, workload_folder)
        for workload, studies in sorted(self._not_scored.items()):
            detail = f"{self.submission}/{workload} ({len(studies)} studies)"
            self.notes.append(note(NOT_SCORED, detail))
        self._not_scored.clear()

    def studies_by_workload(self) -> dict[str, dict[str, tuple[Trial, ...]]]:
        return {
            workload: {
                study: tuple(studies[study][name] for name in _by_number(studies[study]))
                for study in sorted(studies)
            }
            for workload, studies in sorted(self._trials.items())
        }

    def _read_workload(self, study: str, folder: Path) -> None:
        if trial_number(folder) is not None:
            self.notes.append(note(STRAY_TRIAL, self._label(study, folder.name)))
            return
        trials = trial_folders(folder)
        if not trials:
            self.notes.append(note(NO_TRIALS, self._label(study, folder.name)))
            return
        self.folders_seen += 1
        workload, framework = workload_and_framework(folder.name)
        if workload not in self.benchmark.workloads:
            error = unknown_name("workload", workload, self.benchmark.workloads)
            raise type(error)(f"{folder}: {error} Benchmark: {self.benchmark.name}.")
        if workload not in self.benchmark.scored:
            self._skip_workload(study, workload, folder, trials)
            return
        self._check_framework(workload, framework, folder)
        for number, trial_folder in trials:
            self._read_trial(study, workload, framework, number, trial_folder)

    def _skip_workload(
        self, study: str, workload: str, folder: Path, trials: list[tuple[int, Path]]
    ) -> None:
        self._not_scored.setdefault(workload, set()).add(study)
        for _, trial_folder in trials:
            if not (trial_folder / MEASUREMENTS_FILE).exists():
                label = self._label(study, folder.name, trial_folder.name)
                self.notes.append(note(NO_CSV, label))

    def _check_framework(self, workload: str, framework: str, folder: Path) -> None:
        earlier = self._frameworks.setdefault(workload, framework)
        if earlier != framework:
            raise LogError(
                f"{folder}: submission {self.submission!r} has the workload {workload!r} in two "
                f"frameworks, {earlier or 'none'!r} and {framework or 'none'!r}; keep one of them."
            )

    def _read_trial(
        self, study: str, workload: str, framework: str, number: int, folder: Path
    ) -> None:
        path = folder / MEASUREMENTS_FILE
        label = self._label(study, folder.parent.name, folder.name)
        try:
            read = read_measurements(
                path,
                time_column=self.benchmark.scoring.time_column,
                metric_column=f"validation/{self.benchmark.workload(workload).metric}",
                label=label,
            )
        except FileNotFoundError:
            self.notes.append(note(NO_CSV, label))
            return
        if read is None:
            self.notes.append(header_note(label))
            return
        self.notes.extend(read.notes)
        trials = self._trials.setdefault(workload, {}).setdefault(study, {})
        if folder.name in trials:
            raise LogError(
                f"{path} and {trials[folder.name].path} are the same trial of submission "
                f"{self.submission!r}; keep one of them."
            )
        trials[folder.name] = Trial(study, number, framework, read.times, read.values, path)

    def _label(self, *parts: str) -> str:
        return "/".join((self.submission, *parts))


def _by_number(trials: Mapping[str, Trial]) -> list[str]:
    return sorted(trials, key=lambda name: (trials[name].number, name))


def _odd_counts(
    submission: str,
    workloads: Mapping[str, Studies],
    benchmark: Benchmark,
    expected: Ruleset | None,
) -> Iterator[str]:
    for workload in benchmark.scored:
        studies = workloads.get(workload, {})
        if not studies:
            yield note(NO_MEASUREMENTS, f"{submission}/{workload}")
        elif expected is not None:
            yield from _odd_studies(f"{submission}/{workload}", studies, expected)


def _odd_studies(label: str, studies: Studies, expected: Ruleset) -> Iterator[str]:
    wanted = f"the ruleset {expected.name!r} has"
    if len(studies) != expected.studies:
        yield note(STUDY_COUNT, f"{label} has {len(studies)}, {wanted} {expected.studies}")
    for study, trials in studies.items():
        if len(trials) != expected.trials:
            detail = f"{label}/{study} has {len(trials)}, {wanted} {expected.trials}"
            yield note(TRIAL_COUNT, detail)
