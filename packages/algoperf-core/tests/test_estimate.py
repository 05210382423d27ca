"""From measured steps to hours, disk and memory: upper bounds that a budget sets."""

import doctest
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from algoperf_core import estimate, memory
from algoperf_core.estimate import (
    KEPT_CHECKPOINTS,
    Scale,
    estimate_campaign,
    estimate_trial,
    readable_time,
)
from algoperf_core.planning_tables import estimate_json, estimate_notes, memory_json, troubles
from algoperf_core.probe import Measurement
from algoperf_core.probing import Probed, remedy
from algoperf_scoring import load_benchmark

MIB = 2**20


def measured(**changes):
    found = Measurement(
        status="measured",
        phase="step",
        batch_size=128,
        eval_batch_size=700,
        device="cpu",
        device_count=1,
        set_up_s=2.0,
        compilation_s=3.0,
        step_s=0.5,
        steps=20,
        first_evaluation_s=4.0,
        evaluation_s=1.0,
        evaluation_compiled=True,
        host_peak_bytes={"set_up": 100 * MIB, "step": 300 * MIB, "evaluation": 200 * MIB},
        parameter_bytes=10 * MIB,
        optimizer_bytes=20 * MIB,
    )
    return replace(found, **changes)


def probed(name="digits", submission="adamw", **changes):
    return Probed(
        submission=submission, workload=name, framework="jax", measurement=measured(**changes)
    )


def trial(**options):
    return estimate_trial(probed(), **({"budget_s": 103.0, "eval_period_s": 10.0} | options))


def test_trial_uses_its_budget_and_evaluates_beside_it():
    found = trial(step_hint=400)
    assert found.submission_s == 103.0
    assert found.budget_steps == 200
    assert found.horizon == 0.5
    # After the first step, and then every ten of the hundred seconds.
    assert found.evaluations == 11
    assert found.evaluation_s == 4.0 + 10 * 1.0
    assert found.total_s == 2.0 + 103.0 + 14.0


def test_step_limit_shortens_the_trial_and_never_lengthens_it():
    assert trial(max_global_steps=10).submission_s == 3.0 + 10 * 0.5
    assert trial(max_global_steps=10**6).submission_s == 103.0


def test_evaluations_come_at_the_end_of_steps():
    # Periods of 0.7 s end at the second step of half a second each.
    assert trial(eval_period_s=0.7).evaluations == 1 + 100
    assert trial(eval_period_s=0.1).evaluations == 1 + 200
    assert trial(eval_period_s=math.inf).evaluations == 1


def test_disk_holds_checkpoints_of_parameters_and_optimizer_state_and_the_logs():
    state = KEPT_CHECKPOINTS * 30 * MIB
    assert state <= trial().disk_bytes < state + MIB
    logging = estimate_trial(
        probed(row_bytes=200, scalar_bytes=2400, scalar_steps=20),
        budget_s=103.0,
        eval_period_s=10.0,
    )
    assert logging.disk_bytes - trial().disk_bytes == 2 * 11 * 200 + 2400 * 206 // 20


@given(
    step_s=st.floats(1e-4, 1e3),
    budget_s=st.floats(1.0, 1e5),
    period_s=st.floats(0.1, 1e5),
    compilation_s=st.floats(0.0, 1e3),
)
def test_trial_never_trains_longer_than_its_budget(step_s, budget_s, period_s, compilation_s):
    found = estimate_trial(
        probed(step_s=step_s, compilation_s=compilation_s),
        budget_s=budget_s,
        eval_period_s=period_s,
        max_global_steps=1000,
    )
    assert 0.0 < found.submission_s <= budget_s
    assert found.evaluations >= 1
    assert found.evaluations <= 1 + budget_s / step_s
    assert found.total_s >= found.submission_s


@pytest.fixture
def two_workloads():
    benchmark = load_benchmark("algoperf-v0.5")
    base = benchmark.workloads["fastmri"]
    goal = replace(base, budget_s=100.0, eval_period_s=50.0, step_hint=100)
    workloads = {"fastmri": goal, "wmt": replace(goal, name="wmt", budget_s=300.0)}
    return replace(benchmark, workloads=workloads, base=("fastmri", "wmt"), held_out=())


def campaign(benchmark, jobs=1, studies=3, trials=5, **changes):
    probes = [probed("fastmri", **changes), probed("wmt", **changes)]
    scale = Scale(studies=studies, trials=trials, jobs=jobs)
    return estimate_campaign(probes, benchmark, "external", scale)


def test_campaign_is_studies_times_trials_times_workloads(two_workloads):
    found = campaign(two_workloads)
    each = sum(trial.total_s for trial in found.trials)
    assert found.trial_count == 30
    assert found.study_s == 5 * each
    assert found.total_s == found.machine_s == 15 * each
    assert found.disk_bytes == 15 * sum(trial.disk_bytes for trial in found.trials)
    assert found.host_peak_bytes == 300 * MIB


