"""Real trials, killed, starved of disk space and damaged; run again until they are done."""

import csv
import errno
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from algoperf_core import durable
from algoperf_core.campaign import Campaign
from algoperf_core.checkpoints import CheckpointFolder
from algoperf_core.errors import CheckpointError, RecordError
from algoperf_core.outcomes import Outcome
from algoperf_core.progress import read_snapshot
from algoperf_core.trial import run_trial
from algoperf_core.trial_spec import PROGRESS_FILE, read_result, write_json
from algoperf_scoring import load_benchmark

pytest.importorskip("jax")
pytest.importorskip("torch")

STEPS = 150
PERIOD_S = 0.05

# Momentum, a schedule, and noise from NumPy's global generator; at the end, the parameters in a file.
COMMON = """
import os
import time
from dataclasses import replace

import numpy as np

STEPS = {steps}


def wrapped(submission, numbers):
    def init_optimizer_state(*arguments):
        np.random.seed(3)
        state = submission.init_optimizer_state(*arguments)
        if "HIDDEN" in os.environ:
            state["hidden"] = iter([1])
        if "BARE" in os.environ:
            del state["optimizer"]
        return state

    def data_selection(workload, queue, *rest):
        return {{**next(queue), "noise": np.random.random()}}

    def update_params(*, batch, global_step, **rest):
        time.sleep(0.004)
        if global_step == int(os.environ.get("STOP_AT", -1)):
            raise KeyboardInterrupt
        scale = 0.9 + 0.2 * batch.pop("noise")
        batch = {{name: values * scale for name, values in batch.items()}}
        updated = submission.update_params(batch=batch, global_step=global_step, **rest)
        if global_step == STEPS - 1:
            np.save(os.environ["PARAMETERS"], numbers(updated[1]))
        return updated

    return replace(
        submission,
        init_optimizer_state=init_optimizer_state,
        data_selection=data_selection,
        update_params=update_params,
    )

"""
JAX = """
import optax
from algoperf_core import from_optax

def optimizer(hyperparameters, step_hint):
    return optax.sgd(optax.cosine_decay_schedule(0.02, STEPS), momentum=0.9)

submission = wrapped(from_optax(optimizer, batch_size=64), lambda params: params["w"])
"""
TORCH = """
import torch
from algoperf_core import from_torch

def optimizer(parameters, hyperparameters, step_hint):
    sgd = torch.optim.SGD(parameters, 0.02, momentum=0.9)
    return sgd, torch.optim.lr_scheduler.CosineAnnealingLR(sgd, STEPS)

def numbers(model):
    return model.weight.detach().numpy() + torch.rand(3)[0].item()

submission = wrapped(from_torch(optimizer, batch_size=64), numbers)
"""


@pytest.fixture
def prepare(plugin, tmp_path):
    """Writes a trial's folder below the given folder of runs."""

    def trial(framework, runs, **options):
        folder = tmp_path / f"momentum_{framework}"
        folder.mkdir(exist_ok=True)
        text = COMMON.format(steps=STEPS) + (JAX if framework == "jax" else TORCH)
        (folder / "submission.py").write_text(text)
        points = '[{"learning_rate": 0.1}, {"learning_rate": 1.0}]'
        (folder / "tuning_search_space.json").write_text(points)
        benchmark = load_benchmark("toy-benchmark")
        # No target is ever met; an evaluation, and with it a checkpoint, every few steps.
        goal = replace(
            benchmark.workloads["toy"],
            validation_target=-1.0,
            test_target=-1.0,
            eval_period_s=PERIOD_S,
            budget_s=1000.0,
        )
        campaign = Campaign(
            benchmark=replace(benchmark, workloads={"toy": goal}),
            ruleset="external",
            submissions=(str(folder),),
            runs=runs,
            data_dir=tmp_path / "data",
            framework=framework,
            studies=1,
            trials=1,
            max_global_steps=STEPS,
            checkpoint_period_s=options.get("period_s", 0.0),
        )
        return campaign.prepare()[0] if campaign.prepare() else None

    return trial


