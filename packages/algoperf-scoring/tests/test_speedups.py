"""Geometric means of ratios to a reference, against the published code's numbers and by hand."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from algoperf_scoring import (
    AlgoperfError,
    Benchmark,
    TrialTime,
    TrialTimes,
    UnknownNameError,
    load_benchmark,
    read_logs,
    read_trial_times,
    times_to_target,
)
from algoperf_scoring.bootstrap import bootstrap
from algoperf_scoring.speedups import speedup_intervals, speedups

INF, NAN = math.inf, math.nan

BENCHMARK = Benchmark.from_toml("""
name = "three"
base = ["digits", "wine", "iris"]
held_out = ["digits_noisy"]
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
budget_s = 99.0
[workloads.digits_noisy]
variant_of = "digits"
[workloads.wine]
metric = "loss"
validation_target = 0.5
budget_s = 199.0
[workloads.iris]
metric = "accuracy"
validation_target = 0.5
""")


def trial_times(**rows):
    """Trial times of one study with one trial; a row is the seconds on digits, wine and iris."""
    cells = [
        TrialTime(name, workload, "study_0", 1, float(seconds))
        for name, row in rows.items()
        for workload, seconds in zip(BENCHMARK.base, row, strict=True)
        if not math.isnan(seconds)
    ]
    return TrialTimes.from_rows(cells, submissions=list(rows), workloads=BENCHMARK.scored)


def values(direction="published", absent="refuse", ruleset="external", reference="ref", **rows):
    found = speedups(
        times_to_target(trial_times(**rows)),
        BENCHMARK,
        reference=reference,
        ruleset=ruleset,
        direction=direction,
        absent=absent,
    )
    return dict(zip(found.submissions, found.values.tolist(), strict=True))


def published_times(published_logs, name):
    benchmark = load_benchmark(name)
    logs = read_logs(published_logs(name), benchmark, ruleset="external")
    trials = read_trial_times(logs, benchmark)
    return trials, times_to_target(trials, benchmark.scoring.study_time)


V05 = {
    "baseline": 1.0,
    "shampoo_submission": 0.721296,
    "schedule_free_adamw": 0.734005,
    "generalized_adam": 0.891125,
    "cyclic_lr": 0.893337,
    "lawa_queue": 0.920216,
    "nadamp": 0.966310,
    "amos": 0.985402,
    "lawa_ema": 1.091714,
    "caspr_adaptive": NAN,
    "schedule_free_prodigy": NAN,
}


def test_the_published_v05_speedups_are_reproduced(published_logs):
    _, times = published_times(published_logs, "algoperf-v0.5")
    benchmark = load_benchmark("algoperf-v0.5")
    found = speedups(times, benchmark, reference="baseline", direction="published")
    assert set(found.submissions) == set(V05)
    expected = [V05[name] for name in found.submissions]
    assert found.values.tolist() == pytest.approx(expected, abs=5e-7, nan_ok=True)
    assert set(found.refusals) == {"caspr_adaptive", "schedule_free_prodigy"}
    for name, reason in found.refusals.items():
        assert reason == f"{name} has no measurements of criteo1tb."
    assert np.isfinite(found.ratios).sum() == 11 * 8 - 2


@pytest.mark.parametrize(
    ("budgets_of", "expected"), [("algoperf-v0.5", 0.835834), ("algoperf-v0.6", 0.846915)]
)
def test_the_published_v06_speedup_depends_on_the_budgets(published_logs, budgets_of, expected):
    _, times = published_times(published_logs, "algoperf-v0.6")
    benchmark = load_benchmark(budgets_of)
    for direction, value in (("published", expected), ("rules", 1 / expected)):
        found = speedups(times, benchmark, reference="baseline", direction=direction)
        assert len(found.submissions) == 2
        other = 1 - found.submissions.index("baseline")
        assert found.values[other] == pytest.approx(value, abs=1e-6)
        assert found.values[1 - other] == 1.0
        assert found.refusals == {}


def test_published_speedups_lie_in_their_intervals(published_logs):
    trials, times = published_times(published_logs, "algoperf-v0.5")
    benchmark = load_benchmark("algoperf-v0.5")
    drawn = bootstrap(trials, benchmark, resamples=500)
    found = speedups(times, benchmark, reference="baseline")
    lower, upper = speedup_intervals(drawn, benchmark, reference="baseline").T
    refused = np.isnan(found.values)
    assert np.isnan(lower[refused]).all()
    assert np.isnan(upper[refused]).all()
    assert (lower[~refused] <= found.values[~refused]).all()
    assert (found.values[~refused] <= upper[~refused]).all()


@pytest.mark.parametrize(
    ("ref", "new", "expected"),
    [
        ((10, 20, 30), (10, 20, 30), 1.0),
        ((10, 20, 30), (5, 10, 15), 0.5),
        ((10, 10, 10), (10, 20, 40), 2.0),
        ((10, 10, 10), (INF, 10, 10), 10 ** (1 / 3)),
        ((INF, 10, 10), (10, 10, 10), 0.1 ** (1 / 3)),
        ((INF, INF, 10), (INF, INF, 80), 2.0),
        ((10, 10, 10), (300, 10, 10), 30 ** (1 / 3)),
    ],
    ids=["same", "twice as fast", "slower", "missed", "reference missed", "both", "over budget"],
)
def test_speedups_are_geometric_means_of_ratios(ref, new, expected):
    assert values(ref=ref, new=new)["new"] == pytest.approx(expected)
    assert values("rules", ref=ref, new=new)["new"] == pytest.approx(1 / expected)


def test_the_ruleset_sets_what_a_missed_target_costs():
    rows = {"ref": (10, 10, 10), "new": (INF, 10, 10)}
    assert values(ruleset="self", **rows)["new"] == pytest.approx(29.8 ** (1 / 3))


def test_ratios_are_by_base_workload_only():
    found = speedups(
        times_to_target(trial_times(ref=(10, 20, 30), new=(30, 20, 15))),
        BENCHMARK,
        reference="ref",
    )
    assert found.base == ("digits", "wine", "iris")
    assert found.ratios[found.submissions.index("new")].tolist() == [1 / 3, 1.0, 2.0]
    assert found.ratios[found.submissions.index("ref")].tolist() == [1.0, 1.0, 1.0]


positive = st.floats(0.1, 1e5) | st.just(INF)
row = st.tuples(positive, positive, st.floats(0.1, 1e5))


@given(row, row, row)
def test_directions_are_inverse_and_references_chain(a, b, c):
    rows = {"a": a, "b": b, "c": c}
    published = values(reference="a", **rows)
    rules = values("rules", reference="a", **rows)
    assert rules["b"] == pytest.approx(1 / published["b"])
    b_to_c = values(reference="b", **rows)["c"]
    assert published["c"] == pytest.approx(published["b"] * b_to_c)
    assert published["a"] == 1.0


def test_absent_workloads_refuse_the_comparison_and_say_why():
    times = times_to_target(trial_times(ref=(10, 10, 10), new=(NAN, NAN, 5), old=(5, 5, 5)))
    found = speedups(times, BENCHMARK, reference="ref")
    assert found.refusals == {"new": "new has no measurements of digits, wine."}
    assert np.isnan(found.values[found.submissions.index("new")])
    assert found.ratios[found.submissions.index("new"), 2] == 2.0
    assert found.values[found.submissions.index("old")] == pytest.approx(2.0)


def test_an_absent_workload_of_the_reference_refuses_all():
    times = times_to_target(trial_times(ref=(NAN, 10, 10), new=(10, NAN, 5)))
    found = speedups(times, BENCHMARK, reference="ref")
    assert np.isnan(found.values).all()
    assert found.refusals == {
        "new": "new has no measurements of wine; ref has no measurements of digits.",
        "ref": "ref has no measurements of digits.",
    }


def test_absent_workloads_can_be_taken_as_missed():
    rows = {"ref": (10, 10, 10), "new": (NAN, 10, 10)}
    assert math.isnan(values(**rows)["new"])
    assert values(absent="missed", **rows)["new"] == pytest.approx(10 ** (1 / 3))
    assert values(absent="missed", reference="new", **rows)["ref"] == pytest.approx(0.1 ** (1 / 3))


def test_a_time_of_zero_has_no_ratio():
    times = times_to_target(trial_times(ref=(0, 10, 10), new=(5, 10, 5), old=(0, 0, 5)))
    found = speedups(times, BENCHMARK, reference="ref", absent="missed")
    assert np.isnan(found.values).all()
    assert found.refusals["new"] == "ref has a time of 0 s on digits."
    assert found.refusals["old"].startswith("old has a time of 0 s on digits, wine; ref has")


def test_an_unknown_budget_matters_only_where_a_target_was_missed():
    assert values(ref=(INF, 10, 10), new=(10, INF, 10))["ref"] == 1.0
    with pytest.raises(AlgoperfError, match=r"workloads\.iris\.budget_s is unknown"):
        values(ref=(10, 10, 10), new=(10, 10, INF))
    with pytest.raises(AlgoperfError, match=r"workloads\.iris\.budget_s is unknown"):
        values(absent="missed", ref=(10, 10, 10), new=(10, 10, NAN))


def test_unknown_names_are_told():
    with pytest.raises(
        UnknownNameError, match="unknown reference submission 'reff': did you mean 'ref'"
    ):
        values(reference="reff", ref=(1, 1, 1))
    with pytest.raises(UnknownNameError, match="unknown ruleset 'extern'"):
        values(ruleset="extern", ref=(1, 1, 1))
    drawn = bootstrap(trial_times(ref=(1, 1, 1)), BENCHMARK, resamples=2)
    with pytest.raises(UnknownNameError, match="unknown reference submission 'base'"):
        speedup_intervals(drawn, BENCHMARK, reference="base")


def test_one_submission_is_as_fast_as_itself():
    assert values(ref=(1, 2, 3)) == {"ref": 1.0}
    assert values(ref=(INF, INF, 3)) == {"ref": 1.0}
    assert math.isnan(values(ref=(NAN, NAN, NAN))["ref"])


@pytest.mark.parametrize("direction", ["published", "rules"])
def test_intervals_of_single_trials_are_the_speedups(direction):
    trials = trial_times(ref=(10, 20, 30), new=(INF, 20, 7), gone=(NAN, 5, 5))
    drawn = bootstrap(trials, BENCHMARK, resamples=20)
    for absent in ("refuse", "missed"):
        settings = {"reference": "ref", "direction": direction, "absent": absent}
        found = speedups(times_to_target(trials), BENCHMARK, **settings)
        intervals = speedup_intervals(drawn, BENCHMARK, **settings)
        assert intervals.shape == (3, 2)
        for end in intervals.T:
            assert end.tolist() == pytest.approx(found.values.tolist(), nan_ok=True)


def test_intervals_hold_misses_that_only_happen_in_resamples():
    rows = [
        TrialTime(name, workload, "study_0", k, seconds)
        for name, digits in (("ref", (10.0, 10.0)), ("new", (10.0, INF)))
        for workload in BENCHMARK.base
        for k, seconds in enumerate(digits if workload == "digits" else (10.0, 10.0))
    ]
    drawn = bootstrap(
        TrialTimes.from_rows(rows, workloads=BENCHMARK.scored), BENCHMARK, resamples=200
    )
    intervals = speedup_intervals(drawn, BENCHMARK, reference="ref", direction="published")
    assert intervals[drawn.submissions.index("new")].tolist() == [1.0, pytest.approx(10 ** (1 / 3))]
    assert intervals[drawn.submissions.index("ref")].tolist() == [1.0, 1.0]


def test_the_dictionary_is_plain_data():
    times = times_to_target(trial_times(ref=(10, 10, 10), new=(NAN, 5, 5), old=(20, 20, 20)))
    data = speedups(times, BENCHMARK, reference="ref").to_dict()
    data = json.loads(json.dumps(data, allow_nan=False))
    assert data["reference"] == "ref"
    assert data["ruleset"] == "external"
    assert data["direction"] == "rules"
    assert data["speedups"] == {"new": None, "old": pytest.approx(0.5), "ref": 1.0}
    assert data["ratios"]["new"] == {"digits": None, "wine": 2.0, "iris": 2.0}
    assert data["refusals"] == {"new": "new has no measurements of digits."}