def test_jobs_divide_the_time_and_multiply_the_memory(two_workloads):
    one, four = campaign(two_workloads), campaign(two_workloads, jobs=4)
    assert four.total_s == one.total_s / 4
    assert four.host_peak_bytes == 4 * one.host_peak_bytes


def test_more_jobs_than_trials_take_as_long_as_the_longest(two_workloads):
    found = campaign(two_workloads, jobs=100, studies=1, trials=1)
    assert found.total_s == max(trial.total_s for trial in found.trials)
    assert found.host_peak_bytes == 2 * 300 * MIB


def test_variants_are_part_of_the_campaign():
    benchmark = load_benchmark("algoperf-v0.5")
    probes = [probed(name) for name in benchmark.scored]
    found = estimate_campaign(probes, benchmark, "external", Scale(studies=5, trials=5))
    assert found.trial_count == 25 * 14
    assert {trial.workload for trial in found.trials} >= {"criteo1tb_embed_init", "ogbg_model_size"}


def test_ruleset_multiplies_the_budget():
    benchmark = load_benchmark("algoperf-v0.6")
    budgets = [
        estimate_campaign([probed("ogbg")], benchmark, ruleset, Scale(studies=1, trials=1))
        .trials[0]
        .budget_s
        for ruleset in ("external", "self")
    ]
    assert budgets[1] == 1.5 * budgets[0]


def test_what_could_not_be_measured_is_listed_and_in_no_sum(two_workloads):
    missing = Probed(
        submission="adamw",
        workload="wmt",
        framework=None,
        measurement=Measurement(status="unavailable", message="no data here"),
    )
    scale = Scale(studies=1, trials=1)
    found = estimate_campaign([probed("fastmri"), missing], two_workloads, "external", scale)
    assert [trial.workload for trial in found.trials] == ["fastmri"]
    assert list(troubles(found.unmeasured)) == ["wmt (adamw): unavailable: no data here"]
    notes = "\n".join(estimate_notes(found))
    assert "1 workloads were not measured and are in no sum" in notes
    assert estimate_json(found, "b")["unmeasured"][0]["message"] == "no data here"


def test_nothing_measured_gives_no_totals(two_workloads):
    found = estimate_campaign([], two_workloads, "external", Scale(studies=3, trials=5))
    assert found.total_s == 0.0
    assert list(estimate_notes(found)) == ["", "nothing could be measured, so nothing is estimated"]


def test_notes_say_what_was_measured_and_what_assumed_and_warn(two_workloads):
    found = campaign(
        two_workloads,
        step_s=10.0,
        evaluation_compiled=False,
        host_peak_bytes={"step": 2**60},
        device_peak_bytes={"step": 60 * 2**30},
        device_bytes=40 * 2**30,
    )
    notes = "\n".join(estimate_notes(found))
    for said in (
        "campaign, 3 studies, 30 trials, one at a time: at most",
        "of host memory are free now; run fewer trials",
        "a device has 40.0 GiB; run fewer trials",
        "only 9% of the 100 steps that the benchmark plans for fit into the budget",
        "measured: seconds per step over 20 steps after compilation",
        "assumed: every trial uses its whole budget",
        "* compilation included",
    ):
        assert said in notes


def test_json_has_the_totals_in_hours_and_bytes(two_workloads):
    found = campaign(two_workloads, jobs=2)
    data = estimate_json(found, "mine")
    assert data["benchmark"] == "mine"
    assert data["campaign"]["total_hours"] == found.total_s / 3600
    assert data["campaign"]["jobs"] == 2
    assert data["trials"][0]["measurement"]["step_s"] == 0.5
    assert data["trials"][0]["hours"] == found.trials[0].total_s / 3600


@pytest.mark.parametrize(
    ("phase", "said"),
    [
        ("step", "The batch size is 128 on 1 devices: return a smaller one from get_batch_size"),
        ("step", "micro-batches"),
        ("evaluation", "The evaluation batch size is 700: define get_eval_batch_size"),
        ("set_up", "Model and optimizer state alone are too large"),
    ],
)
def test_lack_of_memory_comes_with_its_remedy(phase, said):
    found = measured(status="out_of_memory", phase=phase, device_peak_bytes={"step": 3 * 2**30})
    assert said in remedy(found)
    assert "at most 3.0 GiB were in use before" in remedy(found)


def test_remedy_is_given_for_a_lack_of_memory_alone():
    assert probed().remedy is None
    lacking = probed(status="out_of_memory", message="RESOURCE_EXHAUSTED")
    assert "out of memory" in lacking.remedy
    (line,) = troubles([lacking])
    assert line.startswith(
        "digits (adamw): out of memory: ran out of memory during a training step"
    )
    assert line.endswith("RESOURCE_EXHAUSTED")
    assert memory_json([lacking])["workloads"][0]["remedy"] == lacking.remedy


def test_documented_examples_are_true():
    assert doctest.testmod(estimate).failed == 0
    assert doctest.testmod(memory).failed == 0


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0, "0 ms"), (59.96, "60 s"), (3599.0, "60 min"), (3.6e6, "1,000.0 h")]
)
def test_times_are_readable(seconds, text):
    assert readable_time(seconds) == text
