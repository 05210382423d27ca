"""The same trials under changed rules: which scenarios there are, and what they give."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from algoperf_scoring import (
    Benchmark,
    TrialTime,
    TrialTimes,
    UnknownNameError,
    benchmark_score,
    counted_times,
    load_benchmark,
    read_logs,
    read_trial_times,
    times_to_target,
)
from algoperf_scoring.sensitivity import sensitivity

INF, NAN = math.inf, math.nan
V05 = "algoperf-v0.5"


def table(cells, submissions=()):
    """Trial times of {(submission, workload): trials}; a trial is (seconds, evaluation)."""
    rows = [
        TrialTime(submission, workload, "study_0", k, seconds, evaluation=index)
        for (submission, workload), trials in cells.items()
        for k, (seconds, index) in enumerate(trials)
    ]
    names = ["digits", "wine", "digits_noisy"]
    return TrialTimes.from_rows(rows, submissions=submissions, workloads=names)


TRIALS = table(
    {
        ("adam", "digits"): [(10.0, 1), (5.0, 2)],
        ("adam", "wine"): [(50.0, 0)],
        ("adam", "digits_noisy"): [(10.0, 0)],
        ("sgd", "digits"): [(20.0, 0)],
        ("sgd", "wine"): [(10.0, 0), (INF, -1)],
        ("sgd", "digits_noisy"): [(INF, -1)],
    }
)


def by_name(found, values=None):
    rows = found.scores if values is None else values
    names = [scenario.name for scenario in found.scenarios]
    assert len(set(names)) == len(names)
    return dict(zip(names, rows.tolist(), strict=True))


def test_every_rule_is_changed_on_its_own(benchmark_held_out):
    found = sensitivity(TRIALS, benchmark_held_out, ruleset="external")
    assert [(scenario.name, scenario.group) for scenario in found.scenarios] == [
        ("as it is", "as_it_is"),
        ("without digits", "workload"),
        ("without wine", "workload"),
        ("without held-out variants", "held_out"),
        ("ratios up to 2", "max_ratio"),
        ("ratios up to 3", "max_ratio"),
        ("ratios up to 6", "max_ratio"),
        ("ratios up to 8", "max_ratio"),
        ("study time by fastest_trial", "study_time"),
        ("integration by exact", "method"),
        ("times above the budget missed", "budget"),
    ]
    assert found.scores.shape == found.ranks.shape == (11, 2)
    assert found.submissions == ("adam", "sgd")


def test_scores_under_changed_rules_are_those_worked_out_by_hand(benchmark_held_out):
    found = by_name(sensitivity(TRIALS, benchmark_held_out, ruleset="external", method="exact"))
    # Of wine adam has ratio 5; of digits sgd misses the variant.
    assert found["as it is"] == [0.5, 0.5]
    assert found["without digits"] == [0.0, 1.0]
    assert found["without wine"] == [1.0, 0.0]
    assert found["without held-out variants"] == pytest.approx([0.5, (2 / 3 + 1) / 2])
    assert found["ratios up to 2"] == [0.5, 0.5]
    assert found["ratios up to 6"] == pytest.approx([(1 + 1 / 5) / 2, 0.5])
    assert found["ratios up to 8"] == pytest.approx([(1 + 3 / 7) / 2, 0.5])
    assert found["integration by grid"] == pytest.approx([0.5, 0.5])


def test_the_other_study_time_changes_whose_trial_counts(benchmark_small):
    found = by_name(sensitivity(TRIALS, benchmark_small, method="exact"))
    assert found["as it is"] == pytest.approx([0.5, (2 / 3 + 1) / 2])
    assert found["study time by fastest_trial"] == pytest.approx([0.5, 0.5])
    rules = replace(benchmark_small.scoring, study_time="fastest_trial")
    turned = sensitivity(TRIALS, replace(benchmark_small, scoring=rules), method="exact")
    other = by_name(turned)
    assert other["as it is"] == found["study time by fastest_trial"]
    assert other["study time by earliest_evaluation"] == found["as it is"]


@pytest.mark.parametrize("max_ratio", [2.0, 3.0, 4.0, 6.0, 8.0, 5.5])
def test_the_limit_in_force_is_not_tried_again(benchmark_small, max_ratio):
    rules = replace(benchmark_small.scoring, max_ratio=max_ratio)
    found = sensitivity(TRIALS, replace(benchmark_small, scoring=rules))
    tried = [s.name for s in found.scenarios if s.group == "max_ratio"]
    assert tried == [f"ratios up to {x}" for x in (2, 3, 6, 8) if x != max_ratio]


@pytest.mark.parametrize(
    ("ruleset", "seconds", "counts"),
    [
        ("external", 100.0, True),
        ("external", np.nextafter(100.0, INF), False),
        ("external", 99.0, True),
        ("self", 300.0, True),
        ("self", 300.1, False),
        ("self", INF, False),
    ],
)
def test_a_time_equal_to_the_budget_counts_and_above_it_does_not(
    benchmark_small, ruleset, seconds, counts
):
    trials = table({("adam", "digits"): [(seconds, 3)]})
    found = by_name(sensitivity(trials, benchmark_small, ruleset=ruleset))
    assert found["times above the budget missed"] == [0.5 if counts else 0.0]


def test_budgets_are_enforced_by_trial(benchmark_small):
    trials = table({("adam", "digits"): [(150.0, 1), (80.0, 2)], ("sgd", "digits"): [(40.0, 1)]})
    found = by_name(sensitivity(trials, benchmark_small, ruleset="external", method="exact"))
    assert found["as it is"] == pytest.approx([(4 - 3.75) / 6, 0.5])
    assert found["times above the budget missed"] == pytest.approx([1 / 3, 0.5])


def test_workloads_without_a_budget_are_not_limited(benchmark_small):
    trials = table({("adam", "wine"): [(1e9, 1)]})
    found = by_name(sensitivity(trials, benchmark_small, ruleset="external"))
    assert found["times above the budget missed"] == [0.5]


def groups(found):
    return {scenario.group for scenario in found.scenarios}


def test_budgets_are_left_aside_where_none_is_known(benchmark_small, definition):
    unknown = Benchmark.from_toml(definition.replace("budget_s = 100.0", ""))
    assert "budget" not in groups(sensitivity(TRIALS, benchmark_small))
    assert "budget" in groups(sensitivity(TRIALS, benchmark_small, ruleset="self"))
    assert "budget" not in groups(sensitivity(TRIALS, unknown, ruleset="external"))


def test_unknown_rulesets_are_named(benchmark_small):
    with pytest.raises(UnknownNameError, match="unknown ruleset 'externl'"):
        sensitivity(TRIALS, benchmark_small, ruleset="externl")


def test_changes_without_effect_are_not_tried(benchmark_small):
    assert "held_out" not in groups(sensitivity(TRIALS, benchmark_small))
    one = replace(benchmark_small, base=("digits",))
    assert "workload" not in groups(sensitivity(TRIALS, one))


def test_leaving_out_a_workload_leaves_out_its_variants(benchmark_held_out):
    found = by_name(sensitivity(TRIALS, benchmark_held_out))
    without = replace(benchmark_held_out, base=("wine",), held_out=())
    assert found["without digits"] == by_name(sensitivity(TRIALS, without))["as it is"]


def test_equal_scores_share_the_better_rank(benchmark_held_out):
    found = sensitivity(TRIALS, benchmark_held_out, method="exact")
    ranks = by_name(found, found.ranks)
    assert ranks["as it is"] == [1, 1]
    assert ranks["without digits"] == [2, 1]
    assert ranks["without wine"] == [1, 2]


@pytest.mark.parametrize(
    ("cells", "names", "scores"),
    [
        ({}, ["adam", "sgd"], [0.0, 0.0]),
        ({("adam", "digits"): [(INF, -1)], ("sgd", "wine"): [(INF, -1)]}, [], [0.0, 0.0]),
        ({("adam", "digits"): [(0.0, 0)], ("sgd", "digits"): [(0.0, 0)]}, [], [0.5, 0.5]),
        ({("adam", "digits"): [(7.0, 0)]}, [], [0.5]),
        ({}, [], []),
    ],
    ids=["all absent", "nobody reaches anything", "zero times", "one trial", "nobody"],
)
def test_extreme_inputs_have_scores(benchmark_small, cells, names, scores):
    found = sensitivity(table(cells, names), benchmark_small, ruleset="external")
    assert found.scores[0].tolist() == scores
    assert np.isfinite(found.scores).all()
    assert set(found.ranks.ravel().tolist()) <= {1, 2}


def test_the_dictionary_is_plain_data(benchmark_held_out):
    found = sensitivity(TRIALS, benchmark_held_out, method="exact")
    data = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert data["scenarios"][1] == {
        "name": "without digits",
        "group": "workload",
        "scores": {"adam": 0.0, "sgd": 1.0},
        "ranks": {"adam": 2, "sgd": 1},
    }
    assert len(data["scenarios"]) == len(found.scenarios)


def test_the_data_frame_has_a_row_per_scenario(benchmark_small):
    pytest.importorskip("pandas")
    found = sensitivity(TRIALS, benchmark_small)
    frame = found.to_pandas()
    assert list(frame.index) == [scenario.name for scenario in found.scenarios]
    assert frame.loc["as it is"].tolist() == found.scores[0].tolist()


def test_published_scores_change_with_the_rules_as_is_known(published_logs):
    benchmark = load_benchmark(V05)
    logs = read_logs(published_logs(V05), benchmark, ruleset="external")
    trials = read_trial_times(logs, benchmark)
    found = sensitivity(trials, benchmark, ruleset="external")
    rows = {name: np.array(scores) for name, scores in by_name(found).items()}
    as_it_is = rows["as it is"]
    times = times_to_target(trials, "earliest_evaluation")
    counted = counted_times(times.seconds, times.workloads, benchmark)
    assert (as_it_is == benchmark_score(counted, method="grid")).all()

    def changed(name):
        moved = np.abs(rows[name] - as_it_is) > 5e-5
        return [found.submissions[row] for row in np.flatnonzero(moved)]

    assert changed("study time by fastest_trial") == ["lawa_ema"]
    assert rows["study time by fastest_trial"][found.submissions.index("lawa_ema")] == (
        pytest.approx(0.3434, abs=5e-5)
    )
    assert changed("times above the budget missed") == []
    assert len(changed("without held-out variants")) == 7
    assert len(changed("integration by exact")) == 9
    assert sum(scenario.group == "workload" for scenario in found.scenarios) == 8
