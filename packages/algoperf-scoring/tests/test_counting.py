"""Which times count, and why not: against a literal implementation of the rules."""

import math
from typing import NamedTuple

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
    Verdict,
    counted_times,
    performance_ratios,
    verdicts,
)

INF, NAN = math.inf, math.nan
BASE = ("a", "b", "c")
VARIANTS = {"b_wide": "b", "a_deep": "a", "a_wide": "a"}
WORKLOADS = (*BASE, *VARIANTS)


def make_benchmark(held_out: tuple[str, ...], max_ratio: float = 4.0) -> Benchmark:
    workloads = {
        name: BenchmarkWorkload(name, "loss", "minimize", 0.5, variant_of=VARIANTS.get(name))
        for name in WORKLOADS
    }
    rulesets = {"external": Ruleset("external", 1, 1, 1.0, True)}
    scoring = ScoringRules(max_ratio=max_ratio)
    return Benchmark("test", "", workloads, BASE, held_out, rulesets, scoring)


class Judged(NamedTuple):
    """What the rules say of a table of times, by (submission, base workload)."""

    times: dict[tuple[int, str], float]
    causes: dict[tuple[int, str], tuple[str, str, float]]


def literal_rules(
    seconds: list[list[float]], workloads: tuple[str, ...], benchmark: Benchmark
) -> Judged:
    """The steps of the rules one after the other, a cell at a time."""
    submissions = range(len(seconds))
    t = {(s, w): seconds[s][workloads.index(w)] for s in submissions for w in benchmark.scored}
    failed: dict[tuple[int, str], tuple[str, str, float]] = {}
    for (s, w), time in t.items():
        if math.isnan(time):
            failed[s, w] = ("absent", w, NAN)
        elif math.isinf(time):
            failed[s, w] = ("missed", w, NAN)

    def minimum(workload: str) -> float:
        column = (t[s, workload] for s in submissions)
        return min((time for time in column if math.isfinite(time)), default=INF)

    # 1. Without the base, a held-out time does not count.
    for h in benchmark.held_out:
        for s in submissions:
            if not math.isfinite(t[s, VARIANTS[h]]):
                t[s, h] = INF
    # 2. Too slow, strictly.
    for w in benchmark.scored:
        fastest = minimum(w)
        for s in submissions:
            if math.isfinite(t[s, w]) and t[s, w] > benchmark.scoring.max_ratio * fastest:
                failed[s, w] = ("too_slow", w, t[s, w] / fastest)
                t[s, w] = INF
    # 3. Without a held-out variant, the base does not count.
    for h in benchmark.held_out:
        for s in submissions:
            if not math.isfinite(t[s, h]):
                t[s, VARIANTS[h]] = INF
    counted = {
        (s, w): t[s, w] if math.isfinite(t[s, w]) else INF for s in submissions for w in BASE
    }
    return Judged(counted, _causes(t, failed, benchmark, submissions))


def _causes(t, failed, benchmark, submissions):
    causes = {}
    for w in BASE:
        times = [t[s, w] for s in submissions if math.isfinite(t[s, w])]
        family = (w, *(h for h in benchmark.held_out if VARIANTS[h] == w))
        for s in submissions:
            why = [failed[s, name] for name in family if (s, name) in failed]
            causes[s, w] = why[0] if why else ("counts", w, t[s, w] / min(times))
    return causes


def same(left: tuple[object, ...], right: tuple[object, ...]) -> bool:
    """Equality under which NaN is NaN."""
    return repr(tuple(left)) == repr(tuple(right))


# Few different values make ties and exact multiples of the limit frequent.
few_times = st.sampled_from([1.0, 1.5, 2.0, 3.0, 4.0, 4.5, 8.0, 9.0, 16.0, INF, NAN])
any_times = few_times | st.floats(0.1, 1e5)
tables = arrays(
    np.float64, st.tuples(st.integers(1, 5), st.just(len(WORKLOADS))), elements=any_times
)
benchmarks = st.builds(
    make_benchmark,
    st.lists(st.sampled_from(sorted(VARIANTS)), unique=True).map(tuple),
    st.sampled_from([1.5, 2.0, 4.0]),
)
column_orders = st.permutations(WORKLOADS).map(tuple)


@given(tables, column_orders, benchmarks)
def test_counted_times_agree_with_a_literal_implementation(seconds, workloads, benchmark):
    expected = literal_rules(seconds.tolist(), workloads, benchmark).times
    counted = counted_times(seconds, workloads, benchmark).tolist()
    assert counted == [[expected[s, w] for w in BASE] for s in range(len(seconds))]


@given(tables, column_orders, benchmarks)
def test_verdicts_agree_with_a_literal_implementation(seconds, workloads, benchmark):
    expected = literal_rules(seconds.tolist(), workloads, benchmark).causes
    for s, row in enumerate(verdicts(seconds, workloads, benchmark)):
        for w, verdict in zip(BASE, row, strict=True):
            assert same(verdict, expected[s, w]), (s, w)


