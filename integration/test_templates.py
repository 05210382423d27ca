"""`algoperf new`, then a trial on real data, in every framework and style."""

import json
import subprocess
import sys

import pytest


def algoperf(folder, *arguments):
    command = [sys.executable, "-m", "algoperf_core", *arguments]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("style", ["optimizer", "full"])
@pytest.mark.parametrize(("framework", "long_name"), [("jax", "jax"), ("torch", "pytorch")])
def test_template_trains_on_digits_as_it_is(tmp_path, framework, long_name, style):
    algoperf(tmp_path, "new", "mine", "--framework", framework, "--style", style)
    part = ("--studies", "1", "--trials", "1", "--max-steps", "5")
    algoperf(tmp_path, "run", "mine", "--benchmark", "algoperf-digits", *part)
    trial = tmp_path / f"runs/algoperf-digits/mine/study_0/digits_{long_name}/trial_1"
    outcome = json.loads((trial / "outcome.json").read_text())
    assert (outcome["outcome"], outcome["global_step"]) == ("training_complete", 5)
    assert outcome["evaluations"] >= 2