class TrialProcess:
    """A trial in a process of its own; its parameters and its console go to files beside its folder."""

    def __init__(self, trial_dir, beside):
        self.trial_dir = trial_dir
        self.parameters = beside / "parameters.npy"
        self.console = (beside / "console.txt").open("ab")
        command = [sys.executable, "-m", "algoperf_core.trial", str(trial_dir)]
        environment = {**os.environ, "PARAMETERS": str(self.parameters), "JAX_PLATFORMS": "cpu"}
        self.process = subprocess.Popen(
            command, env=environment, stdout=self.console, stderr=self.console
        )

    def step(self):
        snapshot = read_snapshot(self.trial_dir / PROGRESS_FILE)
        return 0 if snapshot is None else snapshot.global_step

    def wait_until(self, condition, seconds=60.0):
        deadline = time.monotonic() + seconds
        while not condition() and self.process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def wait(self):
        status = self.process.wait(120)
        self.console.close()
        return status

    def kill(self, number):
        self.process.send_signal(number)
        return self.wait()


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def latest(trial_dir):
    found = CheckpointFolder(trial_dir).find().newest
    return found.global_step if found else 0


@pytest.fixture(scope="module")
def known():
    """Final parameters by framework: one undisturbed trial does for all tests."""
    return {}


@pytest.fixture
def undisturbed(prepare, tmp_path, known):
    """Final parameters of a trial that nothing interrupts."""

    def parameters(framework):
        if framework not in known:
            beside = tmp_path / "undisturbed"
            beside.mkdir()
            trial_dir = prepare(framework, beside / "runs")
            trial = TrialProcess(trial_dir, beside)
            assert trial.wait() == 0
            assert_consistent(trial_dir)
            known[framework] = np.load(trial.parameters).tobytes()
        return known[framework]

    return parameters


def assert_ledger_agrees(trial_dir):
    """Accounts, phases and what a forecast reads say the same."""
    result = read_result(trial_dir)
    for account, seconds in result.ledger_s.items():
        assert sum(result.phases_s[account].values()) == pytest.approx(seconds, abs=1e-9)
    assert not result.paused_workers
    # What a forecast reads: the time of all attempts, as submission time is.
    snapshot = read_snapshot(trial_dir / PROGRESS_FILE)
    assert snapshot.submission_s < snapshot.wall_s <= sum(result.ledger_s.values())


def assert_consistent(trial_dir):
    """Ledger, outcome and measurements of a trial that is done agree."""
    assert_ledger_agrees(trial_dir)
    result = read_result(trial_dir)
    assert result.outcome is Outcome.TRAINING_COMPLETE
    assert result.global_step == STEPS
    evaluations = rows(trial_dir / "eval_measurements.csv")
    assert len(evaluations) == result.evaluations
    for name in ("global_step", "accumulated_submission_time", "total_duration"):
        values = [float(row[name]) for row in evaluations]
        assert values == sorted(set(values))
    counts = [int(row["preemption_count"]) for row in evaluations]
    assert counts == sorted(counts)
    assert counts[-1] == result.preemption_count == len(result.interruptions)
    last = rows(trial_dir / "measurements.csv")[-1]
    assert float(last["score"]) == result.ledger_s["submission"]
    assert int(last["preemption_count"]) == result.preemption_count
    for number in range(result.preemption_count + 1):
        assert (trial_dir / f"meta_data_{number}.json").exists()
    # Each step sleeps: what was lost is neither missing nor there twice.
    assert result.phases_s["submission"]["update"] >= STEPS * 0.004
    assert not (trial_dir / "checkpoints").exists()


@pytest.mark.parametrize("framework", ["jax", "pytorch"])
def test_trial_that_is_killed_at_random_ends_as_if_it_had_not_been(
    prepare, undisturbed, tmp_path, framework
):
    draw = np.random.default_rng(len(framework))
    trial_dir = prepare(framework, tmp_path / "runs")
    kills = 0
    for _ in range(3):
        trial = TrialProcess(trial_dir, tmp_path)
        begun = latest(trial_dir)
        trial.wait_until(lambda trial=trial, begun=begun: latest(trial_dir) > begun)
        # Anywhere: in a step, in an evaluation, in a checkpoint that is half written.
        time.sleep(draw.uniform(0.0, 0.25))
        kills += trial.kill(signal.SIGKILL) == -signal.SIGKILL
    trial = TrialProcess(trial_dir, tmp_path)
    assert trial.wait() == 0, (tmp_path / "console.txt").read_text()
    assert kills
    assert_consistent(trial_dir)
    assert np.load(trial.parameters).tobytes() == undisturbed(framework)
    interruptions = json.loads((trial_dir / "interruptions.json").read_text())
    assert len(interruptions) <= kills
    assert {lost["cause"] for lost in interruptions} == {"killed"}
    assert all(lost["checkpoint_step"] > 0 for lost in interruptions)


