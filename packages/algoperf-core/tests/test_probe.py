"""Measurements of real trials in processes of their own, and what they say when something is wrong."""

import json
import math
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from algoperf_core.campaign import Campaign
from algoperf_core.cli import main
from algoperf_core.errors import CampaignError
from algoperf_core.memory import (
    available_host_bytes,
    host_bytes,
    peak_host_bytes,
    readable,
    tree_bytes,
)
from algoperf_core.probe import Ending, EnoughMeasuredError, Probe
from algoperf_core.probing import (
    TWO_STEPS,
    Effort,
    covering_campaigns,
    probe_campaign,
    probe_trial,
)
from algoperf_core.spec import TrainingCompleteError
from algoperf_core.submission import Submission
from algoperf_core.testing import FakeBackend, ScriptedWorkload
from algoperf_core.training import TrainingRun, TrialPlan
from algoperf_scoring import load_benchmark

pytest.importorskip("jax")

QUICK = Effort(warm_up=2, steps=3, repeat=True)


@pytest.fixture
def campaign(plugin, tmp_path):
    return Campaign(
        benchmark=load_benchmark("toy-benchmark"),
        ruleset="external",
        submissions=("toy_optimizer",),
        runs=tmp_path / "runs",
        data_dir=tmp_path / "data",
    )


@pytest.mark.parametrize("framework", ["jax", "pytorch"])
def test_two_steps_and_an_evaluation_tell_memory_and_sizes(campaign, framework):
    (probed,) = probe_campaign(replace(campaign, framework=framework), TWO_STEPS)
    found = probed.measurement
    assert found.status == "measured", found.message
    assert (probed.submission, probed.workload, probed.framework) == (
        "toy_optimizer",
        "toy",
        framework,
    )
    assert found.batch_size == 64
    assert found.eval_batch_size == 256
    assert found.parameter_bytes == 16 * 4
    assert found.steps == 1
    assert found.device == "cpu"
    assert found.host_peak_bytes.keys() == {"set_up", "step", "evaluation"}
    assert 50 * 2**20 < found.host_peak < 20 * 2**30
    assert found.device_peak is None
    assert not found.evaluation_compiled


def test_quick_evaluation_is_repeated_without_its_compilation(campaign):
    (probed,) = probe_campaign(campaign, QUICK)
    found = probed.measurement
    assert found.status == "measured", found.message
    assert found.steps == 3
    assert 0.0 < found.step_s < found.compilation_s
    assert found.evaluation_compiled
    assert 0.0 < found.evaluation_s < found.first_evaluation_s
    assert found.row_bytes > 20
    assert not campaign.runs.exists()


FAULTY = """
import jax
from toy_plugin.toy_optimizer import submission_jax

functions = submission_jax.submission
get_batch_size = functions.get_batch_size
data_selection = functions.data_selection

def init_optimizer_state(*arguments):
    {set_up}
    return functions.init_optimizer_state(*arguments)

def update_params(**arguments):
    if arguments["global_step"] == 1:
        {step}
    return functions.update_params(**arguments)
"""
SPACE = '{"learning_rate": {"min": 0.1, "max": 0.2}}'


def faulty(campaign, folder, set_up="pass", step="pass"):
    folder.mkdir()
    (folder / "submission.py").write_text(FAULTY.format(set_up=set_up, step=step))
    (folder / "tuning_search_space.json").write_text(SPACE)
    (probed,) = probe_campaign(replace(campaign, submissions=(str(folder),)), TWO_STEPS)
    return probed


@pytest.mark.parametrize(
    ("where", "what", "phase", "said"),
    [
        ("step", "raise MemoryError", "step", "The batch size is 64"),
        (
            "step",
            "raise jax.errors.JaxRuntimeError('RESOURCE_EXHAUSTED: 9 GB')",
            "step",
            "micro-batches",
        ),
        ("set_up", "raise MemoryError", "set_up", "Model and optimizer state alone"),
        ("step", "import os; os.kill(os.getpid(), 9)", "step", "The batch size is 64"),
    ],
)
def test_trial_that_lacks_memory_says_so_with_the_remedy(
    campaign, tmp_path, where, what, phase, said
):
    probed = faulty(campaign, tmp_path / "greedy", **{where: what})
    assert probed.measurement.status == "out_of_memory"
    assert probed.measurement.phase == phase
    assert said in probed.remedy
    assert probed.measurement.batch_size == 64


