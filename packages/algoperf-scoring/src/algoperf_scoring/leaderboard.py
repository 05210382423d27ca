"""The leaderboard: from the times of trials to scores, ranks and verdicts."""

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from algoperf_scoring.audit import AuditRow, audit_rows, rule_findings
from algoperf_scoring.benchmark import Benchmark
from algoperf_scoring.counting import (
    Verdict,
    counted_times,
    row_of,
    scores_by_rules,
    verdicts,
)
from algoperf_scoring.errors import RuleViolationError
from algoperf_scoring.facts import Method
from algoperf_scoring.findings import Finding
from algoperf_scoring.logs import Logs
from algoperf_scoring.profiles import performance_ratios
from algoperf_scoring.ranks import shared_ranks
from algoperf_scoring.times import TimesToTarget, times_to_target
from algoperf_scoring.trial_times import TrialTimes

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Leaderboard:
    """Scores of a group of submissions; they are relative to each other.

    Attributes:
      benchmark: The definition that rules.
      ruleset: Name of the tuning ruleset.
      method: How profiles were integrated.
      submissions: Names by falling score, then by name. All rows below are in this order.
      scores: Benchmark scores between 0 and 1, `(submissions,)`.
      times: Times to target of all scored workloads.
      trials: When each trial reached its target.
      ratios: Ratios to the fastest (or to the reference), `(submissions, base workloads)`;
        infinity where a workload does not count.
      verdicts: Why each base workload counts or does not, `(submissions, base workloads)`.
      findings: What was left out, looked odd or broke a rule.
      reference: The submission whose times are the unit of the ratios; None for the fastest.
      logs: The logs that the times were read from; None for times from elsewhere.
    """

    benchmark: Benchmark
    ruleset: str
    method: Method
    submissions: tuple[str, ...]
    scores: NDArray[np.float64]
    times: TimesToTarget
    trials: TrialTimes
    ratios: NDArray[np.float64]
    verdicts: tuple[tuple[Verdict, ...], ...]
    findings: tuple[Finding, ...] = ()
    reference: str | None = None
    logs: Logs | None = field(default=None, repr=False)

    @property
    def ranks(self) -> tuple[int, ...]:
        """Ranks from 1; equal scores share the better one."""
        return tuple(shared_ranks(self.scores).tolist())

    @cached_property
    def audit(self) -> tuple[AuditRow, ...]:
        """What became of every submission's trials on every scored workload."""
        rules = self.benchmark.ruleset(self.ruleset)
        return audit_rows(self.trials, self.benchmark, rules, self.findings, self.verdicts)

    @property
    def ties(self) -> dict[str, tuple[tuple[str, str], ...]]:
        """Pairs of submissions that cannot be told apart, by workload (`TimesToTarget.tied`)."""
        tied, names = self.times.tied(), self.submissions
        return {
            workload: tuple(
                (names[i], names[j]) for i, j in np.argwhere(np.triu(tied[column])).tolist()
            )
            for column, workload in enumerate(self.times.workloads)
        }

    def to_dict(self) -> dict[str, Any]:
        """Returns the leaderboard for JSON; what is infinite or missing is None."""
        from algoperf_scoring import __version__

        base, workloads = self.benchmark.base, self.times.workloads
        return {
            "version": __version__,
            "benchmark": self.benchmark.name,
            "ruleset": self.ruleset,
            "method": self.method,
            "reference": self.reference,
            "scoring": asdict(self.benchmark.scoring),
            "base": list(base),
            "held_out": list(self.benchmark.held_out),
            "scores": dict(zip(self.submissions, self.scores.tolist(), strict=True)),
            "ranks": dict(zip(self.submissions, self.ranks, strict=True)),
            "times": self._by_name(self.times.seconds, workloads),
            "missed_until_s": self._by_name(self.times.missed_until_s, workloads),
            "ties": {name: [list(pair) for pair in pairs] for name, pairs in self.ties.items()},
            "ratios": self._by_name(self.ratios, base),
            "trials": self._by_name(self.times.trials, workloads),
            "trials_reached": self._by_name(self.times.trials_reached, workloads),
            "audit": [row.to_dict() for row in self.audit],
            "findings": [
                {**asdict(finding), "severity": finding.severity, "message": finding.message}
                for finding in self.findings
            ],
        }

    def to_pandas(self) -> "pd.DataFrame":
        """Returns scores and ratios, submissions in rows; needs pandas."""
        from algoperf_scoring.frames import labelled_frame

        columns = ("rank", "score", *self.benchmark.base)
        rows = zip(self.ranks, self.scores, self.ratios, strict=True)
        values = [(rank, score, *ratios) for rank, score, ratios in rows]
        return labelled_frame(values, self.submissions, columns, name="submission")

    def _by_name(
        self, values: NDArray[Any], workloads: tuple[str, ...]
    ) -> dict[str, dict[str, float | None]]:
        return {
            submission: {
                workload: value if math.isfinite(value) else None
                for workload, value in zip(workloads, row, strict=True)
            }
            for submission, row in zip(self.submissions, values.tolist(), strict=True)
        }


def score_times(
    trials: TrialTimes,
    benchmark: Benchmark,
    ruleset: str = "external",
    method: Method | None = None,
    *,
    reference: str | None = None,
    findings: Iterable[Finding] = (),
) -> Leaderboard:
    """Scores submissions against each other.

    Args:
      trials: When each trial reached its target, from any source.
      benchmark: Says which workloads are scored, and how.
      ruleset: Name of the tuning ruleset. No score depends on it; the expected numbers of studies
        and trials and the budgets do.
      method: How to integrate profiles; None for `benchmark.scoring.method`.
      reference: A submission whose times are the unit of the ratios, in place of the fastest.
      findings: What is known already, from reading.

    Raises:
      UnknownNameError: If ruleset or reference is unknown.
    """
    expected = benchmark.ruleset(ruleset)
    method = method or benchmark.scoring.method
    times = times_to_target(trials, benchmark.scoring.study_time)
    table = times.seconds, times.workloads
    unit = None if reference is None else row_of(reference, trials.submissions)
    scores = scores_by_rules(*table, benchmark.with_scoring(method=method), reference=unit)
    ranks = shared_ranks(scores).tolist()
    order = sorted(range(len(ranks)), key=lambda row: (ranks[row], times.submissions[row]))
    ordered, judged = times.take(order), verdicts(*table, benchmark)
    return Leaderboard(
        benchmark=benchmark,
        ruleset=ruleset,
        method=method,
        submissions=ordered.submissions,
        scores=scores[order],
        times=ordered,
        trials=trials.take(order),
        ratios=performance_ratios(counted_times(*table, benchmark), reference=unit)[order],
        verdicts=tuple(judged[row] for row in order),
        findings=(*findings, *rule_findings(trials, benchmark, expected)),
        reference=reference,
    )


def refuse_violations(findings: Iterable[Finding]) -> None:
    """Raises an error if a rule of the benchmark is broken.

    Raises:
      RuleViolationError: Lists every violation.
    """
    violations = [finding for finding in findings if finding.severity == "violation"]
    if violations:
        raise RuleViolationError(violations)
