"""The fastest of k trials, against listing every choice of k trials."""

import itertools
import json
import math
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from algoperf_scoring import (
    Benchmark,
    TrialTime,
    TrialTimes,
    UnknownNameError,
    load_benchmark,
    read_logs,
    read_trial_times,
    times_to_target,
)
from algoperf_scoring.tuning_curves import tuning_curves

INF, NAN = math.inf, math.nan
V05 = "algoperf-v0.5"
BENCHMARK = Benchmark.from_toml("""
name = "one"
base = ["digits"]
[rulesets.external]
search_space = true
studies = 1
trials = 1
budget_factor = 1.0
[rulesets.self]
search_space = false
studies = 1
trials = 1
budget_factor = 3.0
[workloads.digits]
metric = "accuracy"
validation_target = 0.9
budget_s = 100.0
[workloads.wine]
metric = "loss"
validation_target = 0.5
""")


def table(*studies, workload="digits"):
    rows = [
        TrialTime("adam", workload, f"study_{j}", k, seconds)
        for j, study in enumerate(studies)
        for k, seconds in enumerate(study)
    ]
    return TrialTimes.from_rows(rows, submissions=["adam"], workloads=["digits", "wine"])


def by_listing(study, k, miss):
    """Mean time of the fastest and share of hits over all choices of k trials."""
    choices = list(itertools.combinations(study, k))
    fastest = [min(min(seconds, miss) for seconds in choice) for choice in choices]
    return fmean(fastest), fmean(math.isfinite(min(choice)) for choice in choices)


@pytest.mark.parametrize(("ruleset", "miss"), [(None, INF), ("external", 101.0), ("self", 301.0)])
@pytest.mark.parametrize(
    "study",
    [
        [10.0],
        [INF],
        [30.0, 10.0],
        [10.0, INF],
        [INF, 20.0, INF],
        [50.0, 20.0, 40.0, 30.0, 10.0],
        [50.0, INF, 40.0, INF, 10.0],
        [7.0, 7.0, 7.0],
        [INF] * 5,
        [0.0, 0.0, INF],
        [150.0, 20.0, INF],
    ],
)
def test_one_study_is_what_listing_all_choices_gives(study, ruleset, miss):
    curves = tuning_curves(table(study), BENCHMARK, ruleset)
    for k in range(1, len(study) + 1):
        expected, hits = by_listing(study, k, miss)
        assert curves.expected_s[0, 0, k - 1] == pytest.approx(expected)
        assert curves.reach_probability[0, 0, k - 1] == pytest.approx(hits)


times = st.floats(0, 90) | st.just(INF)
studies = st.lists(st.lists(times, min_size=1, max_size=6), min_size=1, max_size=4)


@given(studies)
def test_studies_with_at_least_k_trials_are_averaged(studies):
    curves = tuning_curves(table(*studies), BENCHMARK, "external")
    for k in range(1, max(map(len, studies)) + 1):
        listed = [by_listing(study, k, 101.0) for study in studies if len(study) >= k]
        assert curves.studies[0, 0, k - 1] == len(listed)
        assert curves.expected_s[0, 0, k - 1] == pytest.approx(fmean(t for t, _ in listed))
        assert curves.reach_probability[0, 0, k - 1] == pytest.approx(fmean(p for _, p in listed))


@given(st.lists(times, min_size=1, max_size=12))
def test_more_trials_are_never_worse(study):
    for ruleset in (None, "external"):
        curves = tuning_curves(table(study), BENCHMARK, ruleset)
        expected, hits = curves.expected_s[0, 0], curves.reach_probability[0, 0]
        assert all(b <= a + 1e-9 for a, b in itertools.pairwise(expected.tolist()))
        assert all(b >= a - 1e-9 for a, b in itertools.pairwise(hits.tolist()))
        assert expected[-1] == pytest.approx(min(min(study), 101.0 if ruleset else INF))


@given(st.lists(times, min_size=1, max_size=8), st.randoms())
def test_the_order_of_trials_changes_nothing(study, random):
    shuffled = list(study)
    random.shuffle(shuffled)
    curves, again = (tuning_curves(table(s), BENCHMARK) for s in (study, shuffled))
    assert np.array_equal(curves.expected_s, again.expected_s, equal_nan=True)


