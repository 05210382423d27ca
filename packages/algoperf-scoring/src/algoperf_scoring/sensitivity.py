"""How far scores depend on the rules: the same trials, scored under rules changed one at a time."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from algoperf_scoring.benchmark import Benchmark
from algoperf_scoring.counting import row_of, scores_by_rules
from algoperf_scoring.facts import Method, StudyTime
from algoperf_scoring.ranks import shared_ranks
from algoperf_scoring.times import times_to_target
from algoperf_scoring.trial_times import TrialTimes

if TYPE_CHECKING:
    import pandas as pd

Group = Literal["as_it_is", "workload", "held_out", "max_ratio", "budget", "study_time", "method"]

MAX_RATIOS = (2.0, 3.0, 6.0, 8.0)
"""Upper ends of the profile that are tried."""


@dataclass(frozen=True)
class Scenario:
    """A change of the rules.

    Attributes:
      name: What changes, in words, for example ``"without ogbg"``.
      group: Which kind of rule it changes; ``"as_it_is"`` for none.
    """

    name: str
    group: Group


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """Scores and ranks under changed rules.

    Attributes:
      submissions: Names of the columns.
      scenarios: The changes; the first is none.
      scores: Benchmark scores, `(scenarios, submissions)`.
      ranks: Ranks from 1, of the same shape; equal scores share the better one.
    """

    submissions: tuple[str, ...]
    scenarios: tuple[Scenario, ...]
    scores: NDArray[np.float64]
    ranks: NDArray[np.int64]

    def to_pandas(self) -> "pd.DataFrame":
        """Returns scores as a data frame, scenarios in rows; needs pandas."""
        from algoperf_scoring.frames import labelled_frame

        names = [scenario.name for scenario in self.scenarios]
        return labelled_frame(self.scores.tolist(), names, self.submissions, name="scenario")

    def to_dict(self) -> dict[str, Any]:
        """Returns a list of scenarios for JSON, each with scores and ranks by submission."""
        rows = zip(self.scenarios, self.scores.tolist(), self.ranks.tolist(), strict=True)
        return {
            "scenarios": [
                {
                    "name": scenario.name,
                    "group": scenario.group,
                    "scores": dict(zip(self.submissions, scores, strict=True)),
                    "ranks": dict(zip(self.submissions, ranks, strict=True)),
                }
                for scenario, scores, ranks in rows
            ]
        }


def sensitivity(
    trials: TrialTimes,
    benchmark: Benchmark,
    *,
    ruleset: str | None = None,
    method: Method | None = None,
    reference: str | None = None,
) -> Sensitivity:
    """Scores trials under the rules of a benchmark, and with each rule changed on its own.

    The changes: each base workload left out with its variants, if others remain; no held-out
    variants; profiles up to each of `MAX_RATIOS`, with the same number of grid points; times above
    the budget missed; the other rule for the time of a study; the other method of integration.

    Args:
      trials: When each trial reached its target.
      benchmark: The rules as they are.
      ruleset: Name of the ruleset that gives the budgets; None to leave budgets aside. A budget
        that is unknown limits nothing.
      method: How to integrate profiles; None for `benchmark.scoring.method`.
      reference: The submission whose times are the unit of the ratios, in place of the fastest.

    Raises:
      UnknownNameError: If the benchmark does not know the ruleset, or nobody is the reference.
    """
    chosen = benchmark.with_scoring(method=method or benchmark.scoring.method)
    unit = None if reference is None else row_of(reference, trials.submissions)
    changes = [
        (Scenario("as it is", "as_it_is"), trials, chosen),
        *((scenario, trials, changed) for scenario, changed in _changed_benchmarks(chosen)),
        *_within_budgets(trials, chosen, ruleset),
    ]
    scores = np.array([_scores(times, rules, unit) for _, times, rules in changes])
    return Sensitivity(
        submissions=trials.submissions,
        scenarios=tuple(scenario for scenario, _, _ in changes),
        scores=scores,
        ranks=shared_ranks(scores),
    )


def _scores(trials: TrialTimes, benchmark: Benchmark, reference: int | None) -> NDArray[np.float64]:
    times = times_to_target(trials, benchmark.scoring.study_time)
    return scores_by_rules(times.seconds, times.workloads, benchmark, reference=reference)


def _changed_benchmarks(benchmark: Benchmark) -> Iterator[tuple[Scenario, Benchmark]]:
    rules = benchmark.scoring
    if len(benchmark.base) > 1:
        for name in benchmark.base:
            yield Scenario(f"without {name}", "workload"), _without(benchmark, name)
    if benchmark.held_out:
        without = replace(benchmark, held_out=())
        yield Scenario("without held-out variants", "held_out"), without
    for max_ratio in MAX_RATIOS:
        if max_ratio != rules.max_ratio:
            changed = replace(benchmark, scoring=replace(rules, max_ratio=max_ratio))
            yield Scenario(f"ratios up to {max_ratio:g}", "max_ratio"), changed
    study_time = _other_study_time(rules.study_time)
    changed = replace(benchmark, scoring=replace(rules, study_time=study_time))
    yield Scenario(f"study time by {study_time}", "study_time"), changed
    method: Method = "exact" if rules.method == "grid" else "grid"
    changed = replace(benchmark, scoring=replace(rules, method=method))
    yield Scenario(f"integration by {method}", "method"), changed


def _other_study_time(rule: StudyTime) -> StudyTime:
    return "fastest_trial" if rule == "earliest_evaluation" else "earliest_evaluation"


def _without(benchmark: Benchmark, name: str) -> Benchmark:
    return replace(
        benchmark,
        base=tuple(base for base in benchmark.base if base != name),
        held_out=tuple(held for held in benchmark.held_out if benchmark.base_of(held) != name),
    )


def _within_budgets(
    trials: TrialTimes, benchmark: Benchmark, ruleset: str | None
) -> Iterator[tuple[Scenario, TrialTimes, Benchmark]]:
    if ruleset is None:
        return
    benchmark.ruleset(ruleset)
    budgets = np.full((len(trials.workloads), 1, 1), np.inf)
    for column, name in enumerate(trials.workloads):
        if benchmark.workload(name).budget_s is not None:
            budgets[column] = benchmark.budget_s(name, ruleset)
    if np.isinf(budgets).all():
        return
    late = trials.seconds > budgets
    within = replace(
        trials,
        seconds=np.where(late, np.inf, trials.seconds),
        evaluations=np.where(late, -1, trials.evaluations),
    )
    yield Scenario("times above the budget missed", "budget"), within, benchmark
