"""Real trials with trackers and profiles."""

import csv
import gzip
import json
from pathlib import Path

import pytest

from algoperf_core.cli import main
from algoperf_core.outcomes import Outcome
from algoperf_core.trial_spec import read_result
from algoperf_scoring import load_benchmark
from algoperf_scoring.logs import read_logs

ARGUMENTS = ["run", "toy_optimizer", "--benchmark", "toy-benchmark", "--runs", "runs"]
ONE = ["--studies", "1", "--trials", "1"]
TRIAL = Path("runs/toy_optimizer/study_0")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(plugin, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run(*options):
    return main([*ARGUMENTS, *options])


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def numbers(row):
    return {name: float(cell) for name, cell in row.items() if cell and name != "global_step"}


def test_trackers_get_the_rows_of_the_measurements_and_a_faulty_one_changes_nothing(capsys):
    pytest.importorskip("jax")
    Path("faulty.json").write_text(json.dumps(["log", "raises"]))
    assert run(*ONE, "--track", "faulty", "--track", "notebook") == 0
    trial_dir = TRIAL / "toy_jax" / "trial_1"
    calls = [json.loads(line) for line in (trial_dir / "notebook.jsonl").read_text().splitlines()]
    assert [call[0] for call in (calls[0], calls[-1])] == ["start", "finish"]
    assert calls[0][2] == json.loads((trial_dir / "hparams.json").read_text())
    written = rows(trial_dir / "measurements.csv")
    assert [(call[2], call[1]) for call in calls[1:-1]] == [
        (int(row["global_step"]), numbers(row)) for row in written
    ]
    assert calls[-1][1] == json.loads((trial_dir / "outcome.json").read_text())
    console = (trial_dir / "console.log").read_text()
    assert console.count("tracker faulty is switched off") == 1
    assert "the server said no" in console


def test_tensorboard_writes_unless_it_is_switched_off():
    pytest.importorskip("jax")
    pytest.importorskip("tensorboardX")
    run(*ONE)
    (file,) = (TRIAL / "toy_jax" / "trial_1").glob("events.out.tfevents.*")
    assert b"validation/loss" in file.read_bytes()
    # Other trackers are no other settings: the same runs go on.
    assert run("--studies", "1", "--trials", "2", "--no-tensorboard") == 0
    assert not list((TRIAL / "toy_jax" / "trial_2").glob("events.out.tfevents.*"))


def test_misspelt_tracker_is_refused_before_anything_runs(capsys):
    assert run("--track", "notebok") == 2
    assert "notebook" in capsys.readouterr().err
    assert not Path("runs").exists()


def profiled(framework, capsys):
    assert run("--profile", "--framework", framework) == 0
    name = {"jax": "jax", "torch": "pytorch"}[framework]
    trial_dir = TRIAL / f"toy_{name}" / "trial_1"
    assert str(trial_dir / "profile") in capsys.readouterr().out
    result = read_result(trial_dir)
    assert result.outcome is Outcome.TRAINING_COMPLETE
    assert result.profiled
    assert "profiled, does not count" in (trial_dir / "console.log").read_text()
    assert json.loads((trial_dir / "flags_0.json").read_text())["profile"] is True
    assert len(rows(trial_dir / "unscored_eval_measurements.csv")) >= 1
    assert not (trial_dir / "eval_measurements.csv").exists()
    return trial_dir


def traced_steps(path, name):
    events = json.loads(gzip.decompress(path.read_bytes()))["traceEvents"]
    return [event for event in events if event.get("name", "").startswith(name)]


def test_profile_in_jax_traces_steps_after_warm_up(capsys):
    pytest.importorskip("jax")
    trial_dir = profiled("jax", capsys)
    (trace,) = trial_dir.glob("profile/plugins/profile/*/*.trace.json.gz")
    steps = [event["args"]["step_num"] for event in traced_steps(trace, "train")]
    assert steps == ["10", "11", "12", "13", "14"]


def test_profile_in_pytorch_traces_steps_after_warm_up(capsys):
    pytest.importorskip("torch")
    trial_dir = profiled("torch", capsys)
    steps = traced_steps(trial_dir / "profile" / "trace.json.gz", "train step")
    assert [event["name"][-2:] for event in steps] == ["10", "11", "12", "13", "14"]


def test_profiled_trials_are_left_out_with_a_finding_and_never_mixed_with_others(capsys):
    pytest.importorskip("jax")
    profiled("jax", capsys)
    logs = read_logs("runs", load_benchmark("toy-benchmark"))
    assert [finding.kind for finding in logs.findings] == ["unscored"]
    assert not logs.studies("toy_optimizer", "toy")
    assert run(*ONE) == 2
    assert "profile: True before, False now" in capsys.readouterr().err


def test_profile_goes_to_a_folder_of_its_own_by_default(capsys):
    pytest.importorskip("jax")
    assert main(["run", "toy_optimizer", "--benchmark", "toy-benchmark", "--profile"]) == 0
    assert Path("runs/toy-benchmark-profile/toy_optimizer").is_dir()
