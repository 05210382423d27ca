"""Laws of whole leaderboards: what may change a score, and what may not."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from algoperf_scoring import (
    AlgoperfError,
    Benchmark,
    BenchmarkWorkload,
    Leaderboard,
    Ruleset,
    ScoringRules,
    TrialTime,
    TrialTimes,
    performance_profile,
    score_times,
)

INF = math.inf
VARIANTS = {"a_deep": "a", "a_wide": "a", "b_deep": "b"}
SUBMISSIONS = ("adam", "lion", "muon", "sgd")
WORDS = st.text("pqrstuvw", min_size=1, max_size=5)
few = settings(max_examples=60)

# Few different values make ties and exact multiples of the limit frequent.
seconds = st.sampled_from([1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 17.0, INF]) | st.floats(0.5, 50.0)


@st.composite
def benchmarks(draw, held_out: bool = True) -> Benchmark:
    base = ("a", "b", "c")[: draw(st.integers(1, 3))]
    possible = [name for name, origin in VARIANTS.items() if origin in base]
    facts = {
        name: BenchmarkWorkload(name, "loss", "minimize", 0.5, variant_of=VARIANTS.get(name))
        for name in (*base, *possible)
    }
    scoring = ScoringRules(
        study_time=draw(st.sampled_from(["earliest_evaluation", "fastest_trial"])),
        max_ratio=draw(st.sampled_from([2.0, 4.0])),
        method=draw(st.sampled_from(["exact", "grid"])),
        grid_points=draw(st.sampled_from([2, 7, 100])),
    )
    chosen = draw(st.lists(st.sampled_from(possible), unique=True)) if held_out else []
    rulesets = {"external": Ruleset("external", 2, 2, 1.0, True)}
    return Benchmark("laws", "", facts, base, tuple(chosen), rulesets, scoring)


@st.composite
def trials(draw, benchmark: Benchmark) -> list[TrialTime]:
    places = [
        (submission, workload, f"study_{study}", trial)
        for submission in SUBMISSIONS[: draw(st.integers(1, 4))]
        for workload in benchmark.scored
        for study in range(draw(st.integers(0, 3)))
        for trial in range(1, 1 + draw(st.integers(1, 2)))
    ]
    rows = []
    for place in places:
        time = draw(seconds)
        evaluation = draw(st.integers(0, 2)) if time < INF else -1
        rows.append(TrialTime(*place, time, time / 2 if time < INF else 60.0, evaluation))
    return rows


@st.composite
def results(draw, held_out: bool = True) -> tuple[Benchmark, list[TrialTime]]:
    benchmark = draw(benchmarks(held_out))
    return benchmark, draw(trials(benchmark))


def scored(rows: list[TrialTime], benchmark: Benchmark, **options) -> Leaderboard:
    submissions = options.pop("submissions", SUBMISSIONS)
    times = TrialTimes.from_rows(rows, submissions=submissions, workloads=benchmark.scored)
    return score_times(times, benchmark, **options)


def by_name(leaderboard: Leaderboard) -> dict[str, float]:
    return dict(zip(leaderboard.submissions, leaderboard.scores.tolist(), strict=True))


def summary(leaderboard: Leaderboard) -> dict[str, tuple]:
    """Everything that is said of a submission, by its name."""
    rows = zip(
        leaderboard.submissions,
        leaderboard.scores.tolist(),
        leaderboard.ranks,
        leaderboard.ratios.tolist(),
        map(repr, leaderboard.verdicts),
        strict=True,
    )
    return {name: rest for name, *rest in rows}


def fastest_everywhere(benchmark: Benchmark, time: float = 0.25) -> list[TrialTime]:
    return [TrialTime("first", name, "study_0", 1, time, 0.0, 0) for name in benchmark.scored]


@few
@given(results())
def test_scores_lie_between_zero_and_one(case):
    benchmark, rows = case
    leaderboard = scored(rows, benchmark)
    assert leaderboard.submissions
    assert ((leaderboard.scores >= 0.0) & (leaderboard.scores <= 1.0)).all()
    best_first = leaderboard.scores.tolist()
    assert best_first == sorted(best_first, reverse=True)


@few
@given(results())
def test_the_fastest_on_every_workload_has_the_score_one(case):
    benchmark, rows = case
    assert by_name(scored([*rows, *fastest_everywhere(benchmark)], benchmark))["first"] == 1.0


@few
@given(results(), st.randoms())
def test_the_order_of_trials_changes_nothing(case, random):
    benchmark, rows = case
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert summary(scored(shuffled, benchmark)) == summary(scored(rows, benchmark))


@few
@given(results(), st.permutations(SUBMISSIONS))
def test_names_of_submissions_change_nothing(case, names):
    benchmark, rows = case
    new = dict(zip(SUBMISSIONS, names, strict=True))
    renamed = [row._replace(submission=new[row.submission]) for row in rows]
    before, after = summary(scored(rows, benchmark)), summary(scored(renamed, benchmark))
    assert {new[name]: what for name, what in before.items()} == after


@few
@given(results(), st.data())
def test_names_and_order_of_studies_and_trials_change_nothing(case, data):
    benchmark, rows = case
    studies = data.draw(st.lists(WORDS, min_size=3, max_size=3, unique=True))
    numbers = data.draw(st.lists(st.integers(0, 99), min_size=2, max_size=2, unique=True))
    renamed = [
        row._replace(study=studies[int(row.study[-1])], trial=numbers[row.trial - 1])
        for row in rows
    ]
    assert summary(scored(renamed, benchmark)) == summary(scored(rows, benchmark))


@few
@given(results(), st.randoms())
def test_the_order_of_workloads_in_the_times_changes_nothing(case, random):
    benchmark, rows = case
    columns = [*benchmark.scored, "unscored"]
    random.shuffle(columns)
    times = TrialTimes.from_rows(rows, submissions=SUBMISSIONS, workloads=columns)
    assert summary(score_times(times, benchmark)) == summary(scored(rows, benchmark))


def test_times_on_workloads_that_are_not_scored_change_nothing():
    benchmark = replace(_one_workload(), scoring=ScoringRules())
    rows = [TrialTime("adam", "a", "study_0", 1, 2.0), TrialTime("lion", "a", "study_0", 1, 3.0)]
    others = [
        TrialTime("adam", workload, "study_0", 1, 1.0) for workload in ("a_deep", "from elsewhere")
    ]
    times = TrialTimes.from_rows([*rows, *others])
    leaderboard = score_times(times, benchmark)
    assert summary(leaderboard) == summary(scored(rows, benchmark, submissions=()))
    assert all(finding.workload == "a" for finding in leaderboard.findings)


def test_times_that_lack_a_scored_workload_are_refused():
    benchmark = _one_workload(held_out=("a_deep",))
    times = TrialTimes.from_rows([TrialTime("adam", "a", "study_0", 1, 2.0)])
    with pytest.raises(AlgoperfError, match="a_deep"):
        score_times(times, benchmark)


@few
@given(results(), st.randoms())
def test_the_order_of_workloads_in_the_benchmark_changes_no_score(case, random):
    benchmark, rows = case
    base, held_out = list(benchmark.base), list(benchmark.held_out)
    random.shuffle(base)
    random.shuffle(held_out)
    shuffled = replace(benchmark, base=tuple(base), held_out=tuple(held_out))
    before, after = scored(rows, benchmark), scored(rows, shuffled)
    assert by_name(after) == pytest.approx(by_name(before), abs=1e-12)
    assert dict(zip(after.submissions, after.ranks, strict=True)) == dict(
        zip(before.submissions, before.ranks, strict=True)
    )


def rescaled(rows: list[TrialTime], workload: str, factor: float) -> list[TrialTime]:
    return [
        row._replace(seconds=row.seconds * factor, missed_until_s=row.missed_until_s * factor)
        if row.workload == workload
        else row
        for row in rows
    ]


@few
@given(results(), st.data(), st.sampled_from([2.0**-20, 0.5, 2.0, 2.0**30]))
def test_another_unit_of_time_changes_nothing(case, data, factor):
    benchmark, rows = case
    workload = data.draw(st.sampled_from(benchmark.scored))
    other_unit = rescaled(rows, workload, factor)
    assert summary(scored(other_unit, benchmark)) == summary(scored(rows, benchmark))


@few
@given(results(), st.data(), st.floats(1e-3, 1e3))
def test_another_machine_speed_changes_scores_by_rounding_alone(case, data, factor):
    benchmark, rows = case
    # A time at a step of the profile, or at the limit, may be rounded to its other side.
    apart = [
        row._replace(seconds=row.seconds * (1 + 1e-3 * index)) for index, row in enumerate(rows)
    ]
    exact = replace(benchmark, scoring=replace(benchmark.scoring, method="exact"))
    workload = data.draw(st.sampled_from(exact.scored))
    before, after = scored(apart, exact), scored(rescaled(apart, workload, factor), exact)
    near_limit = np.abs(_all_ratios(before) - exact.scoring.max_ratio) < 1e-9
    if not near_limit.any():
        assert by_name(after) == pytest.approx(by_name(before), abs=1e-9)


def _all_ratios(leaderboard: Leaderboard) -> np.ndarray:
    times = leaderboard.times.seconds
    finite = times[np.isfinite(times)]
    return np.divide.outer(finite, finite)


@few
@given(results(), st.data())
def test_a_submission_whose_trials_get_faster_never_loses_score(case, data):
    """Under all rules: a faster time only voids times of others, and so never its own ratio."""
    benchmark, rows = case
    factors = data.draw(st.lists(st.sampled_from([0.25, 0.5, 0.9, 1.0]), min_size=1, max_size=8))
    faster = [
        row._replace(seconds=row.seconds * factors[index % len(factors)])
        if row.submission == SUBMISSIONS[0]
        else row
        for index, row in enumerate(rows)
    ]
    before, after = by_name(scored(rows, benchmark)), by_name(scored(faster, benchmark))
    assert after[SUBMISSIONS[0]] >= before[SUBMISSIONS[0]]


@few
@given(results(), st.data())
def test_by_its_fastest_trial_a_submission_that_reaches_a_target_more_never_loses_score(case, data):
    benchmark, rows = case
    rules = replace(benchmark.scoring, study_time="fastest_trial")
    benchmark = replace(benchmark, scoring=rules)
    reached = [
        row._replace(seconds=data.draw(seconds), evaluation=1)
        if row.submission == SUBMISSIONS[0] and math.isinf(row.seconds)
        else row
        for row in rows
    ]
    before, after = by_name(scored(rows, benchmark)), by_name(scored(reached, benchmark))
    assert after[SUBMISSIONS[0]] >= before[SUBMISSIONS[0]]


def test_by_its_earliest_evaluation_a_submission_may_lose_by_reaching_a_target_more():
    """The trial that needs fewer evaluations may be the slower one; the published rule takes it."""
    benchmark = _one_workload(study_time="earliest_evaluation")
    rows = [
        TrialTime("adam", "a", "study_0", 1, 10.0, 0.0, 5),
        TrialTime("adam", "a", "study_0", 2, INF, 60.0),
        TrialTime("lion", "a", "study_0", 1, 10.0, 0.0, 5),
    ]
    more = [rows[0], rows[1]._replace(seconds=30.0, evaluation=2), rows[2]]
    before = by_name(scored(rows, benchmark, submissions=()))
    after = by_name(scored(more, benchmark, submissions=()))
    assert before["adam"] == 1.0
    assert after["adam"] == pytest.approx(1 / 3)


@few
@given(results(held_out=False), st.data())
def test_without_held_out_workloads_nobody_gains_when_another_gets_faster(case, data):
    benchmark, rows = case
    factors = data.draw(st.lists(st.sampled_from([0.25, 0.5, 0.9, 1.0]), min_size=1, max_size=8))
    faster = [
        row._replace(seconds=row.seconds * factors[index % len(factors)])
        if row.submission == SUBMISSIONS[0]
        else row
        for index, row in enumerate(rows)
    ]
    before, after = by_name(scored(rows, benchmark)), by_name(scored(faster, benchmark))
    assert all(after[name] <= before[name] for name in SUBMISSIONS[1:])


def test_with_held_out_workloads_a_third_gains_when_the_fastest_of_a_base_is_voided():
    """The fastest on the base falls behind on its variant, and is no longer the measure there."""
    benchmark = _one_workload(held_out=("a_deep",))
    times = {"adam": (3.0, 5.0), "lion": (1.0, 5.0), "muon": (2.0, 1.5)}
    rows = [
        TrialTime(name, workload, "study_0", 1, time, 0.0, 0)
        for name, pair in times.items()
        for workload, time in zip(("a", "a_deep"), pair, strict=True)
    ]
    faster = [row._replace(seconds=1.0) if row[:2] == ("adam", "a_deep") else row for row in rows]
    before = by_name(scored(rows, benchmark, submissions=()))
    after = by_name(scored(faster, benchmark, submissions=()))
    assert before == pytest.approx({"lion": 1.0, "muon": 2 / 3, "adam": 1 / 3})
    assert after == pytest.approx({"muon": 1.0, "adam": 5 / 6, "lion": 0.0})


@few
@given(results(), st.booleans())
def test_a_submission_that_reaches_nothing_changes_nobodys_score(case, there):
    benchmark, rows = case
    hopeless = [
        TrialTime("zero", name, "study_0", trial, INF, 60.0)
        for name in benchmark.scored
        for trial in (1, 2, 3)
        if there
    ]
    joined = scored([*rows, *hopeless], benchmark, submissions=(*SUBMISSIONS, "zero"))
    expected = by_name(scored(rows, benchmark))
    assert by_name(joined) == {**expected, "zero": 0.0}


@few
@given(results())
def test_exact_scores_are_the_integral_of_the_profile(case):
    benchmark, rows = case
    leaderboard = scored(rows, benchmark, method="exact")
    n_points = 20_001
    taus = np.linspace(1.0, benchmark.scoring.max_ratio, n_points)
    heights = performance_profile(leaderboard.ratios, taus)
    means = (heights[:, :-1] + heights[:, 1:]).mean(axis=1) / 2
    # The trapezoid rule misplaces a step by at most half an interval; all steps add up to 1.
    np.testing.assert_allclose(leaderboard.scores, means, atol=0.5 / (n_points - 1) + 1e-12)


@few
@given(results())
def test_grid_and_exact_scores_differ_by_at_most_half_an_interval(case):
    benchmark, rows = case
    grid = by_name(scored(rows, benchmark, method="grid"))
    exact = by_name(scored(rows, benchmark, method="exact"))
    bound = 1 / (2 * (benchmark.scoring.grid_points - 1))
    assert all(abs(grid[name] - exact[name]) <= bound + 1e-12 for name in SUBMISSIONS)


@few
@given(results(), st.sampled_from(["exact", "grid"]))
def test_the_fastest_as_reference_changes_nothing_if_it_is_fastest_everywhere(case, method):
    benchmark, rows = case
    joined = [*rows, *fastest_everywhere(benchmark)]
    plain = scored(joined, benchmark, method=method)
    assert summary(scored(joined, benchmark, method=method, reference="first")) == summary(plain)


@few
@given(results())
def test_a_reference_changes_no_verdict_and_gives_nobody_less(case):
    benchmark, rows = case
    plain = scored(rows, benchmark)
    for reference in SUBMISSIONS:
        relative = scored(rows, benchmark, reference=reference)
        assert {name: what[3] for name, what in summary(relative).items()} == {
            name: what[3] for name, what in summary(plain).items()
        }
        before, after = by_name(plain), by_name(relative)
        assert all(after[name] >= before[name] for name in SUBMISSIONS)


@few
@given(results())
def test_equal_results_share_a_score_and_a_rank(case):
    benchmark, rows = case
    twins = [row._replace(submission="twin") for row in rows if row.submission == "adam"]
    leaderboard = scored([*rows, *twins], benchmark, submissions=(*SUBMISSIONS, "twin"))
    told = summary(leaderboard)
    assert told["twin"] == told["adam"]


@pytest.mark.parametrize("method", ["exact", "grid"])
def test_equal_ratios_on_other_workloads_share_a_rank(method):
    """The mean of the same credits is the same, in whatever order they are added up."""
    names = [f"w{index}" for index in range(4)]
    facts = {name: BenchmarkWorkload(name, "loss", "minimize", 0.5) for name in names}
    rulesets = {"external": Ruleset("external", 1, 1, 1.0, True)}
    benchmark = Benchmark("laws", "", facts, tuple(names), (), rulesets, ScoringRules())
    ratios = (1.0, 1.1, 1.7, 3.0)
    times = {"first": (1.0,) * 4, "rising": ratios, "falling": ratios[::-1]}
    rows = [
        TrialTime(submission, name, "study_0", 1, time)
        for submission, of_names in times.items()
        for name, time in zip(names, of_names, strict=True)
    ]
    leaderboard = scored(rows, benchmark, submissions=(), method=method)
    assert leaderboard.ranks == (1, 2, 2)


def _one_workload(study_time: str = "fastest_trial", held_out: tuple[str, ...] = ()) -> Benchmark:
    facts = {
        name: BenchmarkWorkload(name, "loss", "minimize", 0.5, variant_of=VARIANTS.get(name))
        for name in ("a", "a_deep")
    }
    rulesets = {"external": Ruleset("external", 1, 1, 1.0, True)}
    scoring = ScoringRules(study_time=study_time)
    return Benchmark("laws", "", facts, ("a",), held_out, rulesets, scoring)
