"""The audit: what is irregular in results, and why each time counts or does not.

Published logs are full of trials that crashed, were cut off or ran too long; a score that hides
them cannot be judged. Nothing here changes a number.
"""

import json
import math
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from algoperf_scoring.benchmark import Benchmark
from algoperf_scoring.counting import Verdict
from algoperf_scoring.errors import LogError
from algoperf_scoring.facts import Ruleset
from algoperf_scoring.fields import shown
from algoperf_scoring.findings import Finding
from algoperf_scoring.logs import Logs, Trial
from algoperf_scoring.measurements import read_bytes
from algoperf_scoring.trial_times import TrialTimes

METADATA_FILE = "meta_data_0.json"


@dataclass(frozen=True)
class AuditRow:
    """What became of a submission's trials on a workload.

    Attributes:
      submission: Name of the submission.
      workload: Name of the workload, base or held-out.
      studies: Number of studies with measurements.
      studies_expected: Number in the ruleset.
      trials: Number of trials with measurements.
      trials_expected: Number in the ruleset, all studies together.
      trials_reached: Number of trials that reached the target.
      findings: Number of findings by kind, on this workload.
      verdict: Why the time counts or does not, in words; on a held-out workload empty.
    """

    submission: str
    workload: str
    studies: int
    studies_expected: int
    trials: int
    trials_expected: int
    trials_reached: int
    findings: Mapping[str, int]
    verdict: str

    def to_dict(self) -> dict[str, Any]:
        """Returns the row for JSON."""
        return {**asdict(self), "findings": dict(self.findings)}


def audit_rows(
    trials: TrialTimes,
    benchmark: Benchmark,
    ruleset: Ruleset,
    findings: Iterable[Finding],
    verdicts: Iterable[Iterable[Verdict]],
) -> tuple[AuditRow, ...]:
    """Gathers what is known of every submission and scored workload.

    Args:
      trials: When each trial reached its target.
      benchmark: Gives the scored workloads and `scoring.max_ratio`.
      ruleset: Gives the expected numbers of studies and trials.
      findings: What was found while reading and scoring.
      verdicts: Of `counting.verdicts`, for the same submissions in the same order.
    """
    counts: dict[tuple[str, str], dict[str, int]] = {}
    for finding in findings:
        of_kind = counts.setdefault((finding.submission, finding.workload), {})
        of_kind[finding.kind] = of_kind.get(finding.kind, 0) + 1
    there = ~np.isnan(trials.seconds)
    rows = []
    for row, (submission, judged) in enumerate(zip(trials.submissions, verdicts, strict=True)):
        words = dict(zip(benchmark.base, (say(v, benchmark) for v in judged), strict=True))
        for name in benchmark.scored:
            column = trials.workloads.index(name)
            rows.append(
                AuditRow(
                    submission=submission,
                    workload=name,
                    studies=int(there[row, column].any(axis=-1).sum()),
                    studies_expected=ruleset.studies,
                    trials=int(there[row, column].sum()),
                    trials_expected=ruleset.studies * ruleset.trials,
                    trials_reached=int(np.isfinite(trials.seconds[row, column]).sum()),
                    findings=counts.get((submission, name), {}),
                    verdict=words.get(name, ""),
                )
            )
    return tuple(rows)


def say(verdict: Verdict, benchmark: Benchmark) -> str:
    """Returns a verdict in words, for example ``"5.70 times the fastest on ogbg_model_size"``."""
    where = "" if verdict.workload in benchmark.base else f" on {verdict.workload}"
    if verdict.cause == "absent":
        return f"no measurements{where}"
    if verdict.cause == "missed":
        return f"target missed{where}"
    limit = benchmark.scoring.max_ratio
    if verdict.cause == "too_slow":
        return f"{verdict.ratio:.2f} times the fastest{where}, more than {limit:g}"
    return "counts"


def rule_findings(trials: TrialTimes, benchmark: Benchmark, ruleset: Ruleset) -> Iterator[Finding]:
    """Yields what does not agree with the ruleset, whatever the source of the times.

    Args:
      trials: When each trial reached its target.
      benchmark: Gives scored workloads and budgets.
      ruleset: Gives the numbers of studies and trials, and the budget's factor.
    """
    there = ~np.isnan(trials.seconds)
    for row, submission in enumerate(trials.submissions):
        for name in benchmark.scored:
            place = (row, trials.workloads.index(name))
            if not there[place].any():
                yield Finding("workload_missing", submission, name, f"{submission}/{name}")
                continue
            names = trials.study_names[row][place[1]]
            counts = there[place].sum(axis=-1).tolist()
            yield from _odd_counts(submission, name, names, counts, ruleset)
    yield from _reached_after_budget(trials, benchmark, ruleset)


def log_findings(logs: Logs, benchmark: Benchmark, ruleset: Ruleset) -> Iterator[Finding]:
    """Yields what is irregular in the evaluations of each trial.

    Args:
      logs: The trials.
      benchmark: Gives budgets.
      ruleset: Gives the factor by which budgets are multiplied.
    """
    budgets = {name: _budget_s(benchmark, name, ruleset) for name in benchmark.scored}
    for submission, workload, trial in logs.each():
        for kind, detail in _oddities(trial, budgets[workload]):
            yield Finding(kind, submission, workload, _place(submission, workload, trial), detail)


