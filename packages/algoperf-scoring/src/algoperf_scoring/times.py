"""Times to target: from the evaluations of trials to one time per submission and workload.

A trial's time is that of its first evaluation whose validation metric meets the target, a
study's time is that of one of its trials, a workload's time is the median over its studies
(Dahl et al. 2023, sections 4.1 and 4.4; docs/protocol.md).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from algoperf_scoring.benchmark import Benchmark
from algoperf_scoring.errors import LogError
from algoperf_scoring.facts import BenchmarkWorkload, StudyTime
from algoperf_scoring.logs import Logs, Studies, Trial


@dataclass(frozen=True, eq=False)
class TimesToTarget:
    """Times to target of several submissions.

    Attributes:
      submissions: Names of the rows.
      workloads: Names of the columns: the scored workloads of the benchmark.
      seconds: Time to target, `(submissions, workloads)`; infinity where the target was missed,
        NaN where there are no measurements.
      trials: Number of trials with measurements, `(submissions, workloads)`.
      trials_reached: Number of those that reached the target, `(submissions, workloads)`.
    """

    submissions: tuple[str, ...]
    workloads: tuple[str, ...]
    seconds: NDArray[np.float64]
    trials: NDArray[np.int64]
    trials_reached: NDArray[np.int64]

    def take(self, rows: Sequence[int]) -> "TimesToTarget":
        """Returns the given rows in the given order."""
        index = list(rows)
        return TimesToTarget(
            submissions=tuple(self.submissions[row] for row in index),
            workloads=self.workloads,
            seconds=self.seconds[index],
            trials=self.trials[index],
            trials_reached=self.trials_reached[index],
        )


def first_evaluation_at_target(trial: Trial, workload: BenchmarkWorkload) -> int | None:
    """Returns the 0-based index of the first evaluation that meets the target, or None."""
    values, target = trial.values, workload.validation_target
    hits = values <= target if workload.direction == "minimize" else values >= target
    return int(np.argmax(hits)) if hits.any() else None


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
    if not time >= 0.0:
        raise LogError(
            f"{trial.path}: evaluation {index + 1} reaches the target, but its time is {time}; "
            "expected seconds since the start."
        )
    return time


def study_time(
    trials: Iterable[Trial], workload: BenchmarkWorkload, rule: StudyTime = "earliest_evaluation"
) -> float:
    """Returns the time of a study, in seconds; infinity if no trial reaches the target.

    Args:
      trials: The trials of one study.
      workload: Gives the validation target.
      rule: ``"fastest_trial"`` is the minimum over trials. ``"earliest_evaluation"`` takes the
        trial that reaches the target after the fewest evaluations, and among several of them
        the fastest (docs/protocol.md).
    """
    reached = [
        (index, time_to_target(trial, workload))
        for trial in trials
        if (index := first_evaluation_at_target(trial, workload)) is not None
    ]
    if not reached:
        return math.inf
    if rule == "fastest_trial":
        return min(time for _, time in reached)
    return min(reached)[1]


def median_over_studies(times: Sequence[float]) -> float:
    """Returns the median of study times.

    Args:
      times: Seconds, infinity for a study that missed the target.

    Returns:
      The middle value; of an even number the mean of the two middle ones, infinite if the upper
      one is. NaN if there are no times.
    """
    if not times:
        return math.nan
    ordered = sorted(times)
    half = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[half]
    return (ordered[half - 1] + ordered[half]) / 2


def times_to_target(logs: Logs, benchmark: Benchmark) -> TimesToTarget:
    """Computes the time to target of every submission on every scored workload.

    Args:
      logs: What `read_logs` read for the same benchmark.
      benchmark: Gives targets and `scoring.study_time`.
    """
    shape = (len(logs.submissions), len(benchmark.scored))
    seconds = np.full(shape, np.nan)
    trials, reached = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    for row, submission in enumerate(logs.submissions):
        for column, name in enumerate(benchmark.scored):
            workload, studies = benchmark.workload(name), logs.studies(submission, name)
            seconds[row, column] = _workload_time(studies, workload, benchmark.scoring.study_time)
            trials[row, column] = sum(map(len, studies.values()))
            reached[row, column] = _reached(studies, workload)
    return TimesToTarget(logs.submissions, benchmark.scored, seconds, trials, reached)


def _workload_time(studies: Studies, workload: BenchmarkWorkload, rule: StudyTime) -> float:
    return median_over_studies([study_time(trials, workload, rule) for trials in studies.values()])


def _reached(studies: Studies, workload: BenchmarkWorkload) -> int:
    return sum(
        first_evaluation_at_target(trial, workload) is not None
        for trials in studies.values()
        for trial in trials
    )
