"""How far scores and times depend on which studies and trials were run: a bootstrap of both.

It starts from `TrialTimes`, draws studies and trials anew, and takes every draw through the rules
that make the leaderboard. Intervals and the probabilities of ranks are read off the draws.
"""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from algoperf_scoring.benchmark import Benchmark
from algoperf_scoring.counting import row_of, scores_by_rules
from algoperf_scoring.errors import AlgoperfError
from algoperf_scoring.facts import Method, StudyTime
from algoperf_scoring.ranks import shared_ranks, without_rounding
from algoperf_scoring.times import median_over_studies
from algoperf_scoring.trial_times import TrialTimes

if TYPE_CHECKING:
    import pandas as pd

Levels = Literal["studies_and_trials", "studies"]

CHUNK_ENTRIES = 1 << 18
"""Numbers that are worked on at once; bounds the memory and changes no result."""


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Scores and times to target of resampled studies and trials.

    Drawing trials anew makes the best of n pessimistic: the best of five trials is missing from a
    third of the resamples (0.8 ** 5), and nothing better takes its place. An interval may therefore
    lie to one side of the score or time it belongs to. Where ``levels`` is ``"studies"``, only
    studies were drawn anew, each with the trials it has, and this does not happen.

    Scores are relative to the group: in every resample all submissions are drawn anew.

    Attributes:
      submissions: Names of the rows.
      workloads: Names of the workloads.
      base: Names of the base workloads, which make up the score.
      method: How profiles were integrated.
      levels: What was drawn anew: studies and the trials inside each, or studies alone.
      seed: Seed of the draws.
      scores: Benchmark scores, `(resamples, submissions)`.
      seconds: Times to target, `(resamples, submissions, workloads)`; infinity where the target was
        missed, NaN where there are no measurements.
    """

    submissions: tuple[str, ...]
    workloads: tuple[str, ...]
    base: tuple[str, ...]
    method: Method
    levels: Levels
    seed: int
    scores: NDArray[np.float64]
    seconds: NDArray[np.float64]

    @property
    def resamples(self) -> int:
        """Number of resamples."""
        return len(self.scores)

    def score_intervals(self, confidence: float = 0.95) -> NDArray[np.float64]:
        """Returns percentile intervals of the scores, `(submissions, 2)`.

        Args:
          confidence: Share of the resamples that lie inside, between 0 and 1.

        Raises:
          AlgoperfError: If the confidence is not between 0 and 1.
        """
        return percentile_intervals(self.scores, confidence)

    def time_intervals(self, confidence: float = 0.95) -> NDArray[np.float64]:
        """Returns percentile intervals of the times to target, `(submissions, workloads, 2)`.

        Args:
          confidence: Share of the resamples that lie inside, between 0 and 1.

        Returns:
          Seconds. An end is infinite if the target was missed that often; both are NaN where there
          are no measurements.

        Raises:
          AlgoperfError: If the confidence is not between 0 and 1.
        """
        return percentile_intervals(self.seconds, confidence)

    def rank_probabilities(self) -> NDArray[np.float64]:
        """Returns how often a submission had each rank, `(submissions, submissions)`.

        Column k belongs to rank k + 1. Equal scores share the better rank, so columns need not sum
        to 1; rows do.
        """
        ranks = shared_ranks(self.scores)
        places = np.arange(1, len(self.submissions) + 1)
        shares = [(ranks == place).mean(axis=0) for place in places]
        return np.reshape(shares, (len(places), len(places))).T

    def better_than(self) -> NDArray[np.float64]:
        """Returns how often the row's score was above the column's, `(submissions, submissions)`.

        Equal scores count for neither side, so that an entry and its mirror image need not sum
        to 1; the diagonal is 0.
        """
        scores = without_rounding(self.scores)
        shares = [(row[:, np.newaxis] > scores).mean(axis=0) for row in scores.T]
        return np.reshape(shares, (len(self.submissions), len(self.submissions)))

    def to_pandas(self) -> "pd.DataFrame":
        """Returns the scores as a data frame: a row per resample, a column per submission."""
        from algoperf_scoring.frames import data_frame

        return data_frame(self.submissions, self.scores.tolist())

    def to_dict(self, confidence: float = 0.95) -> dict[str, Any]:
        """Returns intervals and probabilities for JSON.

        Args:
          confidence: As for `score_intervals`.

        Returns:
          Settings, and by submission: intervals as `[from, to]`, where None stands for infinity;
          in place of the interval of a time None where there are no measurements.
        """
        names = self.submissions
        times = [
            dict(zip(self.workloads, map(_plain_interval, row), strict=True))
            for row in self.time_intervals(confidence).tolist()
        ]
        duels = [dict(zip(names, row, strict=True)) for row in self.better_than().tolist()]
        by_submission: dict[str, list[Any]] = {
            "score_intervals": self.score_intervals(confidence).tolist(),
            "time_intervals": times,
            "rank_probabilities": self.rank_probabilities().tolist(),
            "better_than": duels,
        }
        return {
            "seed": self.seed,
            "resamples": self.resamples,
            "levels": self.levels,
            "method": self.method,
            "confidence": confidence,
            **{key: dict(zip(names, rows, strict=True)) for key, rows in by_submission.items()},
        }


def bootstrap(
    trials: TrialTimes,
    benchmark: Benchmark,
    *,
    method: Method | None = None,
    resamples: int = 10_000,
    seed: int = 0,
    levels: Levels = "studies_and_trials",
    reference: str | None = None,
) -> Bootstrap:
    """Draws studies and trials anew and scores every draw.

    For every submission and workload on its own, as many studies as there are are drawn with
    replacement, then inside each as many trials as it has. Study times, medians and scores follow
    the rules of the benchmark. The draws of a submission on a workload depend on the seed and the
    two names alone, not on their order or on who else is there.

    Sources: the bootstrap of hierarchical data is that of Davison and Hinkley 1997, section 3.8,
    the intervals are those of Efron and Tibshirani 1993, chapter 13.

    Args:
      trials: When each trial reached its target.
      benchmark: Gives the rules.
      method: How to integrate profiles; None for `benchmark.scoring.method`.
      resamples: How often to draw.
      seed: A number of at least 0; equal seeds give equal results.
      levels: ``"studies_and_trials"``, or ``"studies"`` to keep the trials of each study, which
        avoids that drawing trials makes the best of n pessimistic (see `Bootstrap`).
      reference: The submission whose times are the unit of the ratios, in place of the fastest.

    Raises:
      UnknownNameError: If there is no such reference.
      AlgoperfError: If `resamples`, `seed` or `levels` is not one of the allowed.
    """
    _check_settings(resamples, seed, levels)
    chosen = benchmark.with_scoring(method=method or benchmark.scoring.method)
    unit = None if reference is None else row_of(reference, trials.submissions)
    seconds = _resampled_seconds(trials, chosen.scoring.study_time, resamples, seed, levels)
    scores = np.empty(seconds.shape[:2])
    for rows in _chunks(resamples, seconds[0].size):
        scores[rows] = scores_by_rules(seconds[rows], trials.workloads, chosen, reference=unit)
    return Bootstrap(
        submissions=trials.submissions,
        workloads=trials.workloads,
        base=benchmark.base,
        method=chosen.scoring.method,
        levels=levels,
        seed=seed,
        scores=scores,
        seconds=seconds,
    )


def percentile_intervals(values: ArrayLike, confidence: float = 0.95) -> NDArray[np.float64]:
    """Returns intervals from order statistics, so that infinities stay what they are.

    Args:
      values: `(resamples, ...)`; infinity and NaN are allowed.
      confidence: Share of the resamples that lie inside, between 0 and 1; the same number is cut
        off at both ends.

    Returns:
      Lower and upper ends, `(..., 2)`; NaN where all resamples are.

    Raises:
      AlgoperfError: If the confidence is not between 0 and 1.
    """
    if not 0.0 < confidence < 1.0:
        raise AlgoperfError(
            f"confidence: expected a number between 0 and 1, found {confidence}; write 0.95 "
            "for 95 %."
        )
    table = np.asarray(values, dtype=np.float64)
    count = len(table)
    # Rounded, since (1 - 0.9) / 2 * 10000 falls just below 500.
    cut = min(math.floor(round((1.0 - confidence) / 2.0 * count, 6)), (count - 1) // 2)
    ends = [cut, count - 1 - cut]
    return np.moveaxis(np.partition(table, ends, axis=0)[ends], 0, -1)


def _plain_interval(ends: list[float]) -> list[float | None] | None:
    if math.isnan(ends[0]):
        return None
    return [end if math.isfinite(end) else None for end in ends]


def _check_settings(resamples: int, seed: int, levels: Levels) -> None:
    if resamples < 1:
        raise AlgoperfError(f"resamples: expected a number of at least 1, found {resamples}.")
    if seed < 0:
        raise AlgoperfError(f"seed: expected a number of at least 0, found {seed}.")
    if levels not in get_args(Levels):
        allowed = " or ".join(repr(name) for name in get_args(Levels))
        raise AlgoperfError(f"levels: expected {allowed}, found {levels!r}.")


def _resampled_seconds(
    trials: TrialTimes, rule: StudyTime, resamples: int, seed: int, levels: Levels
) -> NDArray[np.float64]:
    """Returns times to target, `(resamples, submissions, workloads)`."""
    ordered = _ordered_by_rule(trials, rule)
    shape = (len(trials.submissions), len(trials.workloads))
    seconds = np.full((resamples, *shape), np.nan)
    for row, column in np.ndindex(shape):
        studies = ordered[row, column]
        studies = studies[~np.isnan(studies).all(axis=-1)]
        if len(studies) == 0:
            continue
        random = _generator(seed, trials.submissions[row], trials.workloads[column])
        for part in _chunks(resamples, studies.shape[0]):
            draws = random.random((part.stop - part.start, len(studies), 2))
            drawn = _drawn_study_times(studies, draws, levels)
            seconds[part, row, column] = median_over_studies(drawn)
    return seconds


def _ordered_by_rule(trials: TrialTimes, rule: StudyTime) -> NDArray[np.float64]:
    """Returns the seconds of trials from the one whose time a study has to the last, NaN at the end.

    The first of any of them is then the one that stands furthest to the left.
    """
    if rule == "fastest_trial":
        return np.sort(trials.seconds, axis=-1)
    reached = np.isfinite(trials.seconds)
    evaluations = np.where(reached, trials.evaluations, np.iinfo(np.int64).max)
    order = np.lexsort((trials.seconds, evaluations), axis=-1)
    return np.take_along_axis(trials.seconds, order, axis=-1)


def _drawn_study_times(
    studies: NDArray[np.float64], draws: NDArray[np.float64], levels: Levels
) -> NDArray[np.float64]:
    """Returns the times of drawn studies, `(draws, studies)`.

    The best of n draws with replacement from n ordered trials stands at floor(n * the smallest of n
    uniform numbers), and that smallest one is 1 - (1 - u) ** (1 / n) for one uniform number u.

    Args:
      studies: Times of the trials in order, `(studies, trials)`; NaN at the end.
      draws: Uniform numbers for study and trials, `(draws, studies, 2)`.
      levels: Whether trials are drawn, too.
    """
    study = (draws[..., 0] * len(studies)).astype(np.intp)
    if levels == "studies":
        return np.asarray(studies[study, 0])
    count = (~np.isnan(studies)).sum(axis=-1)[study]
    smallest = 1.0 - (1.0 - draws[..., 1]) ** (1.0 / count)
    return np.asarray(studies[study, (smallest * count).astype(np.intp)])


def _generator(seed: int, submission: str, workload: str) -> np.random.Generator:
    digest = hashlib.sha256(f"{submission}\0{workload}".encode("utf-8", "surrogatepass")).digest()
    return np.random.default_rng([seed, int.from_bytes(digest[:16], "big")])


def _chunks(resamples: int, entries: int) -> Iterator[slice]:
    """Yields slices of resamples, each of which has ``entries`` numbers."""
    step = max(1, CHUNK_ENTRIES // max(1, entries))
    for start in range(0, resamples, step):
        yield slice(start, min(start + step, resamples))
