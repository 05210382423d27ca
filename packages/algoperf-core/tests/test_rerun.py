"""A trial run again from its folder: the same numbers, and a word about what differs."""

import csv
import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest

from algoperf_core.campaign import Campaign, Watcher, run_campaign
from algoperf_core.cli import main
from algoperf_core.errors import CampaignError, SubmissionError
from algoperf_core.executors import LocalExecutor
from algoperf_core.outcomes import Outcome, TrialResult
from algoperf_core.rerun import Rerun, compare_evaluations
from algoperf_core.trial_spec import read_spec, write_json
from algoperf_scoring import load_benchmark

pytest.importorskip("jax")


@pytest.fixture
def campaign(plugin, tmp_path):
    benchmark = load_benchmark("toy-benchmark")
    # No evaluation between the first and the last: steps, unlike time, are the same on every run.
    goal = replace(benchmark.workloads["toy"], eval_period_s=1e4, validation_target=1e-9)
    return Campaign(
        benchmark=replace(benchmark, workloads={"toy": goal}),
        ruleset="external",
        submissions=("toy_optimizer",),
        runs=tmp_path / "runs",
        data_dir=tmp_path / "data",
        studies=1,
        points="1",
        max_global_steps=5,
    )


@pytest.fixture
def prepared(campaign):
    """The folder of a trial that was never started."""
    (trial_dir,) = campaign.prepare()
    return trial_dir


