"""A leaderboard with all that says how far to trust it: intervals, ties, sensitivity, speedups."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from algoperf_scoring.bootstrap import Bootstrap, Levels, bootstrap
from algoperf_scoring.findings import Finding
from algoperf_scoring.leaderboard import Leaderboard
from algoperf_scoring.plausibility import Suspicion, suspicious_times
from algoperf_scoring.sensitivity import Sensitivity, sensitivity
from algoperf_scoring.speedups import (
    Absent,
    SpeedupDirection,
    Speedups,
    speedup_intervals,
    speedups,
)
from algoperf_scoring.tuning_curves import TuningCurves, tuning_curves


@dataclass(frozen=True, eq=False)
class Analysis:
    """A leaderboard and its uncertainty; all submissions are in the leaderboard's order.

    Attributes:
      leaderboard: Scores, times and findings.
      confidence: Coverage of all intervals, for example 0.95.
      bootstrap: Resampled scores and times.
      tuning_curves: Expected time to target by number of tuning trials.
      sensitivity: Scores under changed rules.
      suspicions: Times to target that somebody should look at.
      speedups: Against one submission; None if none was chosen.
      speedup_intervals: Intervals of the speedups, `(submissions, 2)`; None as well.
    """

    leaderboard: Leaderboard
    confidence: float
    bootstrap: Bootstrap
    tuning_curves: TuningCurves
    sensitivity: Sensitivity
    suspicions: tuple[Suspicion, ...]
    speedups: Speedups | None = None
    speedup_intervals: NDArray[np.float64] | None = None

    @property
    def repeated(self) -> bool:
        """Whether anything was run more than once; else all resamples are alike and say nothing."""
        there = ~np.isnan(self.leaderboard.trials.seconds)
        studies = there.any(axis=-1).sum(axis=-1)
        runs = studies if self.bootstrap.levels == "studies" else there.sum(axis=(-2, -1))
        return bool((runs > 1).any())

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The leaderboard's findings and the suspicions."""
        return (*self.leaderboard.findings, *map(_finding, self.suspicions))

    def to_dict(self) -> dict[str, Any]:
        """Returns the leaderboard and all of the analysis for JSON."""
        return {**self.leaderboard.to_dict(), **dict(self._parts())}

    def _parts(self) -> Iterator[tuple[str, Any]]:
        yield "bootstrap", self.bootstrap.to_dict(self.confidence)
        yield "tuning_curves", self.tuning_curves.to_dict()
        yield "sensitivity", self.sensitivity.to_dict()
        yield "suspicions", [suspicion.message for suspicion in self.suspicions]
        if self.speedups is not None and self.speedup_intervals is not None:
            ends = [
                [end if np.isfinite(end) else None for end in pair]
                for pair in self.speedup_intervals.tolist()
            ]
            intervals = dict(zip(self.speedups.submissions, ends, strict=True))
            yield "speedups", {**self.speedups.to_dict(), "intervals": intervals}


def analyse(
    leaderboard: Leaderboard,
    *,
    resamples: int = 10_000,
    seed: int = 0,
    confidence: float = 0.95,
    levels: Levels = "studies_and_trials",
    speedup_over: str | None = None,
    direction: SpeedupDirection = "rules",
    absent: Absent = "refuse",
) -> Analysis:
    """Computes how far a leaderboard can be trusted.

    Args:
      leaderboard: Of `score_logs` or `score_times`.
      resamples: Number of bootstrap resamples.
      seed: Seed of the bootstrap; the same seed gives the same numbers.
      confidence: Coverage of the intervals.
      levels: What is resampled; see `bootstrap`.
      speedup_over: The submission that speedups compare with; None for no speedups.
      direction: Which way speedups go; see `speedups`.
      absent: What speedups make of a workload without measurements; see `speedups`.

    Raises:
      UnknownNameError: If there is no such submission.
      AlgoperfError: If a setting is out of range.
    """
    benchmark, trials = leaderboard.benchmark, leaderboard.trials
    ruleset, method = leaderboard.ruleset, leaderboard.method
    ratios = intervals = None
    if speedup_over is not None:
        ratios = speedups(
            leaderboard.times,
            benchmark,
            reference=speedup_over,
            ruleset=ruleset,
            direction=direction,
            absent=absent,
        )
    resampled = bootstrap(
        trials,
        benchmark,
        method=method,
        resamples=resamples,
        seed=seed,
        levels=levels,
        reference=leaderboard.reference,
    )
    if speedup_over is not None:
        intervals = speedup_intervals(
            resampled,
            benchmark,
            reference=speedup_over,
            ruleset=ruleset,
            direction=direction,
            absent=absent,
            confidence=confidence,
        )
    return Analysis(
        leaderboard=leaderboard,
        confidence=confidence,
        bootstrap=resampled,
        tuning_curves=tuning_curves(trials, benchmark, ruleset),
        sensitivity=sensitivity(
            trials,
            benchmark,
            ruleset=ruleset,
            method=method,
            reference=leaderboard.reference,
        ),
        suspicions=suspicious_times(resampled, leaderboard.times, benchmark, confidence=confidence),
        speedups=ratios,
        speedup_intervals=intervals,
    )


def _finding(suspicion: Suspicion) -> Finding:
    place = f"{suspicion.submission}/{suspicion.workload}"
    detail = f"{suspicion.seconds:.0f} s, all others take at least {suspicion.others_from_s:.0f} s"
    return Finding("suspicious_time", suspicion.submission, suspicion.workload, place, detail)