@given(tables, benchmarks)
def test_a_verdict_counts_exactly_where_the_time_does(seconds, benchmark):
    counted = counted_times(seconds, WORKLOADS, benchmark)
    judged = verdicts(seconds, WORKLOADS, benchmark)
    counts = [[verdict.counts for verdict in row] for row in judged]
    assert counts == np.isfinite(counted).tolist()
    ratios = performance_ratios(counted)
    for row, verdict_row in zip(ratios.tolist(), judged, strict=True):
        for ratio, verdict in zip(row, verdict_row, strict=True):
            assert not verdict.counts or verdict.ratio == ratio


@given(tables, benchmarks)
def test_a_time_counts_as_it_is_or_not_at_all(seconds, benchmark):
    counted = counted_times(seconds, WORKLOADS, benchmark)
    left = np.isfinite(counted)
    assert (counted[left] == seconds[:, : len(BASE)][left]).all()
    assert np.isposinf(counted[~left]).all()


@given(
    arrays(
        np.float64,
        st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(1, 4), st.just(len(WORKLOADS))),
        elements=any_times,
    ),
    column_orders,
    benchmarks,
)
def test_a_batch_gives_what_its_tables_give_one_by_one(seconds, workloads, benchmark):
    counted = counted_times(seconds, workloads, benchmark)
    assert counted.shape == (*seconds.shape[:-1], len(BASE))
    for index in np.ndindex(seconds.shape[:-2]):
        alone = counted_times(seconds[index], workloads, benchmark)
        np.testing.assert_array_equal(counted[index], alone)


@given(tables, benchmarks, st.randoms())
def test_nothing_depends_on_the_order_of_submissions(seconds, benchmark, random):
    order = list(range(len(seconds)))
    random.shuffle(order)
    counted = counted_times(seconds, WORKLOADS, benchmark)
    shuffled = counted_times(seconds[order], WORKLOADS, benchmark)
    np.testing.assert_array_equal(shuffled, counted[order])
    judged = verdicts(seconds, WORKLOADS, benchmark)
    for row, verdict_row in zip(order, verdicts(seconds[order], WORKLOADS, benchmark), strict=True):
        assert same(judged[row], verdict_row)


@given(tables, benchmarks)
def test_the_input_is_left_alone(seconds, benchmark):
    before = seconds.copy()
    counted_times(seconds, WORKLOADS, benchmark)
    verdicts(seconds, WORKLOADS, benchmark)
    np.testing.assert_array_equal(seconds, before)


@given(tables, benchmarks)
def test_a_submission_that_reaches_nothing_changes_nothing_for_others(seconds, benchmark):
    for nothing in (INF, NAN):
        joined = np.vstack((seconds, np.full((1, seconds.shape[1]), nothing)))
        counted = counted_times(joined, WORKLOADS, benchmark)
        np.testing.assert_array_equal(counted[:-1], counted_times(seconds, WORKLOADS, benchmark))
        assert np.isposinf(counted[-1]).all()


@given(tables, benchmarks)
def test_without_held_out_variants_only_the_limit_takes_times_away(seconds, benchmark):
    plain = make_benchmark((), benchmark.scoring.max_ratio)
    counted = counted_times(seconds, WORKLOADS, plain)
    ratios = performance_ratios(seconds[:, : len(BASE)])
    # A product and a quotient may round to different sides of the limit.
    near = np.abs(ratios - plain.scoring.max_ratio) < 1e-9
    assert ((np.isfinite(counted) == (ratios <= plain.scoring.max_ratio)) | near).all()


@given(tables, benchmarks)
def test_further_held_out_variants_never_make_more_times_count(seconds, benchmark):
    plain = make_benchmark((), benchmark.scoring.max_ratio)
    with_variants = np.isfinite(counted_times(seconds, WORKLOADS, benchmark))
    assert (with_variants <= np.isfinite(counted_times(seconds, WORKLOADS, plain))).all()


def counted_on_a(a: list[float], a_deep: list[float]) -> tuple[list[float], list[Verdict]]:
    """What counts on `a`, which has the variant `a_deep`; the other workloads are missed."""
    seconds = [[x, INF, INF, deep] for x, deep in zip(a, a_deep, strict=True)]
    benchmark, workloads = make_benchmark(("a_deep",)), (*BASE, "a_deep")
    counted = counted_times(seconds, workloads, benchmark)[:, 0].tolist()
    return counted, [row[0] for row in verdicts(seconds, workloads, benchmark)]


def causes(judged: list[Verdict]) -> list[tuple[str, str]]:
    return [(verdict.cause, verdict.workload) for verdict in judged]


COUNTS = ("counts", "a")


