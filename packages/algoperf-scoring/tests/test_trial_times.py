"""From evaluations to the times of trials, and how they are held."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from algoperf_scoring import (
    AlgoperfError,
    BenchmarkWorkload,
    LogError,
    Trial,
    TrialTime,
    TrialTimes,
    read_logs,
    read_trial_times,
    time_to_target,
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
        (ACCURACY, [(10, INF)], INF),
        (ACCURACY, [], INF),
        (LOSS, [(10, 0.6), (20, 0.5)], 20.0),
        (LOSS, [(10, NAN), (20, 0.51)], INF),
        (LOSS, [(10, -INF), (20, 0.4)], 20.0),
    ],
)
def test_a_trials_time_is_that_of_its_first_evaluation_at_the_target(workload, rows, expected):
    assert time_to_target(trial(*rows), workload) == expected


@pytest.mark.parametrize("time", [NAN, -1.0, INF])
def test_an_evaluation_at_the_target_needs_its_time(time):
    with pytest.raises(LogError, match=r"trial_1\.csv: evaluation 2 reaches the target, but its"):
        time_to_target(trial((10, 0.1), (time, 0.95)), ACCURACY)


def test_a_missing_time_before_the_target_does_no_harm():
    assert time_to_target(trial((NAN, 0.1), (20, 0.95)), ACCURACY) == 20.0


def read(tree, benchmark) -> list[TrialTime]:
    return list(read_trial_times(read_logs(tree.root, benchmark), benchmark).rows())


def test_logs_become_times_with_their_resolution(tree, benchmark_small):
    where = "sub/study_0/digits_jax/trial"
    tree.trial(f"{where}_1", [(10.0, 0.1), (20.0, 0.95), (30.0, 0.1)])
    tree.trial(f"{where}_2", [(12.0, 0.95)])
    tree.trial(f"{where}_3", [(11.0, 0.1), (21.0, 0.2)])
    tree.trial(f"{where}_4", [])
    assert read(tree, benchmark_small) == [
        TrialTime("sub", "digits", "study_0", 1, 20.0, 10.0, 1),
        TrialTime("sub", "digits", "study_0", 2, 12.0, 0.0, 0),
        TrialTime("sub", "digits", "study_0", 3, INF, 21.0, -1),
        TrialTime("sub", "digits", "study_0", 4, INF, 0.0, -1),
    ]


def test_a_submission_without_measurements_has_its_row(tree, benchmark_small):
    tree.trial("good/study_0/digits_jax/trial_1", [(10.0, 0.95)])
    tree.folder("crashed/study_0/digits_jax/trial_1")
    times = read_trial_times(read_logs(tree.root, benchmark_small), benchmark_small)
    assert times.submissions == ("crashed", "good")
    assert times.workloads == ("digits", "wine")
    assert np.isnan(times.seconds[0]).all()


names = st.sampled_from(["a", "b", "c"])
rows = st.builds(
    TrialTime,
    names,
    names,
    names,
    st.integers(0, 4),
    st.floats(0, 1e6) | st.just(INF),
    st.floats(0, 1e6),
    st.integers(-1, 9),
)
tables = st.lists(rows, max_size=20, unique_by=lambda row: row[:4])


@given(tables, st.randoms())
def test_rows_come_back_whatever_their_order(table, random):
    shuffled = list(table)
    random.shuffle(shuffled)
    assert list(TrialTimes.from_rows(shuffled).rows()) == sorted(table)


@given(tables.filter(len))
def test_rows_of_chosen_submissions_come_in_the_chosen_order(table):
    times = TrialTimes.from_rows(table)
    order = list(range(len(times.submissions)))[::-1]
    backwards = times.take(order)
    assert backwards.submissions == times.submissions[::-1]
    assert sorted(backwards.rows()) == sorted(table)


def test_workloads_keep_their_order_and_further_ones_follow():
    table = [TrialTime("sub", name, "s", 1, 1.0) for name in ("x", "b", "a")]
    assert TrialTimes.from_rows(table, workloads=["b", "empty"]).workloads == (
        *("b", "empty"),
        *("a", "x"),
    )


def test_a_trial_that_is_there_twice_is_refused():
    twice = [TrialTime("sub", "digits", "s", 1, seconds) for seconds in (1.0, 2.0)]
    with pytest.raises(AlgoperfError, match="sub, digits, study s, trial 1 is there twice"):
        TrialTimes.from_rows(twice)


@pytest.mark.parametrize("seconds", [-1.0, NAN])
def test_a_time_is_at_least_zero(seconds):
    with pytest.raises(
        AlgoperfError, match=r"trial 1: the time is .*; expected seconds of at leas"
    ):
        TrialTimes.from_rows([TrialTime("sub", "digits", "s", 1, seconds)])


def test_no_trials_are_no_error():
    times = TrialTimes.from_rows([], submissions=["sub"], workloads=["digits"])
    assert times.seconds.shape == (1, 1, 1, 1)
    assert list(times.rows()) == []
