"""Ratios, profiles and scores against a second, literal implementation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from algoperf_scoring import (
    Benchmark,
    BenchmarkWorkload,
    Ruleset,
    ScoringRules,
    benchmark_score,
    performance_profile,
    performance_ratios,
)

INF, NAN = math.inf, math.nan
BASE = ("a", "b", "c")
HELD_OUT = ("b_wide", "a_deep")


def make_benchmark(held_out: tuple[str, ...] = HELD_OUT) -> Benchmark:
    facts = [(name, None) for name in BASE] + [("a_deep", "a"), ("b_wide", "b")]
    workloads = {
        name: BenchmarkWorkload(name, "loss", "minimize", 0.5, variant_of=origin)
        for name, origin in facts
    }
    rulesets = {"external": Ruleset("external", 1, 1, 1.0, True)}
    return Benchmark("test", "", workloads, BASE, held_out, rulesets, ScoringRules())


def literal_ratios(
    seconds: list[list[float]], workloads: tuple[str, ...], benchmark: Benchmark
) -> list[list[float]]:
    """The steps one after the other, a cell at a time."""
    submissions = range(len(seconds))
    t = {(s, w): seconds[s][workloads.index(w)] for s in submissions for w in benchmark.scored}
    counts = math.isfinite

    def column_minimum(workload):
        return min((t[s, workload] for s in submissions if counts(t[s, workload])), default=INF)

    for h in benchmark.held_out:
        for s in submissions:
            if not counts(t[s, benchmark.base_of(h)]):
                t[s, h] = INF
    for w in benchmark.scored:
        minimum = column_minimum(w)
        for s in submissions:
            if t[s, w] > 4 * minimum:
                t[s, w] = INF
    for h in benchmark.held_out:
        for s in submissions:
            if not counts(t[s, h]):
                t[s, benchmark.base_of(h)] = INF
    minima = {w: column_minimum(w) for w in benchmark.base}
    return [
        [t[s, w] / minima[w] if counts(t[s, w]) else INF for w in benchmark.base]
        for s in submissions
    ]


def literal_grid_score(ratios: list[float]) -> float:
    """Each workload adds what the trapezoid rule gives its step."""
    grid = np.linspace(1.0, 4.0, 100)
    credit = 0.0
    for ratio in ratios:
        reached = [j for j, tau in enumerate(grid) if tau >= ratio]
        if reached:
            credit += 1.0 if reached[0] == 0 else (99.5 - reached[0]) / 99
    return credit / len(ratios)


# Few different values make ties and exact multiples of four frequent.
few_times = st.sampled_from([1.0, 2.0, 3.0, 4.0, 4.5, 8.0, 9.0, 16.0, INF, NAN])
any_times = few_times | st.floats(0.1, 1e5)
shapes = st.tuples(st.integers(1, 5), st.just(len(BASE + HELD_OUT)))
ratio_values = st.floats(1.0, 5.0) | st.sampled_from([1.0, 4.0, INF, NAN])
ratio_arrays = arrays(
    np.float64, st.tuples(st.integers(1, 4), st.integers(1, 8)), elements=ratio_values
)


@given(arrays(np.float64, shapes, elements=any_times), st.permutations(BASE + HELD_OUT))
def test_ratios_agree_with_a_literal_implementation(seconds, workloads):
    workloads = tuple(workloads)
    benchmark = make_benchmark()
    ratios = performance_ratios(seconds, workloads, benchmark)
    assert ratios.tolist() == literal_ratios(seconds.tolist(), workloads, benchmark)


@given(arrays(np.float64, shapes, elements=any_times), st.randoms())
def test_ratios_do_not_depend_on_the_order_of_submissions(seconds, random):
    order = list(range(len(seconds)))
    random.shuffle(order)
    ratios = performance_ratios(seconds, BASE + HELD_OUT, make_benchmark())
    shuffled = performance_ratios(seconds[order], BASE + HELD_OUT, make_benchmark())
    np.testing.assert_array_equal(shuffled, ratios[order])


@given(arrays(np.float64, shapes, elements=any_times))
def test_the_input_is_left_alone(seconds):
    before = seconds.copy()
    performance_ratios(seconds, BASE + HELD_OUT, make_benchmark())
    np.testing.assert_array_equal(seconds, before)


def ratios_of(a: list[float], a_deep: list[float]) -> list[float]:
    """Ratios on `a`, which has the variant `a_deep`; the other workloads are missed."""
    seconds = [[x, INF, INF, deep] for x, deep in zip(a, a_deep, strict=True)]
    benchmark = make_benchmark(("a_deep",))
    return performance_ratios(seconds, (*BASE, "a_deep"), benchmark)[:, 0].tolist()


def test_the_fastest_has_ratio_one():
    assert ratios_of([2.0, 3.0], [1.0, 1.0]) == [1.0, 1.5]


def test_exactly_four_times_the_fastest_still_counts():
    assert ratios_of([1.0, 4.0], [1.0, 1.0]) == [1.0, 4.0]
    assert ratios_of([1.0, 4.0001], [1.0, 1.0]) == [1.0, INF]


@pytest.mark.parametrize("missing", [INF, NAN])
def test_a_missed_variant_voids_its_base(missing):
    assert ratios_of([1.0, 2.0], [missing, 1.0]) == [INF, 1.0]


def test_a_variant_that_is_too_slow_voids_its_base():
    assert ratios_of([1.0, 2.0], [9.0, 1.0]) == [INF, 1.0]


def test_a_variant_of_a_missed_base_does_not_set_the_fastest_time():
    assert ratios_of([INF, 2.0], [1.0, 100.0]) == [INF, 1.0]


def test_a_submission_cut_on_the_base_still_sets_the_fastest_variant():
    assert ratios_of([1.0, 5.0, 2.0], [50.0, 1.0, 4.5]) == [INF, INF, INF]


def test_the_denominator_is_taken_after_the_variant_rule():
    assert ratios_of([1.0, 2.0, 4.0], [INF, 1.0, 1.0]) == [INF, 1.0, 2.0]


def test_a_workload_nobody_reaches_is_infinite_for_all():
    assert ratios_of([INF, NAN], [1.0, 1.0]) == [INF, INF]


def test_a_target_reached_at_time_zero_has_ratio_one():
    assert ratios_of([0.0, 0.0, 1.0], [1.0, 1.0, 1.0]) == [1.0, 1.0, INF]


def test_no_submissions_have_no_ratios():
    empty = np.empty((0, 5))
    assert performance_ratios(empty, BASE + HELD_OUT, make_benchmark()).shape == (0, 3)


def test_a_profile_is_the_share_of_workloads_within_tau():
    profile = performance_profile([[1.0, 2.0, INF, NAN]], [1.0, 1.99, 2.0, 4.0])
    assert profile.tolist() == [[0.25, 0.25, 0.5, 0.5]]


@given(ratio_arrays)
def test_a_profile_never_falls(ratios):
    assert (np.diff(performance_profile(ratios, np.linspace(1, 4, 31))) >= 0).all()


@given(ratio_arrays)
def test_grid_scores_agree_with_a_literal_implementation(ratios):
    expected = [literal_grid_score(row) for row in ratios.tolist()]
    assert benchmark_score(ratios, method="grid").tolist() == pytest.approx(expected, abs=1e-12)


@given(ratio_arrays)
def test_exact_scores_are_the_area_under_the_steps(ratios):
    for row, score in zip(ratios, benchmark_score(ratios), strict=True):
        corners = np.unique(np.concatenate(([1.0, 4.0], row[row <= 4.0])))
        heights = performance_profile(row[None], corners)[0, :-1]
        assert score == pytest.approx((heights * np.diff(corners)).sum() / 3, abs=1e-12)


@given(ratio_arrays, st.integers(2, 200))
def test_grid_and_exact_differ_by_at_most_half_a_grid_step(ratios, grid_points):
    grid = benchmark_score(ratios, method="grid", grid_points=grid_points)
    bound = 1 / (2 * (grid_points - 1))
    assert (np.abs(grid - benchmark_score(ratios)) <= bound + 1e-12).all()


@given(ratio_arrays)
def test_published_scores_are_multiples_of_half_a_grid_step_per_workload(ratios):
    units = benchmark_score(ratios, method="grid") * 198 * ratios.shape[1]
    np.testing.assert_allclose(units, np.round(units), atol=1e-9)


@pytest.mark.parametrize("method", ["grid", "exact"])
def test_scores_lie_between_missing_all_and_being_fastest_everywhere(method):
    ratios = [[1.0, 1.0], [1.0, INF], [NAN, INF], [4.0, 4.0]]
    scores = benchmark_score(ratios, method=method)
    assert scores[:3].tolist() == [1.0, 0.5, 0.0]
    assert scores[3] == pytest.approx(1 / 198 if method == "grid" else 0.0)


def test_a_ratio_below_one_counts_from_the_start_of_the_profile():
    assert benchmark_score([[0.5]]).tolist() == benchmark_score([[1.0]]).tolist() == [1.0]


def test_the_upper_end_of_the_profile_can_be_chosen():
    assert benchmark_score([[2.0]], max_ratio=3.0).tolist() == [0.5]
    assert benchmark_score([[3.5]], max_ratio=3.0).tolist() == [0.0]


finite_times = arrays(np.float64, shapes, elements=st.floats(1.0, 1e4) | st.just(INF))


@given(finite_times, st.sampled_from([0.5, 2.0, 1024.0]))
def test_the_unit_of_time_does_not_matter(seconds, factor):
    benchmark = make_benchmark()
    ratios = performance_ratios(seconds, BASE + HELD_OUT, benchmark)
    scaled = performance_ratios(seconds * factor, BASE + HELD_OUT, benchmark)
    np.testing.assert_array_equal(scaled, ratios)


@given(finite_times)
def test_a_submission_that_reaches_nothing_changes_nobodys_score(seconds):
    benchmark = make_benchmark()
    ratios = performance_ratios(seconds, BASE + HELD_OUT, benchmark)
    hopeless = np.full((1, seconds.shape[1]), INF)
    joined = performance_ratios(np.vstack((seconds, hopeless)), BASE + HELD_OUT, benchmark)
    np.testing.assert_array_equal(joined[:-1], ratios)
    assert np.isinf(joined[-1]).all()


@given(finite_times)
def test_somebody_is_fastest_on_every_workload_that_counts_for_anybody(seconds):
    ratios = performance_ratios(seconds, BASE + HELD_OUT, make_benchmark())
    for column in ratios.T:
        assert column.min() in (1.0, INF)


@given(arrays(np.float64, st.tuples(st.integers(1, 5), st.just(3)), elements=any_times))
def test_without_held_out_workloads_a_faster_time_never_lowers_a_score(seconds):
    benchmark = make_benchmark(())
    before = benchmark_score(performance_ratios(seconds, BASE, benchmark))
    faster = seconds.copy()
    faster[0] /= 2
    after = benchmark_score(performance_ratios(faster, BASE, benchmark))
    assert after[0] >= before[0] - 1e-12
    assert (after[1:] <= before[1:] + 1e-12).all()