DIGITS_STEPS = 40
DIGITS = """
import os
from dataclasses import replace

import numpy as np
import torch
from algoperf_core import from_torch

def optimizer(parameters, hyperparameters, step_hint):
    return torch.optim.SGD(parameters, 0.05, momentum=0.9)

plain = from_torch(optimizer, batch_size=64)

def update_params(*, global_step, **rest):
    updated = plain.update_params(global_step=global_step, **rest)
    if global_step == {steps} - 1:
        values = [tensor.numpy().ravel() for tensor in updated[1].state_dict().values()]
        np.save(os.environ["PARAMETERS"], np.concatenate(values))
    return updated

submission = replace(plain, update_params=update_params)
"""


def test_real_workload_that_is_killed_ends_with_the_same_parameters(tmp_path):
    pytest.importorskip("algoperf_vision")
    (tmp_path / "sgd").mkdir()
    (tmp_path / "sgd" / "submission.py").write_text(DIGITS.format(steps=DIGITS_STEPS))
    benchmark = load_benchmark("algoperf-digits")
    goal = replace(
        benchmark.workloads["digits"],
        validation_target=2.0,
        test_target=2.0,
        eval_period_s=0.2,
        budget_s=1000.0,
    )
    campaign = Campaign(
        benchmark=replace(benchmark, workloads={"digits": goal}),
        ruleset="self",
        submissions=(str(tmp_path / "sgd"),),
        runs=tmp_path / "runs",
        data_dir=tmp_path / "data",
        framework="pytorch",
        studies=1,
        trials=1,
        max_global_steps=DIGITS_STEPS,
        checkpoint_period_s=0.0,
    )
    ends = []
    for kills in (1, 0):
        runs = tmp_path / f"runs_{kills}"
        trial_dir = replace(campaign, runs=runs).prepare()[0]
        if kills:
            trial = TrialProcess(trial_dir, tmp_path)
            trial.wait_until(lambda trial_dir=trial_dir: latest(trial_dir) > 0)
            assert trial.kill(signal.SIGKILL) == -signal.SIGKILL
        trial = TrialProcess(trial_dir, tmp_path)
        assert trial.wait() == 0, (tmp_path / "console.txt").read_text()
        assert len(read_result(trial_dir).interruptions) == kills
        assert_ledger_agrees(trial_dir)
        ends.append(np.load(trial.parameters).tobytes())
    assert ends[0] == ends[1]


@pytest.mark.parametrize(
    ("number", "framework"), [(signal.SIGINT, "jax"), (signal.SIGTERM, "pytorch")]
)
def test_trial_that_is_asked_to_end_says_so_and_goes_on(
    prepare, undisturbed, tmp_path, number, framework
):
    trial_dir = prepare(framework, tmp_path / "runs")
    trial = TrialProcess(trial_dir, tmp_path)
    trial.wait_until(lambda: latest(trial_dir) > 20)
    assert trial.kill(number) == 130
    stopped = read_result(trial_dir)
    assert stopped.outcome is Outcome.INTERRUPTED
    # The outcome tells to the step what was lost.
    lost_steps = stopped.global_step - latest(trial_dir)
    trial = TrialProcess(trial_dir, tmp_path)
    assert trial.wait() == 0
    (lost,) = read_result(trial_dir).interruptions
    assert (lost["cause"], lost["lost_steps"]) == ("interrupted", lost_steps)
    assert_consistent(trial_dir)
    assert np.load(trial.parameters).tobytes() == undisturbed(framework)
    summary = (tmp_path / "console.txt").read_text().strip().splitlines()[-1]
    assert f"training_complete after {STEPS} steps" in summary
    assert "interrupted 1 times" in summary
    assert "waiting for data" in summary


def test_damaged_checkpoint_falls_back_to_the_one_before_and_ends_the_same(
    prepare, undisturbed, tmp_path
):
    trial_dir = prepare("jax", tmp_path / "runs")
    trial = TrialProcess(trial_dir, tmp_path)
    trial.wait_until(lambda: latest(trial_dir) > 20)
    trial.kill(signal.SIGKILL)
    newest = latest(trial_dir)
    os.truncate(trial_dir / "checkpoints" / f"step_{newest}" / "state.json", 100)
    before = latest(trial_dir)
    assert 0 < before < newest
    trial = TrialProcess(trial_dir, tmp_path)
    assert trial.wait() == 0
    assert (
        f"step_{newest}: state.json is not as it was written"
        in (tmp_path / "console.txt").read_text()
    )
    (lost,) = read_result(trial_dir).interruptions
    assert lost["checkpoint_step"] == before
    assert np.load(trial.parameters).tobytes() == undisturbed("jax")


