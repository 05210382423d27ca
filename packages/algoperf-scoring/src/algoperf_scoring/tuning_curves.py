"""What more tuning brings: the best of k trials, for every k up to the trials of a study.

It starts from `TrialTimes`, as the bootstrap does, but nothing is drawn: expectations over all
subsets of k trials follow from the order of the trials' times.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from algoperf_scoring.benchmark import Benchmark
from algoperf_scoring.trial_times import TrialTimes

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class TuningCurves:
    """The fastest of k trials; column k - 1 of the last axis belongs to k trials.

    Attributes:
      submissions: Names of the rows.
      workloads: Names of the workloads.
      expected_s: Expected time of the fastest of k trials, `(submissions, workloads, k)`, the mean
        over studies; infinity if they may all miss the target and no budget says what that costs.
        NaN where no study has k trials.
      reach_probability: Probability that at least one of k trials reaches the target, of the same
        shape; NaN where no study has k trials.
      studies: Number of studies with at least k trials, of the same shape.
    """

    submissions: tuple[str, ...]
    workloads: tuple[str, ...]
    expected_s: NDArray[np.float64]
    reach_probability: NDArray[np.float64]
    studies: NDArray[np.int64]

    def rows(self) -> Iterator[tuple[str, str, int, float, float, int]]:
        """Yields submission, workload, k, expected time, probability and number of studies."""
        for s, w, k in np.argwhere(self.studies > 0).tolist():
            yield (
                self.submissions[s],
                self.workloads[w],
                k + 1,
                float(self.expected_s[s, w, k]),
                float(self.reach_probability[s, w, k]),
                int(self.studies[s, w, k]),
            )

    def to_pandas(self) -> "pd.DataFrame":
        """Returns a row per submission, workload and number of trials; needs pandas."""
        from algoperf_scoring.frames import data_frame

        names = ("submission", "workload", "trials", "expected_s", "reach_probability", "studies")
        return data_frame(names, self.rows())

    def to_dict(self) -> dict[str, dict[str, dict[str, list[Any]]]]:
        """Returns the curves for JSON, by submission and workload.

        Each is `trials`, `expected_s`, `reach_probability` and `studies`, lists of the same length;
        an infinite time is None. Workloads without measurements have empty lists.
        """
        keys = ("trials", "expected_s", "reach_probability", "studies")
        curves: dict[str, dict[str, dict[str, list[Any]]]] = {
            submission: {workload: {key: [] for key in keys} for workload in self.workloads}
            for submission in self.submissions
        }
        for submission, workload, k, seconds, probability, studies in self.rows():
            plain = seconds if math.isfinite(seconds) else None
            for key, value in zip(keys, (k, plain, probability, studies), strict=True):
                curves[submission][workload][key].append(value)
        return curves


def tuning_curves(
    trials: TrialTimes, benchmark: Benchmark, ruleset: str | None = None
) -> TuningCurves:
    """Computes what the fastest of k trials takes, in expectation over all choices of k trials.

    With the times of a study's n trials in order, x_1 to x_n, the fastest of k of them chosen
    without replacement takes ``sum_i x_i * C(n - i, k - 1) / C(n, k)``. The curves of Dodge et al.
    2019 ("Show Your Work", section 3) choose with replacement, which makes their best of n worse
    than the best there is; here it is the best trial of the study.

    The fastest trial counts, whatever `benchmark.scoring.study_time` is.

    Args:
      trials: When each trial reached its target.
      benchmark: Gives the budgets.
      ruleset: Name of the ruleset under which a trial that misses the target takes the budget and
        1 s, and no trial takes more; None to have it take forever. It does so, too, on a workload
        whose budget is unknown.

    Raises:
      UnknownNameError: If the benchmark does not know the ruleset or a workload.
    """
    reached = np.isfinite(trials.seconds)
    there = ~np.isnan(trials.seconds)
    capped = np.minimum(trials.seconds, _longest_s(trials, benchmark, ruleset))
    fastest, probability = _over_subsets(np.sort(capped, axis=-1), there.sum(-1), reached.sum(-1))
    studies = (~np.isnan(fastest)).sum(axis=-2)
    return TuningCurves(
        submissions=trials.submissions,
        workloads=trials.workloads,
        expected_s=_mean_over_studies(fastest, studies),
        reach_probability=_mean_over_studies(probability, studies),
        studies=studies,
    )


def _longest_s(
    trials: TrialTimes, benchmark: Benchmark, ruleset: str | None
) -> NDArray[np.float64]:
    """Returns what a trial takes at most, `(workloads, 1, 1)`."""
    longest = np.full((len(trials.workloads), 1, 1), np.inf)
    if ruleset is None:
        return longest
    benchmark.ruleset(ruleset)
    for column, name in enumerate(trials.workloads):
        if benchmark.workload(name).budget_s is not None:
            longest[column] = benchmark.budget_s(name, ruleset) + 1.0
    return longest


def _over_subsets(
    ordered: NDArray[np.float64], counts: NDArray[np.int64], reached: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns expected fastest time and probability of a hit by study, `(..., studies, k)`.

    Args:
      ordered: Times of the trials in rising order, `(..., studies, trials)`; NaN at the end.
      counts: Number of trials, `(..., studies)`.
      reached: Number of those that reached the target, `(..., studies)`.
    """
    fastest, probability = np.full(ordered.shape, np.nan), np.full(ordered.shape, np.nan)
    finite, infinite = np.where(np.isfinite(ordered), ordered, 0.0), np.isinf(ordered)
    for n in np.unique(counts[counts > 0]).tolist():
        weights, cell = _weights(n), counts == n
        expected = finite[cell, :n] @ weights.T
        expected[infinite[cell, :n] @ (weights > 0.0).T] = np.inf
        fastest[cell, :n] = expected
        # The fastest of k is a hit if it is among the first trials, of which `reached` are hits.
        hits = np.arange(n) < reached[cell][:, np.newaxis]
        probability[cell, :n] = hits @ weights.T
    return fastest, np.clip(probability, 0.0, 1.0)


def _weights(n: int) -> NDArray[np.float64]:
    """Returns the probability that the i-th of n ordered trials is the fastest of k, `(k, i)`."""
    return np.array(
        [
            [math.comb(n - i, k - 1) / math.comb(n, k) for i in range(1, n + 1)]
            for k in range(1, n + 1)
        ]
    )


def _mean_over_studies(
    values: NDArray[np.float64], studies: NDArray[np.int64]
) -> NDArray[np.float64]:
    total = np.where(np.isnan(values), 0.0, values).sum(axis=-2)
    return np.where(studies > 0, total / np.maximum(studies, 1), np.nan)
