"""Real trials of two processes: who writes, who is slow, who is killed, and how it goes on."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from algoperf_core.campaign import Campaign
from algoperf_core.errors import CampaignError
from algoperf_core.executors import LocalExecutor
from algoperf_core.outcomes import Outcome
from algoperf_core.progress import read_snapshot
from algoperf_core.resumption import read_interruptions
from algoperf_core.trial_spec import CONSOLE_FILE, PROGRESS_FILE, read_result
from algoperf_scoring import load_benchmark

pytest.importorskip("torch")

STEPS = 400
LIMIT_S = 120.0
# Leaves the id of each process; the environment says which one is slow, fails, or is out of memory.
SUBMISSION = """
import os
import time
from dataclasses import replace
from pathlib import Path

import torch
from algoperf_core import from_torch

RANK = os.environ["RANK"]
Path(os.environ["IDS"], RANK).write_text(str(os.getpid()))
inner = from_torch(lambda parameters, h, steps: torch.optim.SGD(parameters, 0.02), batch_size=64)


def update_params(*, global_step, **rest):
    time.sleep(0.05 if os.environ.get("SLOW") == RANK else 0.005)
    if os.environ.get("FAILS") == RANK and global_step == 5:
        raise torch.OutOfMemoryError("CUDA out of memory")
    torch.distributed.all_reduce(torch.zeros(1))
    return inner.update_params(global_step=global_step, **rest)


submission = replace(inner, update_params=update_params)
"""


@pytest.fixture
def prepare(plugin, tmp_path, monkeypatch):
    """Writes the folder of a trial of two processes."""
    ids = tmp_path / "ids"
    ids.mkdir()
    monkeypatch.setenv("IDS", str(ids))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    folder = tmp_path / "paired"
    folder.mkdir()
    (folder / "submission_pytorch.py").write_text(SUBMISSION)

    def trial(**options):
        benchmark = load_benchmark("toy-benchmark")
        goal = replace(
            benchmark.workloads["toy"],
            validation_target=-1.0,
            test_target=-1.0,
            eval_period_s=0.2,
            budget_s=1000.0,
        )
        settings = {"processes": 2, "max_global_steps": STEPS} | options
        campaign = Campaign(
            benchmark=replace(benchmark, workloads={"toy": goal}),
            ruleset="self",
            submissions=(str(folder),),
            runs=tmp_path / "runs",
            data_dir=tmp_path / "data",
            framework="pytorch",
            checkpoint_period_s=0.0,
            **settings,
        )
        return campaign.prepare()[0]

    return trial


def wait(process):
    deadline = time.monotonic() + LIMIT_S
    while process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return process.poll()


def reach(trial_dir, process, step):
    deadline = time.monotonic() + LIMIT_S
    while (seen := read_snapshot(trial_dir / PROGRESS_FILE)) is None or seen.global_step < step:
        assert process.poll() is None, (trial_dir / CONSOLE_FILE).read_text()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def id_of(tmp_path, rank):
    return int((tmp_path / "ids" / str(rank)).read_text())


def test_killed_process_interrupts_the_trial_which_then_goes_on(prepare, tmp_path):
    trial_dir = prepare()
    process = LocalExecutor().start(trial_dir, 0)
    reach(trial_dir, process, 40)
    os.kill(id_of(tmp_path, 1), signal.SIGKILL)
    wait(process)
    result = read_result(trial_dir)
    assert result.outcome is Outcome.INTERRUPTED
    assert "process 1 of the trial is gone" in result.message

    (newest, *_) = sorted((trial_dir / "checkpoints").glob("step_*"), reverse=True)
    assert (newest / "rank_1" / "state.json").exists()

    assert wait(LocalExecutor().start(trial_dir, 0)) == 0
    result = read_result(trial_dir)
    assert (result.outcome, result.global_step) == (Outcome.TRAINING_COMPLETE, STEPS)
    (interruption,) = read_interruptions(trial_dir)
    assert interruption["checkpoint_step"] > 0
    assert sum(result.ledger_s.values()) > 0
    names = {path.name for path in trial_dir.iterdir()}
    assert {"eval_measurements.csv", "outcome.json", "meta_data_1.json"} <= names
    assert not [name for name in names if "rank" in name]
    assert (trial_dir / CONSOLE_FILE).read_text().count("training_complete after") == 1


def test_slow_process_counts_under_torchrun(prepare, monkeypatch):
    trial_dir = prepare(max_global_steps=20)
    monkeypatch.setenv("SLOW", "1")
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command = [sys.executable, *launch, "-m", "algoperf_core.trial", str(trial_dir)]
    subprocess.run(command, check=True, timeout=LIMIT_S)
    result = read_result(trial_dir)
    assert result.outcome is Outcome.TRAINING_COMPLETE
    assert result.ledger_s["submission"] >= 20 * 0.05
    flags = json.loads((trial_dir / "flags_0.json").read_text())
    assert flags["algoperf.processes"] == 2


def test_memory_that_is_out_in_one_process_ends_the_trial_so(prepare, monkeypatch):
    trial_dir = prepare()
    monkeypatch.setenv("FAILS", "1")
    wait(LocalExecutor().start(trial_dir, 0))
    result = read_result(trial_dir)
    assert result.outcome is Outcome.OUT_OF_MEMORY
    assert "process 1: OutOfMemoryError: CUDA out of memory" in result.message


def test_stopping_a_campaign_ends_all_processes_as_interrupted(prepare, tmp_path):
    trial_dir = prepare(max_global_steps=None)
    process = LocalExecutor().start(trial_dir, 0)
    reach(trial_dir, process, 3)
    process.stop()
    assert read_result(trial_dir).outcome is Outcome.INTERRUPTED
    for rank in range(2):
        with pytest.raises(ProcessLookupError):
            os.kill(id_of(tmp_path, rank), 0)


def test_trial_is_not_continued_with_another_number_of_processes(prepare):
    prepare()
    with pytest.raises(CampaignError, match="processes: 2 before, 3 now"):
        prepare(processes=3)
