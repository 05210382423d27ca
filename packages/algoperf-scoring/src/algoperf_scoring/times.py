"""Times to target: from the times of trials to one time per submission and workload.

A study's time is that of one of its trials, a workload's time is the median over its studies
(Dahl et al. 2023, sections 4.1 and 4.4; docs/protocol.md). A target is met between two evaluations;
the time of the earlier one is carried along as the lower end of what is known.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from algoperf_scoring.facts import StudyTime
from algoperf_scoring.trial_times import TrialTimes

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class TimesToTarget:
    """Times to target of several submissions.

    Attributes:
      submissions: Names of the rows.
      workloads: Names of the columns.
      seconds: Time to target, `(submissions, workloads)`; infinity where the target was missed,
        NaN where there are no measurements.
      missed_until_s: Lower end of what is known of it, `(submissions, workloads)`: the target was
        met after this time and not later than `seconds`. NaN if unknown.
      study_seconds: Time of every study, `(submissions, workloads, studies)`; NaN where there is
        none.
      trials: Number of trials with measurements, `(submissions, workloads)`.
      trials_reached: Number of those that reached the target, `(submissions, workloads)`.
    """

    submissions: tuple[str, ...]
    workloads: tuple[str, ...]
    seconds: NDArray[np.float64]
    missed_until_s: NDArray[np.float64]
    study_seconds: NDArray[np.float64]
    trials: NDArray[np.int64]
    trials_reached: NDArray[np.int64]

    def take(self, order: Sequence[int]) -> "TimesToTarget":
        """Returns the given rows in the given order."""
        index = list(order)
        return TimesToTarget(
            submissions=tuple(self.submissions[row] for row in index),
            workloads=self.workloads,
            seconds=self.seconds[index],
            missed_until_s=self.missed_until_s[index],
            study_seconds=self.study_seconds[index],
            trials=self.trials[index],
            trials_reached=self.trials_reached[index],
        )

    def tied(self) -> NDArray[np.bool_]:
        """Says which submissions cannot be told apart, `(workloads, submissions, submissions)`.

        Two are tied on a workload if what is known of their times overlaps: either may have met
        the target first. A submission is not tied with itself, nor where it missed the target.
        """
        upper = self.seconds.T
        lower = np.where(np.isnan(self.missed_until_s), self.seconds, self.missed_until_s).T
        overlap = (lower[:, :, None] < upper[:, None, :]) & (lower[:, None, :] < upper[:, :, None])
        same = upper[:, :, None] == upper[:, None, :]
        reached = np.isfinite(upper)
        tied = (overlap | same) & reached[:, :, None] & reached[:, None, :]
        return np.asarray(tied & ~np.eye(len(self.submissions), dtype=np.bool_))

    def to_pandas(self) -> "pd.DataFrame":
        """Returns seconds as a data frame, submissions in rows; needs pandas."""
        from algoperf_scoring.frames import labelled_frame

        return labelled_frame(self.seconds, self.submissions, self.workloads, name="submission")


def study_times(
    trials: TrialTimes, rule: StudyTime
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns the time of every study and the lower end of what is known of it.

    Args:
      trials: When each trial reached the target.
      rule: ``"fastest_trial"`` is the minimum over trials. ``"earliest_evaluation"`` takes the
        trial that reaches the target after the fewest evaluations, and among several of them the
        fastest; where evaluations are unknown, that is the fastest, too.

    Returns:
      Seconds, `(submissions, workloads, studies)`: infinity for a study that missed the target,
      NaN for one that is not there; and the time until which it had not been met.
    """
    seconds, until = trials.seconds, trials.missed_until_s
    reached = np.isfinite(seconds)
    candidates = reached
    if rule == "earliest_evaluation":
        index = np.where(reached, trials.evaluations, np.iinfo(np.int64).max)
        candidates = reached & (index == index.min(axis=-1, keepdims=True))
    best = np.where(candidates, seconds, np.inf).min(axis=-1)
    if rule == "earliest_evaluation":
        chosen = candidates & (seconds == best[..., np.newaxis])
        known_from = np.where(chosen, until, np.inf).min(axis=-1)
    else:
        # Any trial may have been the first to meet the target, also one that was seen later.
        known_from = np.where(np.isnan(seconds), np.inf, until).min(axis=-1)
    there = ~np.isnan(seconds).all(axis=-1)
    missed = there & np.isinf(best)
    last = np.where(np.isnan(seconds), np.inf, until).min(axis=-1)
    return (
        np.where(there, best, np.nan),
        np.where(there, np.where(missed, last, np.minimum(known_from, best)), np.nan),
    )


def median_over_studies(times: ArrayLike) -> NDArray[np.float64]:
    """Returns the median of study times.

    Args:
      times: Seconds, `(..., studies)`; infinity for a study that missed the target, NaN for one
        that is not there and so does not enter.

    Returns:
      The middle value, `(...)`; of an even number the mean of the two middle ones, infinite if the
      upper one is. NaN if there are no studies.
    """
    # NaN sorts last, after infinity.
    ordered = np.sort(np.asarray(times, dtype=np.float64), axis=-1)
    if ordered.shape[-1] == 0:
        return np.full(ordered.shape[:-1], np.nan)
    count = (~np.isnan(ordered)).sum(axis=-1, keepdims=True)
    lower = np.take_along_axis(ordered, np.maximum(count - 1, 0) // 2, axis=-1)
    upper = np.take_along_axis(ordered, np.minimum(count // 2, ordered.shape[-1] - 1), axis=-1)
    middle = np.where(lower == upper, lower, lower / 2 + upper / 2)
    return np.asarray(np.where(count > 0, middle, np.nan)[..., 0])


def times_to_target(trials: TrialTimes, rule: StudyTime = "fastest_trial") -> TimesToTarget:
    """Computes the time to target of every submission on every workload.

    Args:
      trials: When each trial reached the target.
      rule: Whose time a study has; see `study_times`.
    """
    seconds, known_from = study_times(trials, rule)
    there = ~np.isnan(trials.seconds)
    return TimesToTarget(
        submissions=trials.submissions,
        workloads=trials.workloads,
        seconds=median_over_studies(seconds),
        missed_until_s=median_over_studies(known_from),
        study_seconds=seconds,
        trials=there.sum(axis=(-2, -1)),
        trials_reached=np.isfinite(trials.seconds).sum(axis=(-2, -1)),
    )