def test_faulty_submission_is_told_from_a_lack_of_memory(campaign, tmp_path):
    probed = faulty(campaign, tmp_path / "faulty", step="raise ZeroDivisionError('oops')")
    assert probed.measurement.status == "failed"
    assert probed.measurement.message == "ZeroDivisionError: oops"
    assert probed.remedy is None


def test_process_that_vanishes_says_its_last_words(campaign, tmp_path):
    probed = faulty(
        campaign, tmp_path / "gone", step="print('adieu', flush=True); import os; os._exit(3)"
    )
    assert probed.measurement.status == "failed"
    assert "status 3" in probed.measurement.message
    assert "adieu" in probed.measurement.message


def test_probe_that_takes_too_long_is_ended(campaign, tmp_path):
    folder = tmp_path / "slow"
    folder.mkdir()
    (folder / "submission.py").write_text(
        FAULTY.format(set_up="import time; time.sleep(600)", step="pass")
    )
    (folder / "tuning_search_space.json").write_text(SPACE)
    (spec,) = replace(campaign, submissions=(str(folder),), studies=1, trials=1).expand()
    effort = replace(TWO_STEPS, timeout_s=3.0)
    found = probe_trial(spec, campaign.benchmark.to_toml(), effort)
    assert found.status == "failed"
    assert "took too long, during: set-up" in found.message


def test_workload_that_is_not_installed_does_not_stop_the_others(campaign):
    goal = campaign.benchmark.workloads["toy"]
    workloads = {"missing": replace(goal, name="missing"), "toy": goal}
    both = replace(campaign.benchmark, workloads=workloads, base=("missing", "toy"))
    missing, toy = probe_campaign(replace(campaign, benchmark=both), TWO_STEPS)
    assert missing.measurement.status == "unavailable"
    assert "unknown workload 'missing'" in missing.measurement.message
    assert toy.measurement.status == "measured"


def test_missing_data_are_no_fault_of_the_submission(campaign, tmp_path, monkeypatch):
    package = tmp_path / "site" / "no_data"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(
        "from toy_plugin.workload import Toy, JaxToy\n"
        "class NoData(JaxToy):\n"
        "    def _build_input_queue(self, *rest, **options):\n"
        "        raise FileNotFoundError('download it first')\n"
        "class Provider(Toy):\n"
        "    name = 'no_data'\n"
        "    def create(self, framework, goal):\n"
        "        return NoData(goal)\n"
        "PROVIDER = Provider()\n"
    )
    information = tmp_path / "site" / "no_data-1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: no-data\nVersion: 1\n")
    (information / "entry_points.txt").write_text(
        "[algoperf.workloads]\nno_data = no_data:PROVIDER\n"
    )
    monkeypatch.syspath_prepend(package.parent)
    monkeypatch.setenv("PYTHONPATH", f"{package.parent}:{os.environ['PYTHONPATH']}")
    goal = replace(campaign.benchmark.workloads["toy"], name="no_data")
    benchmark = replace(campaign.benchmark, workloads={"no_data": goal}, base=("no_data",))
    (probed,) = probe_campaign(replace(campaign, benchmark=benchmark), TWO_STEPS)
    assert probed.measurement.status == "unavailable"
    assert "download it first" in probed.measurement.message


def test_without_a_benchmark_every_installed_workload_is_covered(campaign):
    campaigns = covering_campaigns(campaign, None)
    covered = [name for found in campaigns for name in found.workload_names()]
    assert covered.count("toy") == 1
    (only,) = covering_campaigns(replace(campaign, workloads=("toy",)), None)
    assert only.benchmark.name == "toy-benchmark"
    with pytest.raises(CampaignError, match="no installed benchmark scores nonsense"):
        covering_campaigns(replace(campaign, workloads=("nonsense",)), None)


# With scripted time.


