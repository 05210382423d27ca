"""From evaluations to times to target."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from algoperf_scoring import (
    BenchmarkWorkload,
    LogError,
    Trial,
    median_over_studies,
    read_logs,
    study_time,
    time_to_target,
    times_to_target,
)

ACCURACY = BenchmarkWorkload("digits", "accuracy", "maximize", 0.9)
LOSS = BenchmarkWorkload("wine", "loss", "minimize", 0.5)
INF, NAN = math.inf, math.nan


def trial(*rows: tuple[float, float]) -> Trial:
    times, values = np.array(rows, dtype=np.float64).reshape(-1, 2).T
    return Trial("study_0", 1, "jax", times, values, Path("trial_1.csv"))


@pytest.mark.parametrize(
    ("workload", "rows", "expected"),
    [
        (ACCURACY, [(10, 0.5), (20, 0.95), (30, 0.99)], 20.0),
        (ACCURACY, [(10, 0.9)], 10.0),
        (ACCURACY, [(10, 0.95), (20, 0.1)], 10.0),
        (ACCURACY, [(10, 0.8999999)], INF),
        (ACCURACY, [(10, NAN), (20, 0.91)], 20.0),
        (ACCURACY, [(10, NAN)], INF),
        (ACCURACY, [], INF),
        (LOSS, [(10, 0.6), (20, 0.5)], 20.0),
        (LOSS, [(10, NAN), (20, 0.51)], INF),
    ],
)
def test_a_trials_time_is_that_of_its_first_evaluation_at_the_target(workload, rows, expected):
    assert time_to_target(trial(*rows), workload) == expected


@pytest.mark.parametrize("time", [NAN, -1.0])
def test_an_evaluation_at_the_target_needs_its_time(time):
    with pytest.raises(LogError, match=r"trial_1\.csv: evaluation 2 reaches the target, but its"):
        time_to_target(trial((10, 0.1), (time, 0.95)), ACCURACY)


def test_a_missing_time_before_the_target_does_no_harm():
    assert time_to_target(trial((NAN, 0.1), (20, 0.95)), ACCURACY) == 20.0


SLOW_BUT_EARLY = trial((30, 0.9))
FAST_BUT_LATE = trial((5, 0.1), (10, 0.9))


def test_earliest_evaluation_takes_the_trial_with_fewest_evaluations():
    trials = (FAST_BUT_LATE, SLOW_BUT_EARLY)
    assert study_time(trials, ACCURACY, "earliest_evaluation") == 30.0
    assert study_time(trials, ACCURACY, "fastest_trial") == 10.0


def test_ties_in_the_evaluation_go_to_the_faster_trial_in_any_order():
    trials = [trial((1, 0), (841.18, 0.9)), trial((2, 0), (640.77, 0.9)), trial((3, 0))]
    assert study_time(trials, ACCURACY) == study_time(trials[::-1], ACCURACY) == 640.77


def test_a_study_in_which_no_trial_reaches_the_target_is_infinite():
    for rule in ("earliest_evaluation", "fastest_trial"):
        assert study_time((trial((10, 0.1)), trial()), ACCURACY, rule) == INF


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
    ],
)
def test_the_median_of_an_even_number_is_infinite_if_its_upper_middle_is(times, expected):
    assert median_over_studies(times) == expected


def test_no_studies_have_no_median():
    assert math.isnan(median_over_studies([]))


@given(st.lists(st.floats(0, 1e6) | st.just(INF), min_size=1, max_size=9), st.randoms())
def test_the_median_does_not_depend_on_the_order(times, random):
    shuffled = list(times)
    random.shuffle(shuffled)
    assert median_over_studies(shuffled) == median_over_studies(times)
    assert min(times) <= median_over_studies(times) <= max(times)


def test_missed_is_infinite_and_absent_is_nan(tree, benchmark_small):
    tree.trial("sub/study_0/digits_jax/trial_1", [(10.0, 0.1)])
    times = times_to_target(read_logs(tree.root, benchmark_small), benchmark_small)
    assert times.submissions == ("sub",)
    assert times.workloads == ("digits", "wine")
    assert times.seconds[0, 0] == INF
    assert math.isnan(times.seconds[0, 1])


def test_a_study_without_measurements_is_left_out_of_the_median(tree, benchmark_small):
    tree.trial("sub/study_0/digits_jax/trial_1", [(10.0, 0.95)])
    tree.trial("sub/study_1/digits_jax/trial_1", [(30.0, 0.95)])
    for study in (2, 3, 4):
        tree.folder(f"sub/study_{study}/digits_jax/trial_1")
    times = times_to_target(read_logs(tree.root, benchmark_small), benchmark_small)
    assert times.seconds[0, 0] == 20.0


def test_trials_that_reached_the_target_are_counted(tree, benchmark_small):
    for number, value in enumerate((0.95, 0.1, 0.9), start=1):
        tree.trial(f"sub/study_0/digits_jax/trial_{number}", [(10.0, value)])
    times = times_to_target(read_logs(tree.root, benchmark_small), benchmark_small)
    assert times.trials.tolist() == [[3, 0]]
    assert times.trials_reached.tolist() == [[2, 0]]
    assert times.take([0, 0]).submissions == ("sub", "sub")