def metadata_findings(logs: Logs, benchmark: Benchmark, ruleset: Ruleset) -> Iterator[Finding]:
    """Yields where trials say that they were run for another target, budget or period.

    Reads ``meta_data_0.json`` beside the measurements; trials without it say nothing.

    Args:
      logs: The trials.
      benchmark: Gives targets, budgets and evaluation periods.
      ruleset: Gives the factor by which budgets are multiplied.
    """
    for submission, workload, trial in logs.each():
        place = _place(submission, workload, trial)
        if trial.path.with_name(METADATA_FILE).is_symlink():
            yield Finding("symbolic_link", submission, workload, f"{place}/{METADATA_FILE}")
        try:
            logged = _metadata(trial)
        except LogError as error:
            yield Finding("unreadable_metadata", submission, workload, place, str(error))
            continue
        for kind, detail in _mismatches(logged, benchmark, workload, ruleset):
            yield Finding(kind, submission, workload, place, detail)


def _budget_s(benchmark: Benchmark, workload: str, ruleset: Ruleset) -> float:
    budget = benchmark.workload(workload).budget_s
    return math.inf if budget is None else budget * ruleset.budget_factor


def _place(submission: str, workload: str, trial: Trial) -> str:
    return "/".join((submission, *trial.path.parts[-4:-1]))


def _odd_counts(
    submission: str, workload: str, names: Iterable[str], counts: list[int], ruleset: Ruleset
) -> Iterator[Finding]:
    place, wanted = f"{submission}/{workload}", f"the ruleset {ruleset.name!r} has"
    studies = sum(count > 0 for count in counts)
    if studies != ruleset.studies:
        detail = f"{studies}, {wanted} {ruleset.studies}"
        yield Finding("study_count", submission, workload, place, detail)
    for study, count in zip(names, counts, strict=False):
        if count != ruleset.trials:
            detail = f"{count}, {wanted} {ruleset.trials}"
            yield Finding(
                "trial_count", submission, workload, f"{submission}/{study}/{workload}", detail
            )


def _reached_after_budget(
    trials: TrialTimes, benchmark: Benchmark, ruleset: Ruleset
) -> Iterator[Finding]:
    for name in benchmark.scored:
        column = trials.workloads.index(name)
        budget = _budget_s(benchmark, name, ruleset)
        late = np.isfinite(trials.seconds[:, column]) & (trials.seconds[:, column] > budget)
        for s, j, k in np.argwhere(late).tolist():
            study = trials.study_names[s][column][j]
            number = trials.trial_numbers[s, column, j, k]
            yield Finding(
                "reached_after_budget",
                trials.submissions[s],
                name,
                f"{trials.submissions[s]}/{study}/{name}/trial_{number}",
                f"at {trials.seconds[s, column, j, k]:.0f} s of {budget:.0f} s",
            )


def _oddities(trial: Trial, budget_s: float) -> Iterator[tuple[str, str]]:
    n_rows = len(trial.times)
    if n_rows == 0:
        yield "no_rows", ""
        return
    if n_rows == 1:
        yield "one_row", ""
    missing = int(np.isnan(trial.values).sum())
    if missing:
        yield "missing_values", f"{missing} of {n_rows} evaluations"
    if (trial.times[1:] < trial.times[:-1]).any():
        yield "time_order", ""
    last = float(trial.times[-1])
    if last > budget_s:
        yield "over_budget", f"last evaluation at {last:.0f} s of {budget_s:.0f} s"


def _metadata(trial: Trial) -> dict[str, Any]:
    path = trial.path.with_name(METADATA_FILE)
    try:
        read = json.loads(read_bytes(path, limit=2**20))
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError) as error:
        if isinstance(error, LogError):
            raise
        raise LogError(f"{path}: not JSON: {error}.") from error
    if not isinstance(read, dict):
        raise LogError(f"{path}: expected a JSON object.")
    return read


def _mismatches(
    logged: Mapping[str, Any], benchmark: Benchmark, workload: str, ruleset: Ruleset
) -> Iterator[tuple[str, str]]:
    facts = benchmark.workload(workload)
    budget = _budget_s(benchmark, workload, ruleset)
    expected = (
        ("other_target", "validation_target_value", facts.validation_target),
        ("other_budget", "max_allowed_runtime_sec", budget),
        ("other_eval_period", "eval_period_time_sec", facts.eval_period_s),
    )
    for kind, key, wanted in expected:
        found = logged.get(f"workload.{key}")
        if wanted is None or not math.isfinite(wanted) or found is None:
            continue
        number = isinstance(found, int | float) and not isinstance(found, bool)
        number = number and abs(found) <= sys.float_info.max
        if not number or not math.isclose(found, wanted, rel_tol=1e-6):
            yield kind, f"{shown(found)}, the benchmark has {wanted:g}"
