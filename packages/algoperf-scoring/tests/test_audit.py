"""What is irregular in results is said, and why a time does not count."""

import json
from dataclasses import replace

import pytest

from algoperf_scoring import TrialTime, TrialTimes, read_logs, score_logs
from algoperf_scoring.audit import log_findings, metadata_findings, rule_findings

HIT, MISS = 0.95, 0.1
NAN = float("nan")


def found(findings) -> list[tuple[str, str, str]]:
    return [(finding.kind, finding.place, finding.detail) for finding in findings]


@pytest.fixture
def in_logs(tree, benchmark_small):
    def in_logs(rows, workload: str = "digits") -> list[tuple[str, str]]:
        tree.trial(f"sub/study_0/{workload}_jax/trial_1", rows)
        logs = read_logs(tree.root, benchmark_small)
        rules = benchmark_small.ruleset("external")
        place = f"sub/study_0/{workload}_jax/trial_1"
        findings = found(log_findings(logs, benchmark_small, rules))
        assert {where for _, where, _ in findings} <= {place}
        return [(kind, detail) for kind, _, detail in findings]

    return in_logs


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([(1.0, MISS), (2.0, HIT)], []),
        ([], [("no_rows", "")]),
        ([(1.0, MISS)], [("one_row", "")]),
        ([(1.0, MISS), (2.0, NAN), (3.0, NAN)], [("missing_values", "2 of 3 evaluations")]),
        ([(2.0, MISS), (1.0, MISS)], [("time_order", "")]),
        ([(1.0, MISS), (100.0, MISS)], []),
        ([(1.0, HIT), (100.4, MISS)], [("over_budget", "last evaluation at 100 s of 100 s")]),
    ],
)
def test_what_is_irregular_in_a_trial_is_found(in_logs, rows, expected):
    assert in_logs(rows) == expected


def test_a_trial_may_be_irregular_in_several_ways(in_logs):
    kinds = [kind for kind, _ in in_logs([(200.0, NAN)])]
    assert kinds == ["one_row", "missing_values", "over_budget"]


def test_a_workload_without_budget_has_none_to_exceed(in_logs):
    assert in_logs([(1.0, 9.0), (1e9, 9.0)], workload="wine") == []


def trials(*rows: tuple[str, str, str, int, float]) -> TrialTimes:
    return TrialTimes.from_rows((TrialTime(*row) for row in rows), workloads=["digits", "wine"])


def against_rules(benchmark, *rows, studies: int = 1, n_trials: int = 1) -> list[str]:
    rules = replace(benchmark.ruleset("external"), studies=studies, trials=n_trials)
    return [finding.message for finding in rule_findings(trials(*rows), benchmark, rules)]


def test_results_that_keep_the_rules_have_no_findings(benchmark_small):
    rows = [("sub", name, "study_0", 1, 100.0) for name in ("digits", "wine")]
    assert against_rules(benchmark_small, *rows) == []


def test_wrong_numbers_of_studies_and_trials_are_violations(benchmark_small):
    rows = [("sub", "digits", "study_0", trial, 9.0) for trial in (1, 2)]
    rows += [("sub", "digits", "study_1", 1, 9.0)]
    assert against_rules(benchmark_small, *rows) == [
        "unexpected number of studies: sub/digits (2, the ruleset 'external' has 1)",
        "unexpected number of trials in a study: sub/study_0/digits (2, the ruleset 'external' "
        "has 1)",
        "scored workload without measurements: sub/wine",
    ]


def test_a_target_met_after_the_budget_is_a_violation(benchmark_small):
    rows = [("sub", "digits", "study_0", 1, 100.5), ("sub", "wine", "study_0", 1, 1e6)]
    assert against_rules(benchmark_small, *rows) == [
        "trial that met the target after its budget was used up: sub/study_0/digits/trial_1 "
        "(at 100 s of 100 s)"
    ]


