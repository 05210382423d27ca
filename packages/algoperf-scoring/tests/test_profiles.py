"""Ratios, profiles and scores of any table of times, against a second, literal implementation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from algoperf_scoring import (
    AlgoperfError,
    benchmark_score,
    performance_profile,
    performance_ratios,
)

INF, NAN = math.inf, math.nan
TAUS = np.linspace(1.0, 5.0, 33)


def literal_ratios(times: list[list[float]], reference: int | None = None) -> list[list[float]]:
    """A cell at a time."""

    def ratio(time: float, unit: float) -> float:
        if not math.isfinite(time):
            return INF
        if time == unit:
            return 1.0
        return time / unit if unit > 0.0 else INF

    def unit(column: list[float]) -> float:
        if reference is not None:
            return column[reference] if math.isfinite(column[reference]) else INF
        return min(filter(math.isfinite, column), default=INF)

    units = [unit(list(column)) for column in zip(*times, strict=True)]
    return [[ratio(*pair) for pair in zip(row, units, strict=True)] for row in times]


def literal_grid_score(ratios: list[float]) -> float:
    """Each workload adds what the trapezoid rule gives its step."""
    grid = np.linspace(1.0, 4.0, 100)
    credit = 0.0
    for ratio in ratios:
        reached = [j for j, tau in enumerate(grid) if tau >= ratio]
        if reached:
            credit += 1.0 if reached[0] == 0 else (99.5 - reached[0]) / 99
    return credit / len(ratios)


# Few different values make ties and exact multiples frequent.
time_values = st.sampled_from([0.5, 1.0, 2.0, 4.0, 6.0, 8.0, INF, NAN]) | st.floats(0.1, 1e5)
shapes = st.tuples(st.integers(1, 4), st.integers(1, 8))
tables = arrays(np.float64, shapes, elements=time_values)
batches = arrays(
    np.float64,
    st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(1, 4), st.integers(1, 5)),
    elements=time_values,
)
methods = st.sampled_from(["exact", "grid"])
references = st.none() | st.integers(0, 3)


def row_of(reference: int | None, times: np.ndarray) -> int | None:
    return None if reference is None else reference % times.shape[-2]


@given(tables, references)
def test_ratios_agree_with_a_literal_implementation(times, reference):
    row = row_of(reference, times)
    ratios = performance_ratios(times, reference=row)
    assert ratios.tolist() == literal_ratios(times.tolist(), row)


@given(batches, references, methods)
def test_a_batch_gives_what_its_tables_give_one_by_one(times, reference, method):
    row = row_of(reference, times)
    ratios = performance_ratios(times, reference=row)
    profiles = performance_profile(times, TAUS, reference=row)
    scores = benchmark_score(times, method=method, reference=row)
    assert ratios.shape == times.shape
    assert profiles.shape == (*times.shape[:-1], len(TAUS))
    assert scores.shape == times.shape[:-1]
    for index in np.ndindex(times.shape[:-2]):
        table = times[index]
        alone = performance_ratios(table, reference=row)
        np.testing.assert_array_equal(ratios[index], alone)
        np.testing.assert_array_equal(
            profiles[index], performance_profile(table, TAUS, reference=row)
        )
        np.testing.assert_array_equal(
            scores[index], benchmark_score(table, method=method, reference=row)
        )


@given(tables, references, methods)
def test_ratios_are_times_in_another_unit(times, reference, method):
    row = row_of(reference, times)
    ratios = performance_ratios(times, reference=row)
    np.testing.assert_array_equal(performance_ratios(ratios, reference=row), ratios)
    np.testing.assert_array_equal(
        performance_profile(ratios, TAUS, reference=row),
        performance_profile(times, TAUS, reference=row),
    )
    np.testing.assert_array_equal(
        benchmark_score(ratios, method=method, reference=row),
        benchmark_score(times, method=method, reference=row),
    )


@given(tables, st.randoms())
def test_ratios_do_not_depend_on_the_order_of_submissions(times, random):
    order = list(range(len(times)))
    random.shuffle(order)
    shuffled = performance_ratios(times[order])
    np.testing.assert_array_equal(shuffled, performance_ratios(times)[order])


@given(tables, st.randoms())
def test_a_reference_is_a_row_wherever_it_stands(times, random):
    order = list(range(len(times)))
    random.shuffle(order)
    shuffled = performance_ratios(times[order], reference=order.index(0))
    np.testing.assert_array_equal(shuffled, performance_ratios(times, reference=0)[order])


@given(tables, st.sampled_from([0.5, 2.0, 1024.0]))
def test_the_unit_of_time_does_not_matter(times, factor):
    np.testing.assert_array_equal(performance_ratios(times * factor), performance_ratios(times))


@given(tables)
def test_somebody_has_ratio_one_on_every_workload_that_anybody_solved(times):
    for column, solved in zip(performance_ratios(times).T, np.isfinite(times).T, strict=True):
        assert column.min() == (1.0 if solved.any() else INF)


@given(tables, references)
def test_the_input_is_left_alone(times, reference):
    before = times.copy()
    benchmark_score(times, reference=row_of(reference, times))
    np.testing.assert_array_equal(times, before)


def test_the_fastest_has_ratio_one():
    assert performance_ratios([[2.0], [3.0]]).tolist() == [[1.0], [1.5]]


def test_lists_of_whole_numbers_are_times():
    assert performance_ratios([[2], [3]]).tolist() == [[1.0], [1.5]]


def test_a_workload_nobody_solved_is_infinite_for_all():
    assert performance_ratios([[INF, 1.0], [NAN, 1.0]]).tolist() == [[INF, 1.0], [INF, 1.0]]


def test_a_time_of_zero_has_ratio_one_and_leaves_no_multiple_to_others():
    assert performance_ratios([[0.0], [0.0], [1.0]]).tolist() == [[1.0], [1.0], [INF]]


def test_a_reference_is_the_unit_for_all():
    times = [[2.0, 8.0], [4.0, 4.0], [INF, 2.0]]
    assert performance_ratios(times, reference=1).tolist() == [[0.5, 2.0], [1.0, 1.0], [INF, 0.5]]


def test_a_ratio_below_one_counts_from_the_start_of_the_profile():
    times = [[1.0], [2.0]]
    assert performance_profile(times, [1.0, 2.0], reference=1).tolist() == [[1.0, 1.0]] * 2
    assert benchmark_score(times, reference=1).tolist() == [1.0, 1.0]
    assert benchmark_score(times).tolist() == pytest.approx([1.0, 2 / 3])


@pytest.mark.parametrize("missed", [INF, NAN])
@pytest.mark.parametrize("method", ["grid", "exact"])
def test_whoever_solved_what_the_reference_missed_has_full_credit(missed, method):
    times = [[missed, 2.0], [7.0, 2.0], [missed, 4.0]]
    assert performance_ratios(times, reference=0)[:, 0].tolist() == [INF, 0.0, INF]
    scores = benchmark_score(times, method=method, max_ratio=3.0, reference=0)
    assert scores.tolist() == pytest.approx([0.5, 1.0, 0.25], abs=1 / 198)


def test_no_submissions_have_no_ratios():
    assert performance_ratios(np.empty((0, 3))).shape == (0, 3)
    assert performance_profile(np.empty((0, 3)), TAUS).shape == (0, len(TAUS))
    assert benchmark_score(np.empty((2, 0, 3))).shape == (2, 0)


@pytest.mark.parametrize("shape", [(), (3,)])
@pytest.mark.parametrize("function", [performance_ratios, benchmark_score])
def test_a_table_has_rows_and_columns(function, shape):
    with pytest.raises(AlgoperfError, match=r"times: expected rows .* found the shape \("):
        function(np.ones(shape))


def test_a_profile_needs_rows_and_columns_too():
    with pytest.raises(AlgoperfError, match=r"found the shape \(2,\)"):
        performance_profile([1.0, 2.0], [1.0])


@pytest.mark.parametrize("negative", [-1.0, -1e-300, -INF])
def test_a_negative_time_is_refused(negative):
    with pytest.raises(AlgoperfError, match=rf"at least 0, found {negative}"):
        performance_ratios([[1.0, 2.0], [3.0, negative]])
    with pytest.raises(AlgoperfError, match="at least 0"):
        benchmark_score([[[1.0]], [[negative]]])


@pytest.mark.parametrize("method", ["simpson", "Exact", ""])
def test_a_method_nobody_knows_is_refused(method):
    with pytest.raises(AlgoperfError, match="method"):
        benchmark_score([[1.0, 2.0]], method=method)


@pytest.mark.parametrize("row", [-1, 2])
def test_a_reference_that_is_not_there_is_refused(row):
    with pytest.raises(AlgoperfError, match="reference"):
        performance_ratios([[1.0, 2.0], [3.0, 4.0]], reference=row)


def test_a_profile_is_the_share_of_workloads_within_tau():
    times = [[2.0, 2.0, INF, NAN], [2.0, 1.0, 1.0, 1.0]]
    profile = performance_profile(times, [1.0, 1.99, 2.0, 4.0])
    assert profile.tolist() == [[0.25, 0.25, 0.5, 0.5], [1.0, 1.0, 1.0, 1.0]]


@given(tables, references)
def test_a_profile_never_falls(times, reference):
    profile = performance_profile(times, TAUS, reference=row_of(reference, times))
    assert (np.diff(profile) >= 0).all()
    assert ((profile >= 0) & (profile <= 1)).all()


@given(tables, references)
def test_grid_scores_agree_with_a_literal_implementation(times, reference):
    row = row_of(reference, times)
    expected = [literal_grid_score(ratios) for ratios in literal_ratios(times.tolist(), row)]
    scores = benchmark_score(times, method="grid", reference=row)
    assert scores.tolist() == pytest.approx(expected, abs=1e-12)


@given(tables, references)
def test_exact_scores_are_the_area_under_the_steps(times, reference):
    row = row_of(reference, times)
    ratios = performance_ratios(times, reference=row)
    for index, score in enumerate(benchmark_score(times, reference=row)):
        steps = ratios[index]
        corners = np.unique([1.0, 4.0, *steps[(steps >= 1.0) & (steps <= 4.0)]])
        heights = performance_profile(times, corners, reference=row)[index, :-1]
        assert score == pytest.approx((heights * np.diff(corners)).sum() / 3, abs=1e-12)


@given(tables, st.integers(2, 200), st.sampled_from([1.5, 2.0, 4.0, 10.0]))
def test_grid_and_exact_differ_by_at_most_half_a_grid_step(times, grid_points, max_ratio):
    grid = benchmark_score(times, method="grid", max_ratio=max_ratio, grid_points=grid_points)
    bound = 1 / (2 * (grid_points - 1))
    assert (np.abs(grid - benchmark_score(times, max_ratio=max_ratio)) <= bound + 1e-12).all()


@given(tables)
def test_published_scores_are_multiples_of_half_a_grid_step_per_workload(times):
    units = benchmark_score(times, method="grid") * 198 * times.shape[1]
    np.testing.assert_allclose(units, np.round(units), atol=1e-9)


@given(arrays(np.float64, st.integers(1, 8), elements=st.floats(1.0, 4.0)), methods, st.randoms())
def test_scores_do_not_depend_on_the_order_of_workloads(ratios, method, random):
    # Otherwise rounding breaks ties: 0.1 + 0.2 + 0.3 is not 0.3 + 0.2 + 0.1.
    shuffled = ratios.tolist()
    random.shuffle(shuffled)
    fastest = [1.0] * len(shuffled)
    _, one, other = benchmark_score([fastest, ratios.tolist(), shuffled], method=method).tolist()
    assert one == other


@pytest.mark.parametrize("method", ["grid", "exact"])
def test_scores_lie_between_missing_all_and_being_fastest_everywhere(method):
    times = [[1.0, 1.0], [1.0, INF], [NAN, INF], [4.0, 4.0]]
    scores = benchmark_score(times, method=method)
    assert scores[:3].tolist() == [1.0, 0.5, 0.0]
    assert scores[3] == pytest.approx(1 / 198 if method == "grid" else 0.0)


def test_the_upper_end_of_the_profile_can_be_chosen():
    times = [[1.0], [2.0], [3.5]]
    assert benchmark_score(times, max_ratio=3.0).tolist() == [1.0, 0.5, 0.0]


@given(tables, methods)
def test_a_faster_time_helps_its_owner_and_nobody_else(times, method):
    before = benchmark_score(times, method=method)
    faster = times.copy()
    faster[0] /= 2
    after = benchmark_score(faster, method=method)
    assert after[0] >= before[0]
    assert (after[1:] <= before[1:]).all()
