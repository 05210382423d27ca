"""When each trial reached its target: what every source of results is brought to.

Logs, tables of times and published times all become `TrialTimes`; times to target, bootstrap and
tuning curves are computed from them.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from algoperf_scoring.benchmark import Benchmark
from algoperf_scoring.errors import AlgoperfError, LogError
from algoperf_scoring.facts import BenchmarkWorkload
from algoperf_scoring.logs import Logs, Trial

if TYPE_CHECKING:
    import pandas as pd

MAX_PLACES = 10_000_000
"""Most places for trials: a table of them has one for every study and trial of the largest."""


class TrialTime(NamedTuple):
    """When one trial reached its target.

    Attributes:
      submission: Name of the submission.
      workload: Name of the workload.
      study: Name of the study.
      trial: Number of the trial within the study.
      seconds: Time of the first evaluation at the target; infinity if it was missed.
      missed_until_s: Time of the last evaluation that had not met the target, before `seconds` or,
        for a trial that missed it, at its end; NaN if unknown.
      evaluation: 0-based index of the first evaluation at the target; -1 if missed or unknown.
    """

    submission: str
    workload: str
    study: str
    trial: int
    seconds: float
    missed_until_s: float = math.nan
    evaluation: int = -1


@dataclass(frozen=True, eq=False)
class TrialTimes:
    """When each trial of several submissions reached its target.

    Arrays have the shape `(submissions, workloads, studies, trials)`, filled up with NaN (and -1)
    where a study or a trial is not there. Studies are in order of their names and trials in order
    of their numbers, so the same place may mean another study for another submission.

    Attributes:
      submissions: Names of the rows, sorted.
      workloads: Names of the workloads.
      seconds: Time of the first evaluation at the target; infinity for a trial that missed it.
      missed_until_s: Time of the last evaluation before that; NaN if unknown.
      evaluations: 0-based index of the first evaluation at the target; -1 if missed or unknown.
      study_names: Names of the studies by submission and workload.
      trial_numbers: Numbers of the trials; -1 where there is none.
    """

    submissions: tuple[str, ...]
    workloads: tuple[str, ...]
    seconds: NDArray[np.float64]
    missed_until_s: NDArray[np.float64]
    evaluations: NDArray[np.int64]
    study_names: tuple[tuple[tuple[str, ...], ...], ...]
    trial_numbers: NDArray[np.int64]

    @classmethod
    def from_rows(
        cls,
        rows: Iterable[TrialTime],
        *,
        submissions: Sequence[str] = (),
        workloads: Sequence[str] = (),
    ) -> "TrialTimes":
        """Puts trials in their places.

        Args:
          rows: The trials, in any order.
          submissions: Further submissions, of which there may be no trial.
          workloads: The workloads, in order; those of `rows` that are not named follow by name.

        Raises:
          AlgoperfError: If a trial is there twice, or its time is negative or NaN.
        """
        kept: dict[tuple[str, str], dict[str, dict[int, TrialTime]]] = {}
        for row in rows:
            _check_time(row)
            study = kept.setdefault((row.submission, row.workload), {}).setdefault(row.study, {})
            if row.trial in study:
                raise AlgoperfError(
                    f"{_label(row)} is there twice; keep one of the two, or number them."
                )
            study[row.trial] = row
        names = sorted({*submissions, *(submission for submission, _ in kept)})
        others = {workload for _, workload in kept} - set(workloads)
        return _filled(kept, tuple(names), (*workloads, *sorted(others)))

    def rows(self) -> Iterator[TrialTime]:
        """Yields every trial, by submission, workload, study and number."""
        for s, w, j, k in np.argwhere(~np.isnan(self.seconds)).tolist():
            yield TrialTime(
                self.submissions[s],
                self.workloads[w],
                self.study_names[s][w][j],
                int(self.trial_numbers[s, w, j, k]),
                float(self.seconds[s, w, j, k]),
                float(self.missed_until_s[s, w, j, k]),
                int(self.evaluations[s, w, j, k]),
            )

    def take(self, order: Sequence[int]) -> "TrialTimes":
        """Returns the given submissions in the given order."""
        index = list(order)
        return TrialTimes(
            submissions=tuple(self.submissions[row] for row in index),
            workloads=self.workloads,
            seconds=self.seconds[index],
            missed_until_s=self.missed_until_s[index],
            evaluations=self.evaluations[index],
            study_names=tuple(self.study_names[row] for row in index),
            trial_numbers=self.trial_numbers[index],
        )

    def to_pandas(self) -> "pd.DataFrame":
        """Returns a row per trial, as a data frame with the fields of `TrialTime`; needs pandas."""
        from algoperf_scoring.frames import data_frame

        return data_frame(TrialTime._fields, self.rows())


def first_evaluation_at_target(trial: Trial, workload: BenchmarkWorkload) -> int | None:
    """Returns the 0-based index of the first evaluation that meets the target, or None."""
    values, target = trial.values, workload.validation_target
    hits = values <= target if workload.direction == "minimize" else values >= target
    # An infinite metric is a sign of divergence, in whichever direction it points.
    hits &= np.isfinite(values)
    index = int(hits.argmax()) if len(hits) else 0
    return index if len(hits) and hits[index] else None


def time_to_target(trial: Trial, workload: BenchmarkWorkload) -> float:
    """Returns the time of a trial's first evaluation at the target, in seconds.

    Args:
      trial: The evaluations.
      workload: Gives the validation target and its direction; equality counts, NaN never does.

    Returns:
      The time, or infinity if no evaluation meets the target.

    Raises:
      LogError: If the evaluation that meets the target has no time, or a negative one.
    """
    index = first_evaluation_at_target(trial, workload)
    if index is None:
        return math.inf
    time = float(trial.times[index])
    if not 0.0 <= time < math.inf:
        raise LogError(
            f"{trial.path}: evaluation {index + 1} reaches the target, but its time is {time}; "
            "expected seconds since the start."
        )
    return time


def read_trial_times(logs: Logs, benchmark: Benchmark) -> TrialTimes:
    """Finds when each trial of the logs reached its target.

    Args:
      logs: What `read_logs` read for the same benchmark.
      benchmark: Gives the targets.

    Raises:
      LogError: If an evaluation at the target has no time.
    """
    rows = (
        _row(submission, benchmark.workload(name), trial)
        for submission, workloads in logs.trials.items()
        for name, studies in workloads.items()
        for trials in studies.values()
        for trial in trials
    )
    return TrialTimes.from_rows(rows, submissions=logs.submissions, workloads=benchmark.scored)


def _row(submission: str, workload: BenchmarkWorkload, trial: Trial) -> TrialTime:
    index = first_evaluation_at_target(trial, workload)
    missed = len(trial.times) if index is None else index
    return TrialTime(
        submission,
        workload.name,
        trial.study,
        trial.number,
        time_to_target(trial, workload),
        # Training starts at 0: nothing was measured before the first evaluation.
        float(trial.times[missed - 1]) if missed else 0.0,
        -1 if index is None else index,
    )


def _check_time(row: TrialTime) -> None:
    if not row.seconds >= 0.0:
        raise AlgoperfError(
            f"{_label(row)}: the time is {row.seconds}; expected seconds of at least 0, or "
            "infinity for a target that was missed."
        )


def _label(row: TrialTime) -> str:
    return f"{row.submission}, {row.workload}, study {row.study}, trial {row.trial}"


def _filled(
    kept: dict[tuple[str, str], dict[str, dict[int, TrialTime]]],
    submissions: tuple[str, ...],
    workloads: tuple[str, ...],
) -> TrialTimes:
    n_studies = max((len(studies) for studies in kept.values()), default=1)
    n_trials = max(
        (len(trials) for studies in kept.values() for trials in studies.values()), default=1
    )
    shape = (len(submissions), len(workloads), n_studies, n_trials)
    if math.prod(shape) > MAX_PLACES:
        raise AlgoperfError(
            f"{n_studies} studies and {n_trials} trials in a study, for {len(submissions)} "
            f"submissions and {len(workloads)} workloads, are too many to be held; score fewer."
        )
    seconds, missed_until = np.full(shape, np.nan), np.full(shape, np.nan)
    evaluations, numbers = np.full(shape, -1), np.full(shape, -1)
    row_of = {name: row for row, name in enumerate(submissions)}
    column_of = {name: column for column, name in enumerate(workloads)}
    for (submission, workload), studies in kept.items():
        for j, study in enumerate(sorted(studies)):
            for k, number in enumerate(sorted(studies[study])):
                place = (row_of[submission], column_of[workload], j, k)
                trial = studies[study][number]
                seconds[place], missed_until[place] = trial.seconds, trial.missed_until_s
                evaluations[place], numbers[place] = trial.evaluation, number
    names = tuple(
        tuple(tuple(sorted(kept.get((submission, workload), ()))) for workload in workloads)
        for submission in submissions
    )
    return TrialTimes(submissions, workloads, seconds, missed_until, evaluations, names, numbers)
