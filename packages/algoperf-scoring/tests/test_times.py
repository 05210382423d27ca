"""From the times of trials to times to target."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from algoperf_scoring import (
    TrialTime,
    TrialTimes,
    median_over_studies,
    study_times,
    times_to_target,
)

INF, NAN = math.inf, math.nan


def trials(*studies: list[tuple[float, int]], until: float = NAN) -> TrialTimes:
    """Trials of one submission and workload; a trial is (seconds, index of the evaluation)."""
    return TrialTimes.from_rows(
        TrialTime("sub", "digits", f"study_{j}", k, seconds, until, evaluation)
        for j, study in enumerate(studies)
        for k, (seconds, evaluation) in enumerate(study, start=1)
    )


def study_time(study: list[tuple[float, int]], rule: str) -> float:
    return float(study_times(trials(study), rule)[0][0, 0, 0])


EARLY_BUT_SLOW, LATE_BUT_FAST, MISSED = (30.0, 0), (10.0, 1), (INF, -1)


def test_earliest_evaluation_takes_the_trial_with_fewest_evaluations():
    study = [LATE_BUT_FAST, EARLY_BUT_SLOW, MISSED]
    assert study_time(study, "earliest_evaluation") == 30.0
    assert study_time(study, "fastest_trial") == 10.0


def test_ties_in_the_evaluation_go_to_the_faster_trial_in_any_order():
    study = [(841.18, 7), (640.77, 7), (2000.0, 9)]
    assert study_time(study, "earliest_evaluation") == 640.77
    assert study_time(study[::-1], "earliest_evaluation") == 640.77


@pytest.mark.parametrize("rule", ["earliest_evaluation", "fastest_trial"])
def test_a_study_in_which_no_trial_reaches_the_target_is_infinite(rule):
    assert study_time([MISSED, MISSED], rule) == INF


def test_without_evaluations_the_earliest_trial_is_the_fastest():
    assert study_time([(20.0, -1), (10.0, -1)], "earliest_evaluation") == 10.0


def test_a_study_that_is_not_there_has_no_time():
    several = TrialTimes.from_rows(
        TrialTime(name, "digits", study, 1, 1.0)
        for name, study in (("one", "a"), ("one", "b"), ("two", "a"))
    )
    assert np.isnan(study_times(several, "fastest_trial")[0][1, 0]).tolist() == [False, True]


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([3.0], 3.0),
        ([5.0, 1.0, 3.0], 3.0),
        ([1.0, INF, 3.0], 3.0),
        ([1.0, INF, INF], INF),
        ([1.0, 4.0], 2.5),
        ([1.0, INF], INF),
        ([1.0, 2.0, 4.0, INF], 3.0),
        ([1.0, 2.0, INF, INF], INF),
        ([INF, INF], INF),
        ([NAN, 1.0, NAN, 4.0], 2.5),
        ([NAN, INF, 2.0], INF),
    ],
)
def test_the_median_of_an_even_number_is_infinite_if_its_upper_middle_is(times, expected):
    assert median_over_studies(times) == expected


@pytest.mark.parametrize("times", [[], [NAN], [NAN, NAN]])
def test_no_studies_have_no_median(times):
    assert math.isnan(median_over_studies(times))


study_values = st.floats(0, 1e6) | st.just(INF) | st.just(NAN)


@given(st.lists(study_values, min_size=1, max_size=9), st.randoms())
def test_the_median_does_not_depend_on_the_order(times, random):
    shuffled = list(times)
    random.shuffle(shuffled)
    median = median_over_studies(shuffled)
    np.testing.assert_array_equal(median, median_over_studies(times))
    there = [time for time in times if not math.isnan(time)]
    if there:
        assert min(there) <= median <= max(there)
        finite = [time for time in there if time < INF]
        if len(finite) == len(there):
            assert median == pytest.approx(np.median(there))


@given(st.lists(st.lists(study_values, min_size=3, max_size=3), min_size=1, max_size=4))
def test_medians_of_many_workloads_are_those_of_each(rows):
    alone = [float(median_over_studies(row)) for row in rows]
    np.testing.assert_array_equal(median_over_studies(rows), alone)


def test_missed_is_infinite_and_absent_is_nan():
    rows = [TrialTime("sub", "digits", "a", 1, INF)]
    times = times_to_target(TrialTimes.from_rows(rows, workloads=["digits", "wine"]))
    assert times.workloads == ("digits", "wine")
    assert times.seconds[0, 0] == INF
    assert math.isnan(times.seconds[0, 1])


def test_trials_that_reached_the_target_are_counted():
    times = times_to_target(trials([(10.0, 0), MISSED, (20.0, 1)], [MISSED]))
    assert times.trials.tolist() == [[4]]
    assert times.trials_reached.tolist() == [[2]]
    assert times.study_seconds.tolist() == [[[10.0, INF]]]
    assert times.take([0, 0]).submissions == ("sub", "sub")


def interval(*rows: tuple[float, float], rule: str = "fastest_trial") -> tuple[float, float]:
    """What is known of a study whose trials reached the target in (missed_until, seconds]."""
    several = TrialTimes.from_rows(
        TrialTime("sub", "digits", "a", k, seconds, until, 5)
        for k, (until, seconds) in enumerate(rows)
    )
    times = times_to_target(several, rule)
    return float(times.missed_until_s[0, 0]), float(times.seconds[0, 0])


def test_a_time_is_known_to_the_interval_between_two_evaluations():
    assert interval((80.0, 90.0)) == (80.0, 90.0)
    assert interval((80.0, 90.0), rule="earliest_evaluation") == (80.0, 90.0)


def test_any_trial_may_have_been_the_first_to_meet_the_target():
    assert interval((90.0, 100.0), (70.0, 110.0)) == (70.0, 100.0)
    assert interval((90.0, 100.0), (70.0, 110.0), rule="earliest_evaluation") == (90.0, 100.0)


def test_a_missed_target_is_missed_until_the_first_trial_ended():
    assert interval((500.0, INF), (300.0, INF)) == (300.0, INF)


def test_what_is_not_known_of_the_interval_is_nan():
    assert math.isnan(interval((NAN, 100.0))[0])


def tied(one: tuple[float, float], two: tuple[float, float]) -> bool:
    rows = [
        TrialTime(name, "digits", "a", 1, seconds, until, 3)
        for name, (until, seconds) in (("one", one), ("two", two))
    ]
    table = times_to_target(TrialTimes.from_rows(rows)).tied()
    assert table.shape == (1, 2, 2)
    assert (table == table.transpose(0, 2, 1)).all()
    assert not table[0].diagonal().any()
    return bool(table[0, 0, 1])


@pytest.mark.parametrize(
    ("one", "two", "expected"),
    [
        ((0.0, 10.0), (5.0, 15.0), True),
        ((0.0, 10.0), (2.0, 3.0), True),
        # One had met the target at 10, the other had not yet.
        ((0.0, 10.0), (10.0, 20.0), False),
        ((0.0, 10.0), (12.0, 20.0), False),
        ((0.0, INF), (0.0, 10.0), False),
        ((0.0, INF), (0.0, INF), False),
        ((NAN, 10.0), (NAN, 10.0), True),
        ((NAN, 10.0), (NAN, 11.0), False),
    ],
)
def test_submissions_are_tied_where_what_is_known_of_their_times_overlaps(one, two, expected):
    assert tied(one, two) == tied(two, one) == expected