def test_exactly_four_times_the_fastest_still_counts():
    assert counted_on_a([1.0, 4.0], [1.0, 1.0])[0] == [1.0, 4.0]
    counted, judged = counted_on_a([1.0, 4.0001], [1.0, 1.0])
    assert counted == [1.0, INF]
    assert same(judged[1], ("too_slow", "a", 4.0001))


@pytest.mark.parametrize(("missing", "cause"), [(INF, "missed"), (NAN, "absent")])
def test_a_missed_variant_voids_its_base(missing, cause):
    counted, judged = counted_on_a([1.0, 2.0], [missing, 1.0])
    assert counted == [INF, 2.0]
    assert causes(judged) == [(cause, "a_deep"), COUNTS]


def test_a_variant_that_is_too_slow_voids_its_base():
    counted, judged = counted_on_a([1.0, 2.0], [9.0, 2.0])
    assert counted == [INF, 2.0]
    assert same(judged[0], ("too_slow", "a_deep", 4.5))


def test_the_failure_of_the_base_is_named_before_that_of_its_variant():
    _, judged = counted_on_a([NAN, INF, 9.0, 1.0], [NAN, NAN, NAN, 1.0])
    assert causes(judged) == [("absent", "a"), ("missed", "a"), ("too_slow", "a"), COUNTS]


def test_the_first_of_several_variants_that_fail_is_named():
    seconds = [[1.0, INF, INF, INF, NAN]]
    for held_out, cause in ((("a_deep", "a_wide"), "missed"), (("a_wide", "a_deep"), "absent")):
        judged = verdicts(seconds, (*BASE, "a_deep", "a_wide"), make_benchmark(held_out))
        assert judged[0][0][:2] == (cause, held_out[0])


def test_a_variant_of_a_missed_base_does_not_set_the_fastest_time():
    counted, judged = counted_on_a([INF, 2.0], [1.0, 100.0])
    assert counted == [INF, 2.0]
    assert causes(judged) == [("missed", "a"), COUNTS]


def test_a_submission_cut_on_the_base_still_sets_the_fastest_variant():
    counted, judged = counted_on_a([1.0, 5.0, 2.0], [50.0, 1.0, 4.5])
    assert counted == [INF, INF, INF]
    assert causes(judged) == [("too_slow", "a_deep"), ("too_slow", "a"), ("too_slow", "a_deep")]


def test_ratios_are_taken_after_the_variant_rule():
    counted, judged = counted_on_a([1.0, 2.0, 4.0], [INF, 1.0, 1.0])
    assert counted == [INF, 2.0, 4.0]
    assert [verdict.ratio for verdict in judged[1:]] == [1.0, 2.0]


def test_a_workload_nobody_reaches_counts_for_nobody():
    counted, judged = counted_on_a([INF, NAN], [1.0, 1.0])
    assert counted == [INF, INF]
    assert causes(judged) == [("missed", "a"), ("absent", "a")]


def test_a_target_reached_at_time_zero_leaves_no_multiple_to_others():
    counted, judged = counted_on_a([0.0, 0.0, 1.0], [1.0, 1.0, 1.0])
    assert counted == [0.0, 0.0, INF]
    assert causes(judged) == [COUNTS, COUNTS, ("too_slow", "a")]
    assert [verdict.ratio for verdict in judged] == [1.0, 1.0, INF]


@pytest.mark.parametrize("extreme", [5e-324, 1e-308, 1e308, 1.7e308])
def test_times_at_the_ends_of_what_a_float_holds_are_judged_without_warnings(extreme):
    counted, judged = counted_on_a([extreme, 100.0], [1.0, 1.0])
    fast, slow = (0, 1) if extreme < 1.0 else (1, 0)
    assert counted[fast] < 1e3
    assert counted[slow] == INF
    assert judged[slow].cause == "too_slow"
    assert judged[slow].ratio > 1e300


def test_four_times_the_fastest_may_be_more_than_a_float_holds():
    assert counted_on_a([1e308, 1.7e308], [1.7e308, 1e308])[0] == [1e308, 1.7e308]


def test_no_submissions_have_no_times():
    empty = np.empty((0, len(WORKLOADS)))
    benchmark = make_benchmark(("a_deep",))
    assert counted_times(empty, WORKLOADS, benchmark).shape == (0, len(BASE))
    assert verdicts(empty, WORKLOADS, benchmark) == ()


def test_columns_that_the_benchmark_does_not_score_change_nothing():
    seconds = [[1.0, 2.0, 3.0, 0.1], [4.0, 2.0, 9.0, NAN]]
    benchmark = make_benchmark(())
    with_more = counted_times(seconds, (*BASE, "other"), benchmark)
    without = counted_times([row[:3] for row in seconds], BASE, benchmark)
    np.testing.assert_array_equal(with_more, without)
