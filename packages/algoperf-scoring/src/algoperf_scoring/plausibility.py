"""Results that people should look at: a lead on one workload that nothing else explains.

An algorithm that is better everywhere is far ahead on several workloads. One that is far ahead on
a single workload may be good at it, or may have found a way around its rules.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from algoperf_scoring.benchmark import Benchmark
from algoperf_scoring.bootstrap import Bootstrap
from algoperf_scoring.errors import AlgoperfError
from algoperf_scoring.names import unknown_name
from algoperf_scoring.times import TimesToTarget


@dataclass(frozen=True)
class Suspicion:
    """A time to target that is worth a review; it is no verdict.

    Attributes:
      submission: Name of the submission.
      workload: Name of the workload.
      seconds: Its time to target.
      others_from_s: Where the range of the times of all others begins.
      factor: How many times shorter than that a time must be to be named.
    """

    submission: str
    workload: str
    seconds: float
    others_from_s: float
    factor: float

    @property
    def message(self) -> str:
        """What was seen and what to do about it."""
        return (
            f"{self.submission} reaches {self.workload} in {self.seconds:,.0f} s, less than "
            f"1/{self.factor:g} of the {self.others_from_s:,.0f} s at which the range of all "
            "others begins, and is that far ahead nowhere else; review it: read what the "
            "submission does on this workload. A lead alone proves nothing."
        )


def suspicious_times(
    bootstrap: Bootstrap,
    times: TimesToTarget,
    benchmark: Benchmark,
    *,
    factor: float = 2.0,
    confidence: float = 0.95,
) -> tuple[Suspicion, ...]:
    """Finds submissions that are far ahead of all others on exactly one workload.

    A submission is far ahead if `factor` times its time to target is below the range of every other
    submission that reached the target, of which there must be two. A workload and its variants
    are one workload here, of which the one with the larger lead is named.

    Args:
      bootstrap: Gives the ranges of the others.
      times: Times to target of submissions that the bootstrap has, too, in any order.
      benchmark: Says which workloads are variants of others.
      factor: How many times shorter a time must be.
      confidence: Share of the resamples in the range of a submission.

    Returns:
      At most one suspicion per submission, in the order of `times`.

    Raises:
      AlgoperfError: If the factor is below 1, the confidence is not between 0 and 1, or the
        bootstrap lacks a submission or workload.
    """
    if not factor >= 1.0:
        raise AlgoperfError(f"factor: expected a number of at least 1, found {factor}.")
    others_from = _others_from(_lower_ends(bootstrap, times, confidence))
    ahead = times.seconds * factor < others_from
    families = [benchmark.base_of(name) for name in times.workloads]
    suspicions = []
    for row, submission in enumerate(times.submissions):
        columns = np.flatnonzero(ahead[row]).tolist()
        if len({families[column] for column in columns}) != 1:
            continue
        seconds, limits = times.seconds[row], others_from[row]
        column = min(columns, key=lambda column: float(seconds[column] / limits[column]))
        suspicions.append(
            Suspicion(
                submission,
                times.workloads[column],
                float(seconds[column]),
                float(limits[column]),
                factor,
            )
        )
    return tuple(suspicions)


def _lower_ends(
    bootstrap: Bootstrap, times: TimesToTarget, confidence: float
) -> NDArray[np.float64]:
    """Returns where ranges begin, `(submissions, workloads)`; infinity where the target was missed.

    The times themselves are part of the ranges, which may lie above them where the best of many
    trials is seldom drawn.
    """
    rows = _places("submission", times.submissions, bootstrap.submissions)
    columns = _places("workload", times.workloads, bootstrap.workloads)
    lower = bootstrap.time_intervals(confidence)[..., 0][np.ix_(rows, columns)]
    return np.where(np.isfinite(times.seconds), np.fmin(lower, times.seconds), np.inf)


def _places(kind: str, names: tuple[str, ...], known: tuple[str, ...]) -> list[int]:
    for name in names:
        if name not in known:
            raise unknown_name(kind, name, known)
    return [known.index(name) for name in names]


def _others_from(lower: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the smallest lower end of all others; NaN where fewer than two reached the target."""
    smallest = np.full(lower.shape, np.nan)
    for row in range(len(lower)):
        others = np.delete(lower, row, axis=0)
        enough = np.isfinite(others).sum(axis=0) >= 2
        smallest[row, enough] = others[:, enough].min(axis=0, initial=np.inf)
    return smallest