def algoperf(*arguments):
    command = [sys.executable, "-m", "algoperf_core", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def metrics(trial_dir):
    with (trial_dir / "eval_measurements.csv").open(newline="") as file:
        return [
            {name: row[name] for name in row if "/" in name or name == "global_step"}
            for row in csv.DictReader(file)
        ]


@pytest.mark.parametrize("framework", ["jax", "pytorch"])
def test_trial_taken_out_of_its_runs_runs_again_bit_for_bit(campaign, tmp_path, framework):
    assert run_campaign(replace(campaign, framework=framework), LocalExecutor(), Watcher())
    (done,) = campaign.runs.glob("*/*/*/trial_2")
    origin = tmp_path / "attachment"
    shutil.move(done, origin)
    shutil.rmtree(campaign.runs)
    again = algoperf("run", "--from", origin, "--runs", tmp_path / "again")
    assert again.returncode == 0, again.stderr
    new = tmp_path / "again" / "toy_optimizer" / "study_0" / f"toy_{framework}" / "trial_2"
    assert (
        "2 evaluations at the same steps, up to step 5: identical to the last bit" in again.stdout
    )
    assert "differs" not in again.stdout
    assert [row["global_step"] for row in metrics(new)] == ["1", "5"]
    assert metrics(new) == metrics(origin)
    before, after = read_spec(origin), read_spec(new)
    assert after == replace(before, submission=str(new / "submission"))
    assert json.loads((new / "environment.json").read_text())["rerun_of"] == str(origin)
    # Of the rerun, one can make a rerun.
    third = Rerun(origin=new, runs=tmp_path / "third").prepare()[0]
    assert read_spec(third).submission_sha256 == before.submission_sha256
    assert (third / "submission.zip").read_bytes() == (origin / "submission.zip").read_bytes()


def test_rerun_uses_the_copy_when_the_original_was_edited(campaign, plugin, tmp_path):
    folder = tmp_path / "mine"
    shutil.copytree(plugin / "toy_plugin" / "toy_optimizer", folder)
    (trial_dir,) = replace(campaign, submissions=(str(folder),)).prepare()
    (folder / "submission_jax.py").write_text("raise RuntimeError('edited')\n")
    (new,) = Rerun(origin=trial_dir, runs=tmp_path / "again").prepare()
    assert read_spec(new).submission == str(new / "submission")
    assert (new / "submission" / "files" / "mine" / "submission_jax.py").stat().st_size > 100


def test_trial_without_a_copy_needs_the_unchanged_original(campaign, plugin, tmp_path):
    folder = tmp_path / "mine"
    shutil.copytree(plugin / "toy_plugin" / "toy_optimizer", folder)
    (trial_dir,) = replace(campaign, submissions=(str(folder),)).prepare()
    (trial_dir / "submission.zip").unlink()
    (new,) = Rerun(origin=trial_dir, runs=tmp_path / "again").prepare()
    assert read_spec(new).submission == str(folder)
    with (folder / "submission_jax.py").open("a") as file:
        file.write("# edited\n")
    with pytest.raises(CampaignError, match=r"keeps no submission\.zip.*edited since"):
        Rerun(origin=trial_dir, runs=tmp_path / "other").prepare()


def test_altered_copy_is_refused(prepared, tmp_path):
    rerun = Rerun(origin=prepared, runs=tmp_path / "again")
    (new,) = rerun.prepare()
    (module,) = new.glob("submission/files/*/toy_optimizer/submission_jax.py")
    module.write_text(module.read_text() + "# altered\n")
    with pytest.raises(SubmissionError, match="not the submission that ran"):
        rerun.prepare()


def test_damaged_copy_is_named(prepared, tmp_path):
    (prepared / "submission.zip").write_bytes(b"half of a")
    with pytest.raises(SubmissionError, match=r"submission\.zip: not the copy of a submission"):
        Rerun(origin=prepared, runs=tmp_path / "again").prepare()


def test_rerun_that_is_done_is_not_repeated(prepared, tmp_path):
    rerun = Rerun(origin=prepared, runs=tmp_path / "again")
    (new,) = rerun.prepare()
    write_json(new / "outcome.json", TrialResult(outcome=Outcome.DIVERGED).to_dict())
    assert rerun.prepare() == []


def test_rerun_into_its_own_runs_is_refused(campaign, prepared):
    with pytest.raises(CampaignError, match="the trial's own runs"):
        Rerun(origin=prepared, runs=campaign.runs).prepare()


def test_folder_that_is_no_trial_is_said(tmp_path, capsys):
    assert main(["run", "--from", str(tmp_path)]) == 2
    assert "holds no trial.json" in capsys.readouterr().err


def test_moved_data_are_found_where_the_user_says(prepared, tmp_path):
    rerun = Rerun(origin=prepared, runs=tmp_path / "again", data_dir=tmp_path / "elsewhere")
    assert read_spec(rerun.prepare()[0]).data_dir == str(tmp_path / "elsewhere")


def test_other_versions_and_processors_are_said(prepared, tmp_path):
    path = prepared / "environment.json"
    environment = json.loads(path.read_text())
    packages = [line for line in environment["packages"] if not line.startswith("numpy==")]
    write_json(path, environment | {"packages": [*packages, "numpy==1.0", "gone==2.0"]})
    write_json(prepared / "meta_data_0.json", {"cpu_model_name": "Abacus", "cpu_count": 10**6})
    lines = Rerun(origin=prepared, runs=tmp_path / "again").differences()
    assert any(line.startswith("numpy: 1.0 then, ") for line in lines)
    assert "gone: 2.0 then, not installed now" in lines
    assert any(line.startswith("cpu_model_name: Abacus then") for line in lines)
    assert any(line.startswith("cpu_count: 1000000 then") for line in lines)
    assert len(lines) == 4


def test_rerun_takes_the_share_of_processors_that_the_trial_had(prepared, tmp_path, monkeypatch):
    monkeypatch.setattr("algoperf_core.machine.usable_cpus", lambda: [0, 1, 2, 3, 4, 5])
    rerun = Rerun(origin=prepared, runs=tmp_path / "again")
    slots = {}
    for count in (1, 2, 4, 6, 12):
        write_json(prepared / "meta_data_0.json", {"cpu_count": count})
        slots[count] = rerun.slots()
    assert slots == {1: 6, 2: 3, 4: 1, 6: 1, 12: 1}


@pytest.mark.parametrize(
    "options", [["adamw"], ["--benchmark", "x"], ["--points", "0"], ["--trials", "1"]]
)
def test_rerun_takes_no_settings_of_its_own(prepared, capsys, options):
    assert main(["run", "--from", str(prepared), *options]) == 2
    assert "runs exactly that trial and takes no" in capsys.readouterr().err


def test_run_without_submission_or_trial_says_what_it_needs(capsys):
    assert main(["run", "--benchmark", "toy-benchmark"]) == 2
    assert "SUBMISSION and --benchmark, or --from TRIAL_DIR" in capsys.readouterr().err


EVALUATIONS = "global_step,score,validation/loss\n1,0.5,0.25\n3,0.7,0.125\n"


@pytest.mark.parametrize(
    ("again", "said"),
    [
        (EVALUATIONS.replace("0.7", "0.9"), "2 evaluations .* identical to the last bit"),
        ("global_step,score,validation/loss\n1,0.4,0.25\n2,1,9\n", "1 evaluation .* identical"),
        (
            EVALUATIONS.replace("0.125", "0.126"),
            "1 of them differ, first at step 3: validation/loss",
        ),
        ("global_step,score,validation/loss\n2,1,9\n", "nothing to compare"),
        ("", "nothing to compare"),
    ],
)
def test_evaluations_are_compared_where_both_trials_have_them(tmp_path, again, said):
    for name, text in (("before", EVALUATIONS), ("after", again)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "eval_measurements.csv").write_text(text)
    assert re.search(said, compare_evaluations(tmp_path / "before", tmp_path / "after"))