def test_one_trial_is_the_mean_and_all_trials_are_the_minimum():
    curves = tuning_curves(table([10.0, 20.0, 60.0]), BENCHMARK)
    assert curves.expected_s[0, 0].tolist() == [pytest.approx(30.0), pytest.approx(40 / 3), 10.0]
    assert curves.reach_probability[0, 0].tolist() == pytest.approx([1.0, 1.0, 1.0])


def test_a_miss_that_cannot_be_chosen_alone_costs_nothing():
    curves = tuning_curves(table([10.0, 20.0, INF]), BENCHMARK)
    assert curves.expected_s[0, 0, 0] == INF
    assert curves.expected_s[0, 0, 1:].tolist() == pytest.approx([40 / 3, 10.0])
    assert curves.reach_probability[0, 0].tolist() == pytest.approx([2 / 3, 1.0, 1.0])


def test_one_study_that_may_miss_makes_the_mean_infinite():
    curves = tuning_curves(table([10.0], [INF]), BENCHMARK)
    assert curves.expected_s[0, 0, 0] == INF
    assert curves.reach_probability[0, 0, 0] == 0.5
    assert tuning_curves(table([10.0], [INF]), BENCHMARK, "external").expected_s[0, 0, 0] == 55.5


def test_a_workload_without_budget_has_infinite_misses():
    trials = table([10.0, INF], workload="wine")
    curves = tuning_curves(trials, BENCHMARK, "external")
    assert curves.expected_s[0, 1].tolist() == [INF, 10.0]


def test_absent_workloads_and_shorter_studies_are_nan():
    curves = tuning_curves(table([1.0], [2.0, 3.0]), BENCHMARK)
    assert curves.expected_s.shape == curves.reach_probability.shape == (1, 2, 2)
    assert curves.expected_s[0, 0].tolist() == [1.75, 2.0]
    assert np.isnan(curves.expected_s[0, 1]).all()
    assert np.isnan(curves.reach_probability[0, 1]).all()
    assert curves.studies.tolist() == [[[2, 1], [0, 0]]]


def test_nothing_at_all_has_no_curves():
    empty = tuning_curves(TrialTimes.from_rows([], workloads=["digits"]), BENCHMARK, "external")
    assert empty.expected_s.shape == (0, 1, 1)
    assert list(empty.rows()) == []
    assert empty.to_dict() == {}


def test_unknown_rulesets_are_named():
    with pytest.raises(UnknownNameError, match="did you mean 'external'"):
        tuning_curves(table([1.0]), BENCHMARK, "externl")


def test_the_dictionary_is_plain_data():
    curves = tuning_curves(table([10.0, INF]), BENCHMARK)
    data = json.loads(json.dumps(curves.to_dict(), allow_nan=False))
    assert data["adam"]["digits"] == {
        "trials": [1, 2],
        "expected_s": [None, 10.0],
        "reach_probability": [0.5, 1.0],
        "studies": [1, 1],
    }
    assert data["adam"]["wine"]["trials"] == []


def test_the_data_frame_has_a_row_per_number_of_trials():
    pytest.importorskip("pandas")
    frame = tuning_curves(table([10.0, 30.0]), BENCHMARK).to_pandas()
    assert frame["trials"].tolist() == [1, 2]
    assert frame["expected_s"].tolist() == [20.0, 10.0]
    assert frame["workload"].tolist() == ["digits", "digits"]


def test_published_curves_end_at_the_fastest_trials(published_logs):
    benchmark = load_benchmark(V05)
    logs = read_logs(published_logs(V05), benchmark, ruleset="external")
    trials = read_trial_times(logs, benchmark)
    curves = tuning_curves(trials, benchmark, "external")
    assert curves.expected_s.shape == (11, 14, 5)
    row = trials.submissions.index("shampoo_submission")
    column = trials.workloads.index("ogbg")
    best = times_to_target(trials).study_seconds[row, column]
    assert curves.expected_s[row, column, -1] == pytest.approx(best.mean())
    known = curves.expected_s[~np.isnan(curves.expected_s)]
    assert np.isfinite(known).all()
