"""Budgets of a machine: what a reference algorithm needs there for the step hint."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from algoperf_core.calibration import (
    CalibratedWorkload,
    calibrated_benchmark,
    calibrated_document,
    calibrated_workloads,
)
from algoperf_core.cli import main
from algoperf_core.errors import CampaignError
from algoperf_core.probe import Measurement
from algoperf_core.probing import Probed
from algoperf_scoring import Benchmark, load_benchmark

V06 = load_benchmark("algoperf-v0.6")
OGBG = V06.workload("ogbg")


def probed(workload="ogbg", **changes):
    found = Measurement(status="measured", compilation_s=4.0, step_s=0.25, steps=50)
    return Probed(
        submission="reference",
        workload=workload,
        framework="jax",
        measurement=replace(found, **changes),
    )


def calibrated(**changes):
    facts = {
        "name": "w",
        "compilation_s": 4.0,
        "step_s": 0.25,
        "step_hint": 400,
        "old_budget_s": 52.0,
        "old_eval_period_s": 5.0,
    }
    return CalibratedWorkload(**(facts | changes))


def test_budget_holds_compilation_and_the_step_hint():
    assert calibrated().budget_s == 104.0


def test_as_many_evaluations_fit_into_the_budget_as_before():
    found = calibrated()
    assert found.factor == 2.0
    assert found.eval_period_s == 10.0
    assert calibrated(old_eval_period_s=None).eval_period_s is None


@pytest.mark.parametrize(
    ("seconds", "budget_s"),
    [(104.2, 105.0), (0.01231, 0.0124), (3.0, 3.0), (99951.0, 100000.0), (0.3, 0.3)],
)
def test_budgets_are_rounded_up_to_three_digits(seconds, budget_s):
    assert calibrated(compilation_s=0.0, step_s=seconds, step_hint=1).budget_s == budget_s


@given(
    compilation_s=st.floats(0.0, 1e4), step_s=st.floats(1e-5, 1e3), step_hint=st.integers(1, 10**6)
)
def test_a_budget_is_never_short_and_hardly_generous(compilation_s, step_s, step_hint):
    found = calibrated(compilation_s=compilation_s, step_s=step_s, step_hint=step_hint)
    needed_s = compilation_s + step_hint * step_s
    assert needed_s * (1 - 1e-7) <= found.budget_s <= needed_s * 1.0101


def test_only_time_changes_and_only_of_what_was_measured():
    found = calibrated_workloads([probed()], V06)
    changed = calibrated_benchmark(V06, found)
    workload = changed.workload("ogbg")
    expected_s = 4.0 + OGBG.step_hint * 0.25
    assert expected_s <= workload.budget_s < 1.01 * expected_s
    assert workload.eval_period_s > OGBG.eval_period_s * expected_s / OGBG.budget_s * 0.99
    same = replace(workload, budget_s=OGBG.budget_s, eval_period_s=OGBG.eval_period_s)
    assert same == OGBG
    others = {name: each for name, each in changed.workloads.items() if name != "ogbg"}
    assert others == {name: each for name, each in V06.workloads.items() if name != "ogbg"}
    assert (changed.name, changed.scoring, changed.rulesets) == (
        V06.name,
        V06.scoring,
        V06.rulesets,
    )


def test_document_is_the_calibrated_benchmark_and_says_what_it_rests_on():
    found = calibrated_workloads([probed()], V06)
    text = calibrated_document(V06, found, {"machine": "a laptop\nof two lines"})
    assert Benchmark.from_toml(text) == calibrated_benchmark(V06, found)
    comments = [line for line in text.splitlines() if line.startswith("#")]
    assert "# machine: a laptop of two lines" in comments
    assert any("0.25 s" in line and f"{OGBG.step_hint} steps" in line for line in comments)


@pytest.mark.parametrize(
    "changes", [{"status": "failed", "message": "no data", "step_s": None}, {"step_s": None}]
)
def test_a_workload_that_was_not_measured_keeps_its_budget_from_nobody(changes):
    with pytest.raises(CampaignError, match="ogbg could not be measured with reference"):
        calibrated_workloads([probed(**changes)], V06)


@pytest.mark.parametrize("field", ["budget_s", "step_hint"])
def test_what_calibration_starts_from_must_be_defined(field):
    workloads = {**V06.workloads, "ogbg": replace(OGBG, **{field: None})}
    with pytest.raises(CampaignError, match=f"sets no {field}"):
        calibrated_workloads([probed()], replace(V06, workloads=workloads))


def test_command_writes_a_benchmark_that_can_be_run(plugin, tmp_path, capsys):
    output = tmp_path / "mine.toml"
    command = ["calibrate", "toy-benchmark", "toy_optimizer", "--framework", "jax", "--steps", "3"]
    assert main([*command, "--output", str(output), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    written = load_benchmark(output)
    assert {found["name"] for found in report["workloads"]} == set(written.scored)
    for found in report["workloads"]:
        assert written.workload(found["name"]).budget_s == found["budget_s"]
        assert found["budget_s"] >= found["step_hint"] * found["step_s"] * 0.999
    assert main([*command, "--output", str(output)]) == 0
    assert f"--benchmark {output}" in capsys.readouterr().out


def test_command_takes_one_reference_algorithm(plugin, capsys):
    assert main(["calibrate", "toy-benchmark", "toy_optimizer", "toy_full"]) == 2
    assert "name one" in capsys.readouterr().err