def test_the_budget_has_the_factor_of_the_ruleset(benchmark_small):
    rows = trials(("sub", "digits", "s", 1, 250.0), ("sub", "wine", "s", 1, 1.0))
    assert list(rule_findings(rows, benchmark_small, benchmark_small.ruleset("self"))) == []


@pytest.fixture
def with_metadata(tree, benchmark_small):
    def with_metadata(text: str) -> list[tuple[str, str]]:
        path = tree.trial("sub/study_0/digits_jax/trial_1", [(1.0, MISS), (2.0, HIT)])
        path.with_name("meta_data_0.json").write_text(text)
        logs = read_logs(tree.root, benchmark_small)
        rules = benchmark_small.ruleset("external")
        findings = found(metadata_findings(logs, benchmark_small, rules))
        return [(kind, detail) for kind, _, detail in findings]

    return with_metadata


LOGGED = {
    "workload.validation_target_value": 0.9,
    "workload.max_allowed_runtime_sec": 100,
    "workload.eval_period_time_sec": 10,
    "workload.train_mean": [1, 2],
}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"workload.validation_target_value": 0.9000000000000001}, []),
        (
            {"workload.validation_target_value": 0.8},
            [("other_target", "0.8, the benchmark has 0.9")],
        ),
        (
            {"workload.max_allowed_runtime_sec": 300},
            [("other_budget", "300, the benchmark has 100")],
        ),
        ({"workload.eval_period_time_sec": 1}, [("other_eval_period", "1, the benchmark has 10")]),
        (
            {"workload.validation_target_value": "0.9"},
            [("other_target", "'0.9', the benchmark has 0.9")],
        ),
        (
            {"workload.max_allowed_runtime_sec": True},
            [("other_budget", "True, the benchmark has 100")],
        ),
        ({"workload.eval_period_time_sec": None}, []),
    ],
)
def test_what_trials_were_run_with_is_compared_with_the_benchmark(with_metadata, changes, expected):
    assert with_metadata(json.dumps({**LOGGED, **changes})) == expected


@pytest.mark.parametrize("text", ["", "[1]", "{", '{"a": ' + "[" * 100_000, "\x00"])
def test_metadata_that_cannot_be_read_is_a_finding(with_metadata, text):
    ((kind, detail),) = with_metadata(text)
    assert kind == "unreadable_metadata"
    assert "meta_data_0.json" in detail


def test_a_trial_without_metadata_says_nothing(tree, benchmark_small):
    tree.trial("sub/study_0/digits_jax/trial_1", [(1.0, HIT)])
    logs = read_logs(tree.root, benchmark_small)
    rules = benchmark_small.ruleset("external")
    assert list(metadata_findings(logs, benchmark_small, rules)) == []


def test_the_audit_has_a_row_for_every_submission_and_scored_workload(tree, benchmark_held_out):
    for name, seconds in (("fast", 10.0), ("slow", 50.0)):
        tree.trial(f"{name}/study_0/digits_jax/trial_1", [(1.0, MISS), (10.0, HIT)])
        tree.trial(f"{name}/study_0/digits_noisy_jax/trial_1", [(1.0, MISS), (seconds, HIT)])
        tree.trial(f"{name}/study_0/wine_jax/trial_1", [(1.0, 0.9)])
    tree.folder("slow/study_0/wine_jax/trial_2")
    rows = score_logs(tree.root, benchmark_held_out).audit
    assert [(row.submission, row.workload, row.verdict) for row in rows] == [
        ("fast", "digits", "counts"),
        ("fast", "wine", "target missed"),
        ("fast", "digits_noisy", ""),
        ("slow", "digits", "5.00 times the fastest on digits_noisy, more than 4"),
        ("slow", "wine", "target missed"),
        ("slow", "digits_noisy", ""),
    ]
    last = rows[4]
    assert (last.studies, last.studies_expected) == (1, 1)
    assert (last.trials, last.trials_expected, last.trials_reached) == (1, 1, 0)
    assert dict(last.findings) == {"no_measurements_file": 1, "one_row": 1}
    assert json.loads(json.dumps(last.to_dict()))["verdict"] == "target missed"
