"""`algoperf new`: what it writes is complete, runs as it is, and overwrites nothing."""

import json
import os
import subprocess
import sys

import pytest

from algoperf_core.cli import main
from algoperf_core.errors import SubmissionError
from algoperf_core.scaffold import STYLES, write_submission
from algoperf_core.sources import find_submission, load
from algoperf_core.submission import REQUIRED_FUNCTIONS
from algoperf_core.tuning import load_search_space

FRAMEWORKS = {"jax": "jax", "torch": "pytorch"}
EVERY_TEMPLATE = pytest.mark.parametrize(
    ("framework", "style"), [(name, style) for name in FRAMEWORKS for style in STYLES]
)
FILES = {"README.md", "submission.py", "tuning_search_space.json"}


@EVERY_TEMPLATE
def test_template_trains_as_a_process(plugin, tmp_path, framework, style):
    pytest.importorskip(framework)
    environment = os.environ | {"PYTHONPATH": str(plugin)}

    def algoperf(*arguments):
        command = [sys.executable, "-m", "algoperf_core", *arguments]
        run = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, run.stdout + run.stderr
        return run.stdout

    said = algoperf("new", "mine", "--framework", framework, "--style", style)
    assert "Try it: algoperf run mine" in said
    trial = ("--studies", "1", "--trials", "1", "--max-steps", "5")
    algoperf("run", "mine", "--benchmark", "toy-benchmark", *trial)
    folder = tmp_path / f"runs/toy-benchmark/mine/study_0/toy_{FRAMEWORKS[framework]}/trial_1"
    outcome = json.loads((folder / "outcome.json").read_text())
    assert (outcome["outcome"], outcome["global_step"]) == ("training_complete", 5)
    assert "nan" not in (folder / "eval_measurements.csv").read_text()


@EVERY_TEMPLATE
def test_template_is_a_submission_of_its_framework_alone(tmp_path, framework, style):
    pytest.importorskip(framework)
    folder = write_submission("mine", FRAMEWORKS[framework], style, tmp_path)
    assert {path.name for path in folder.iterdir()} == FILES
    source = find_submission(str(folder))
    assert list(source.files) == [FRAMEWORKS[framework]]
    submission = load(source, FRAMEWORKS[framework])
    assert submission.get_batch_size("digits") == 128
    text = (folder / "submission.py").read_text()
    functions = [f"def {name}(" in text for name in (*REQUIRED_FUNCTIONS, "prepare_for_eval")]
    assert set(functions) == {style == "full"}


@EVERY_TEMPLATE
def test_search_space_holds_what_the_template_reads(tmp_path, framework, style):
    folder = write_submission("mine", FRAMEWORKS[framework], style, tmp_path)
    (point,) = load_search_space(folder / "tuning_search_space.json").points(1)
    text = (folder / "submission.py").read_text()
    read = {name for name in point if f"hyperparameters.{name}" in text}
    assert point.keys() - read <= {"label_smoothing", "grad_clip"}
    assert len(read) == text.count("hyperparameters.") - text.count("hyperparameters.json")


@pytest.mark.parametrize("style", STYLES)
def test_both_frameworks_share_a_search_space(tmp_path, style):
    spaces = [
        (write_submission(f"in_{name}", name, style, tmp_path) / "tuning_search_space.json")
        for name in FRAMEWORKS.values()
    ]
    assert spaces[0].read_text() == spaces[1].read_text()


def test_readme_names_submission_and_command(tmp_path):
    folder = write_submission("mine", "jax", "optimizer", tmp_path / "my submissions")
    text = (folder / "README.md").read_text()
    assert text.startswith("# mine\n")
    assert f"algoperf run '{folder}' --benchmark algoperf-digits" in text
    assert '{"feasible_points": [0.0, 0.1]}' in text
    assert "{{" not in text


@pytest.mark.parametrize("style", STYLES)
def test_nothing_is_overwritten(tmp_path, style):
    (tmp_path / "mine").mkdir()
    with pytest.raises(SubmissionError, match="mine exists, and nothing is overwritten"):
        write_submission("mine", "jax", style, tmp_path)
    assert list((tmp_path / "mine").iterdir()) == []
    folder = write_submission("other", "jax", style, tmp_path)
    (folder / "submission.py").write_text("mine")
    with pytest.raises(SubmissionError, match="other exists"):
        write_submission("other", "jax", style, tmp_path)
    assert (folder / "submission.py").read_text() == "mine"


@pytest.mark.parametrize(
    "name", ["", "1st", "a b", "../up", "a/b", ".hidden", "x" * 65, "né", "a\n"]
)
def test_names_that_cannot_be_folders_are_refused(tmp_path, name):
    with pytest.raises(SubmissionError, match="cannot be the name of a submission"):
        write_submission(name, "jax", "full", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_name_of_an_installed_submission_is_refused(plugin, tmp_path):
    with pytest.raises(SubmissionError, match="'toy_optimizer' is installed already"):
        write_submission("toy_optimizer", "jax", "full", tmp_path)


def test_file_in_the_way_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SubmissionError, match="file"):
        write_submission("mine", "jax", "full", tmp_path / "file")


def test_command_line_says_what_is_wrong(tmp_path, capsys):
    arguments = ["new", "a b", "--framework", "jax", "--folder", str(tmp_path)]
    assert main(arguments) == 2
    assert "algoperf: error: 'a b' cannot be the name" in capsys.readouterr().err
    for wrong in (["--framework", "tf"], ["--framework", "jax", "--style", "half"], []):
        with pytest.raises(SystemExit):
            main(["new", "mine", *wrong])
        assert "usage: algoperf new" in capsys.readouterr().err


def test_command_line_begins_an_optimizer_unless_told_otherwise(tmp_path, capsys):
    assert main(["new", "mine", "--framework", "torch", "--folder", str(tmp_path)]) == 0
    assert "from_torch(optimizer" in (tmp_path / "mine" / "submission.py").read_text()
    said = capsys.readouterr().out
    assert all(str(tmp_path / "mine" / name) in said for name in FILES)
