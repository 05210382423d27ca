"""A trial of a real benchmark, run again from its folder alone, gives the same numbers."""

import csv
import shutil
import subprocess
import sys

import pytest


def algoperf(*arguments):
    command = [sys.executable, "-m", "algoperf_core", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def evaluations(trial_dir):
    with (trial_dir / "eval_measurements.csv").open(newline="") as file:
        return {
            row["global_step"]: {name: value for name, value in row.items() if "/" in name}
            for row in csv.DictReader(file)
        }


@pytest.mark.parametrize("framework", ["jax", "torch"])
def test_trial_runs_again_bit_for_bit(tmp_path, framework):
    data = ("--data-dir", tmp_path / "data")
    first = algoperf(
        *("run", "nadamw", "--benchmark", "algoperf-digits", "--framework", framework),
        *("--points", "2", "--studies", 1, "--max-steps", 12, "--jobs", 2),
        *("--runs", tmp_path / "runs", *data),
    )
    assert "training complete after 12 steps" in first.stdout, first.stderr
    (done,) = (tmp_path / "runs").glob("nadamw/study_0/digits_*/trial_3")
    origin = tmp_path / "sent_by_mail"
    shutil.move(done, origin)
    again = algoperf("run", "--from", origin, "--runs", tmp_path / "again", *data)
    assert again.returncode == 0, again.stderr
    (new,) = (tmp_path / "again").glob("nadamw/study_0/digits_*/trial_3")
    before, after = evaluations(origin), evaluations(new)
    assert {"1", "12"} <= before.keys() & after.keys()
    assert all(before[step] == after[step] for step in before.keys() & after.keys())
    assert "identical to the last bit" in again.stdout