def scripted(clock, goal, step_s, steps=4, warm_up=2, repeat=True, eval_s=5.0):
    """A probe of a submission whose first step takes a hundred seconds longer."""

    def update_params(*, workload, optimizer_state, current_param_container, global_step, **rest):
        clock.advance(step_s + (100.0 if global_step == 0 else 0.0))
        return optimizer_state, current_param_container, None

    backend = FakeBackend(clock)
    saved = []
    probe = Probe(warm_up, steps, repeat, backend, lambda found: saved.append(found.phase))
    workload = ScriptedWorkload(
        goal, clock, [{"validation/accuracy": 1.0, "test/accuracy": 1.0}], eval_s=eval_s
    )
    probe.listen_to_evaluations(workload)
    submission = Submission(
        get_batch_size=lambda name: 8,
        init_optimizer_state=lambda *arguments: ({}, None),
        update_params=update_params,
    )
    plan = TrialPlan(
        workload=workload,
        submission=probe.listen(submission),
        hyperparameters=None,
        seed=0,
        budget_s=math.inf,
        data_dir="",
        max_global_steps=probe.last_step,
    )
    probe.run = TrainingRun(plan, backend, probe, probe, now=clock)
    return probe, workload, saved


def test_step_time_leaves_out_compilation_and_evaluations(clock, goal):
    # An evaluation falls due after every other step of six seconds; only the first and last are done.
    probe, workload, _ = scripted(clock, goal, step_s=6.0)
    probe.run.run()
    assert probe.found.step_s == 6.0
    assert probe.found.compilation_s == 100.0
    assert [step for step, _ in workload.evaluated] == [1, 7]


def test_targets_that_are_met_at_once_do_not_end_the_measurement(clock, goal):
    probe, _, _ = scripted(clock, goal, step_s=1.0, repeat=False)
    with pytest.raises(EnoughMeasuredError):
        probe.run.run()
    assert probe.found.steps == 4
    assert probe.found.step_s == 1.0


def test_slow_evaluation_is_not_repeated(clock, goal, monkeypatch):
    monkeypatch.setattr("algoperf_core.probe.time.perf_counter", clock)
    probe, workload, _ = scripted(clock, goal, step_s=1.0, eval_s=31.0)
    with pytest.raises(EnoughMeasuredError):
        probe.run.run()
    assert [step for step, _ in workload.evaluated] == [1]
    assert probe.found.evaluation_s == 31.0
    assert not probe.found.evaluation_compiled


@pytest.mark.parametrize(
    ("error", "status"),
    [("the device is out of memory", "out_of_memory"), ("the link is lost", "failed")],
)
def test_failed_evaluation_is_not_forgiven(clock, goal, error, status, capsys):
    probe, workload, _ = scripted(clock, goal, step_s=1.0)
    workload._script = [RuntimeError(error)]
    with Ending(probe.run, probe, probe._backend):
        probe.run.run()
    assert probe.found.status == status
    assert probe.found.phase == "evaluation"
    assert probe.found.message == f"RuntimeError: {error}"
    assert len(workload.evaluated) == 1


def test_submission_that_ends_training_by_itself_is_measured_up_to_there(clock, goal):
    probe, _, _ = scripted(clock, goal, step_s=2.0, steps=50)
    update = probe.run._submission.update_params

    def update_params(**arguments):
        if arguments["global_step"] == 4:
            raise TrainingCompleteError
        return update(**arguments)

    probe.run._submission = replace(probe.run._submission, update_params=update_params)
    probe.run.run()
    probe.conclude()
    # Steps 3 and 4, and the empty one in which it said so.
    assert probe.found.steps == 3
    assert probe.found.step_s == pytest.approx(4.0 / 3.0)


def test_phases_are_saved_as_they_begin(clock, goal):
    probe, _, saved = scripted(clock, goal, step_s=1.0)
    probe.run.run()
    phases = [phase for n, phase in enumerate(saved) if n == 0 or saved[n - 1] != phase]
    assert phases == ["set_up", "step", "evaluation", "step", "evaluation", "step"]


# Sizes.