# A full disk.


@pytest.fixture
def small_disk(tmp_path):
    """A file system of two megabytes."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)  # noqa: S607


def fill(path):
    with path.open("ab", buffering=0) as file:
        for size in (2**16, 2**12, 1):
            with suppress(OSError):
                while True:
                    file.write(bytes(size))


@pytest.mark.parametrize("framework", ["jax", "pytorch"])
def test_full_disk_costs_no_result(prepare, undisturbed, small_disk, tmp_path, framework):
    trial_dir = prepare(framework, small_disk / "runs")
    trial = TrialProcess(trial_dir, tmp_path)
    trial.wait_until(lambda: latest(trial_dir) > 20)
    while trial.process.poll() is None:
        fill(small_disk / "filler")
    status, console = trial.wait(), (tmp_path / "console.txt").read_text()
    if status == 0:
        # The rows found room in the last blocks of their files.
        assert read_result(trial_dir).failed_checkpoints > 0
        assert "training goes on with the one before" in console
    else:
        # 130 if the outcome found room, 2 if not even that could be written.
        assert status in (130, 2)
        assert "cannot be written: No space left on device" in console
        assert latest(trial_dir) > 0
    for name in ("eval_measurements.csv", "measurements.csv"):
        assert (trial_dir / name).read_text().endswith("\n")
    (small_disk / "filler").unlink()
    again = TrialProcess(trial_dir, tmp_path)
    assert again.wait() == 0
    assert_consistent(trial_dir)
    assert np.load(again.parameters).tobytes() == undisturbed(framework)


def no_space(*arguments):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def parameters(monkeypatch, tmp_path):
    """Where trials in this process write their parameters."""
    monkeypatch.setenv("PARAMETERS", str(tmp_path / "here.npy"))
    return tmp_path / "here.npy"


def test_checkpoint_without_space_is_a_warning_and_training_goes_on(
    prepare, tmp_path, parameters, monkeypatch, caplog
):
    trial_dir = prepare("pytorch", tmp_path / "runs")
    monkeypatch.setattr("algoperf_core.torch_checkpoints.torch.save", no_space)
    result = run_trial(trial_dir)
    assert result.outcome is Outcome.TRAINING_COMPLETE
    assert result.failed_checkpoints > 1
    assert "training goes on with the one before" in caplog.text
    assert "No space left" in caplog.text


def test_row_without_space_ends_the_trial_as_interrupted_with_nothing_half_written(
    prepare, tmp_path, parameters, monkeypatch
):
    trial_dir = prepare("pytorch", tmp_path / "runs")
    written = []

    def append(path, data):
        written.append(path)
        if len(written) > 8:
            raise durable.cannot_write(path, OSError(errno.ENOSPC, "No space left on device"))
        append_durable(path, data)

    append_durable = durable.append_durable
    with monkeypatch.context() as patch:
        patch.setattr("algoperf_core.measurements.append_durable", append)
        with pytest.raises(RecordError, match=r"csv: cannot be written: No space left.*again"):
            run_trial(trial_dir)
    stopped = read_result(trial_dir)
    assert stopped.outcome is Outcome.INTERRUPTED
    assert "No space left" in stopped.message
    assert run_trial(trial_dir).outcome is Outcome.TRAINING_COMPLETE
    assert_consistent(trial_dir)


def test_outcome_without_space_loses_no_training(prepare, tmp_path, parameters, monkeypatch):
    trial_dir = prepare("pytorch", tmp_path / "runs")
    with monkeypatch.context() as patch:
        patch.setattr("algoperf_core.trial.write_json", no_space)
        with pytest.raises(OSError, match="No space left"):
            run_trial(trial_dir)
    assert 0 < latest(trial_dir) < STEPS
    assert run_trial(trial_dir).outcome is Outcome.TRAINING_COMPLETE
    assert_consistent(trial_dir)


@pytest.mark.parametrize("failing", ["fsync", "write"])
def test_append_is_all_or_nothing(tmp_path, monkeypatch, failing):
    path = tmp_path / "rows.csv"
    path.write_bytes(b"a,b\n1,2\n")
    if failing == "fsync":
        monkeypatch.setattr(durable.os, "fsync", no_space)
        with pytest.raises(RecordError, match="No space left"):
            durable.append_durable(path, b"3,4\n")
    else:
        with pytest.raises(RecordError, match="cannot be written"):
            durable.append_durable(tmp_path / "missing" / "rows.csv", b"3,4\n")
    assert path.read_bytes() == b"a,b\n1,2\n"


def test_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "outcome.json"
    durable.write_durable(path, b"old")
    monkeypatch.setattr(durable.os, "fsync", no_space)
    with pytest.raises(RecordError, match=r"outcome\.json: cannot be written"):
        durable.write_durable(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["outcome.json"]


# Rules.


def test_short_trial_saves_nothing(prepare, tmp_path, parameters, monkeypatch):
    trial_dir = prepare("pytorch", tmp_path / "runs", period_s=300.0)
    monkeypatch.setattr(CheckpointFolder, "save", no_space)
    assert run_trial(trial_dir).failed_checkpoints == 0
    assert not (trial_dir / "checkpoints").exists()
    assert not (trial_dir / "interruptions.json").exists()


def test_state_that_cannot_be_saved_is_said_once_and_the_trial_runs(
    prepare, tmp_path, parameters, caplog, monkeypatch
):
    trial_dir = prepare("pytorch", tmp_path / "runs")
    monkeypatch.setenv("HIDDEN", "")
    result = run_trial(trial_dir)
    assert result.outcome is Outcome.TRAINING_COMPLETE
    assert caplog.text.count("this trial saves no checkpoints") == 1
    assert "optimizer_state['hidden']" in caplog.text


def interrupt(trial_dir, monkeypatch):
    """Runs a trial until a Ctrl-C in its hundredth step."""
    with monkeypatch.context() as patch:
        patch.setenv("STOP_AT", "100")
        with pytest.raises(KeyboardInterrupt):
            run_trial(trial_dir)


def test_queue_without_position_is_said_and_its_data_start_over(
    prepare, tmp_path, parameters, caplog, monkeypatch
):
    trial_dir = prepare("pytorch", tmp_path / "runs")
    from toy_plugin.workload import Batches

    monkeypatch.delattr(Batches, "get_state")
    interrupt(trial_dir, monkeypatch)
    result = run_trial(trial_dir)
    assert "its data start over" in caplog.text
    assert result.interruptions[0]["data_restarted"]


def test_checkpoint_that_does_not_fit_is_said_with_the_remedy(
    prepare, tmp_path, parameters, monkeypatch
):
    trial_dir = prepare("pytorch", tmp_path / "runs")
    interrupt(trial_dir, monkeypatch)
    monkeypatch.setenv("BARE", "")
    said = r"step_\d+: the trial cannot continue.*optimizer.*a fresh state has nothing.*delete .*checkpoints"
    with pytest.raises(CheckpointError, match=said):
        run_trial(trial_dir)


def test_accounts_and_phases_add_up_to_wall_clock(prepare, tmp_path, parameters, monkeypatch):
    trial_dir = prepare("jax", tmp_path / "runs")
    ended = []

    def write_outcome(path, data):
        ended.append(time.perf_counter())
        write_json(path, data)

    monkeypatch.setattr("algoperf_core.trial.write_json", write_outcome)
    start = time.perf_counter()
    result = run_trial(trial_dir)
    # All but the file that the numbers stand in.
    elapsed_s = ended[0] - start
    phases_s = sum(sum(phases.values()) for phases in result.phases_s.values())
    assert sum(result.ledger_s.values()) == pytest.approx(phases_s, rel=1e-9)
    assert sum(result.ledger_s.values()) == pytest.approx(elapsed_s, rel=1e-3)
    spent = {
        name: seconds for phases in result.phases_s.values() for name, seconds in phases.items()
    }
    expected = {"start", "data", "model", "optimizer", "restore", "waiting_for_data", "update"}
    expected |= {
        "data_selection",
        "synchronize",
        "harness",
        "evaluation",
        "measurements",
        "checkpoint",
    }
    assert {name for name, seconds in spent.items() if seconds > 0.0} == expected
    assert Path(trial_dir / "outcome.json").exists()