def test_state_is_counted_once_in_both_frameworks():
    import jax.numpy as jnp
    import torch

    array = jnp.zeros((10, 10))
    assert tree_bytes({"a": array, "b": (array, [jnp.zeros(3)]), "c": None}, "jax") == 412
    module = torch.nn.Linear(4, 2)
    optimizer = torch.optim.Adam(module.parameters())
    module(torch.ones(1, 4)).sum().backward()
    optimizer.step()
    parameters = 4 * (4 * 2 + 2)
    assert tree_bytes(module, "pytorch") == parameters
    steps = 2 * 4
    assert tree_bytes({"optimizer": optimizer, "lr": 0.1}, "pytorch") == 2 * parameters + steps
    assert tree_bytes((module, {"again": module}), "pytorch") == parameters


def test_memory_of_process_and_machine_is_plausible():
    assert 2**20 < peak_host_bytes() < host_bytes()
    assert 0 < available_host_bytes() <= host_bytes()
    held = bytearray(64 * 2**20)
    assert peak_host_bytes() > len(held)


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (5 * 2**40, "5.0 TiB")]
)
def test_sizes_are_readable(size, text):
    assert readable(size) == text


# Commands.


def test_memory_command_prints_a_table_or_json(campaign, capsys):
    command = ["memory", "toy_optimizer", "--benchmark", "toy-benchmark", "--framework", "jax"]
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "host peak" in printed
    assert "toy_optimizer" in printed
    assert main([*command, "--workload", "toy", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["machine"]["host_bytes"] == host_bytes()
    (workload,) = data["workloads"]
    assert workload["status"] == "measured"
    assert workload["batch_size"] == 64


def test_memory_command_fails_where_memory_is_lacking(campaign, tmp_path, capsys):
    faulty(campaign, tmp_path / "greedy", step="raise MemoryError")
    command = ["memory", str(tmp_path / "greedy"), "--benchmark", "toy-benchmark"]
    assert main(command) == 1
    printed = capsys.readouterr().out
    assert "ran out of memory during a training step" in printed
    assert "The batch size is 64" in printed


def test_estimate_command_prints_totals_and_json(campaign, capsys):
    command = ["estimate", "toy-benchmark", "toy_optimizer", "--framework", "jax", "--steps", "4"]
    assert main(command) == 0
    printed = capsys.readouterr().out
    # Two studies of two trials of twenty seconds each.
    assert "campaign, 2 studies, 4 trials, one at a time: at most 1." in printed
    assert "measured: seconds per step over 4 steps" in printed
    assert main([*command, "--json", "--studies", "1", "--trials", "1", "--max-steps", "9"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["campaign"]["trial_count"] == 1
    assert data["campaign"]["max_global_steps"] == 9
    assert data["trials"][0]["submission_s"] < 20.0


def test_estimate_of_a_benchmark_without_its_workloads_lists_them_all(plugin, tmp_path, capsys):
    toy = load_benchmark("toy-benchmark")
    absent = {
        name: replace(toy.workloads["toy"], name=name) for name in ("nowhere_one", "nowhere_two")
    }
    path = tmp_path / "absent.toml"
    path.write_text(replace(toy, base=tuple(absent), workloads=absent).to_toml())
    assert main(["estimate", str(path), "toy_optimizer"]) == 1
    printed = capsys.readouterr().out
    assert printed.count("unavailable: unknown workload") == 2
    assert "nothing could be measured" in printed


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["estimate", "toy-bench", "toy_optimizer"], "toy-benchmark"),
        (["estimate", "toy-benchmark", "toy_optimiser"], "toy_optimizer"),
        (["memory", "toy_optimizer", "--benchmark", "toy-benchmark", "--workload", "x"], "toy"),
    ],
)
def test_bad_input_is_said_with_the_nearest_name(plugin, capsys, command, said):
    assert main(command) == 2
    assert said in capsys.readouterr().err


def test_probing_imports_no_framework():
    code = (
        "import sys; import algoperf_core.probing, algoperf_core.doctor, algoperf_core.estimate\n"
        "print([n for n in ('jax', 'torch', 'optax') if n in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
