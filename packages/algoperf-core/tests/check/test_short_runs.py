"""Short runs in processes of their own: hostile submissions that only a run gives away, honest ones."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from algoperf_core.check import short_runs
from algoperf_core.check.findings import of_grade
from algoperf_core.check.modules import read_submission
from algoperf_core.check.rules import Grade
from algoperf_core.check.short_runs import CheckPlan
from algoperf_core.check.static import read_rules
from algoperf_core.check.verdict import check_submission
from algoperf_core.sources import find_submission
from algoperf_scoring import UnknownNameError

HERE = Path(__file__).parent
HOSTILE = HERE / "hostile_run"
PUBLISHED = HERE.parent / "published_style"
REPOSITORY = HERE.parents[3]
MARK = re.compile(r"# seen: ([\w\- ]+)$")


def marked(path):
    lines = path.read_text().splitlines()
    found = ((number, MARK.search(line)) for number, line in enumerate(lines, 1))
    return {(n, rule) for n, mark in found if mark for rule in mark[1].split()}


@pytest.fixture
def toy_run(plugin, tmp_path):
    def run(reference, **options):
        options = {"workloads": ("toy",), "steps": 8, "twice": False} | options
        return check_submission(str(reference), data_dir=tmp_path, **options)

    return run


@pytest.fixture
def space(tmp_path):
    path = tmp_path / "space.json"
    path.write_text(json.dumps({"learning_rate": {"feasible_points": [0.01]}}))
    return path


@pytest.mark.parametrize("name", ["world", "replaced", "model"])
def test_what_only_a_run_gives_away_is_seen_at_its_line(toy_run, name):
    pytest.importorskip("torch" if name == "model" else "jax")
    path = HOSTILE / f"{name}.py"
    verdict = toy_run(path)
    seen = {(f.line, f.rule_id) for f in verdict.findings if f.workload and f.path == path}
    assert sorted(marked(path) - seen) == []
    # A run that crashes, or a state that is changed, may leave more traces; none without a rule of its own.
    assert {rule for _, rule in seen} == {rule for _, rule in marked(path)}
    assert not verdict.keeps_the_rules


@pytest.mark.parametrize("name", ["background", "world", "replaced"])
def test_hidden_names_are_not_what_the_source_gives_away(name):
    findings = read_rules(read_submission(str(HOSTILE / f"{name}.py")))
    assert of_grade(findings, Grade.ERROR) == []


def test_run_that_does_not_repeat_is_a_warning(toy_run):
    pytest.importorskip("jax")
    verdict = toy_run(HOSTILE / "unseeded.py", twice=True)
    assert [f.rule_id for f in verdict.findings] == ["not-deterministic"]
    assert verdict.keeps_the_rules


def test_honest_submission_runs_without_a_finding(toy_run):
    pytest.importorskip("jax")
    verdict = toy_run(HOSTILE / "honest.py")
    assert verdict.findings == ()
    (run,) = verdict.runs
    assert (run.workload, run.steps, run.evaluations) == ("toy", 8, 5)
    assert verdict.summary() == (
        "honest: nothing breaks the rules (no errors, no warnings, no notes; read and run on toy)"
    )


@pytest.mark.parametrize("name", ["momentum_jax", "momentum_torch"])
def test_published_style_has_no_errors(toy_run, space, name):
    pytest.importorskip({"momentum_jax": "jax", "momentum_torch": "torch"}[name])
    verdict = toy_run(PUBLISHED / f"{name}.py", search_space=space)
    assert [f.rule_id for f in verdict.findings if f.grade is not Grade.NOTE] == []
    assert [run.not_run for run in verdict.runs] == [None]


def test_installed_submission_has_no_errors_in_either_framework(toy_run):
    pytest.importorskip("jax")
    pytest.importorskip("torch")
    verdict = toy_run("toy_optimizer")
    assert verdict.findings == ()
    assert [run.evaluations for run in verdict.runs] == [5, 5]


def test_workload_that_a_submission_has_no_batch_size_for_is_a_note(plugin, tmp_path, space):
    pytest.importorskip("jax")
    path = tmp_path / "picky.py"
    text = (HOSTILE / "honest.py").read_text()
    path.write_text(text.replace('"toy": 64', '"mnist": 64').replace('"digits": 128', '"ogbg": 1'))
    verdict = check_submission(str(path), steps=2, data_dir=tmp_path, twice=False)
    assert {f.rule_id for f in verdict.findings} == {"not-run"}
    # Whatever other workloads are installed.
    (toy,) = (run for run in verdict.runs if run.workload == "toy")
    assert "get_batch_size knows no" in toy.not_run


def test_unknown_workload_suggests_the_nearest(toy_run):
    with pytest.raises(UnknownNameError, match=r"'toi'.*toy"):
        toy_run(HOSTILE / "honest.py", workloads=("toi",))


def test_large_workloads_are_left_out_with_one_finding(monkeypatch, plugin):
    monkeypatch.setattr(short_runs, "installed", lambda group: ("fastmri", "imagenet_vit", "ogbg"))
    source = find_submission("toy_optimizer")
    plan = CheckPlan(source=source, framework="jax")
    runs = list(short_runs.run_workloads(plan))
    assert [run.workload for run in runs] == ["fastmri", "imagenet_vit", "ogbg"]
    assert {run.not_run for run in runs} == {"it is large"}
    (finding,) = [finding for run in runs for finding in run.findings]
    assert "fastmri, imagenet_vit, ogbg" in finding.detail


def test_submission_that_cannot_be_called_is_not_run(toy_run):
    verdict = toy_run(HERE / "hostile" / "signatures.py")
    assert verdict.runs == ()
    assert "read, not run" in verdict.summary()


def algoperf(*arguments):
    command = [sys.executable, "-m", "algoperf_core", "check", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_command_prints_findings_with_line_rule_and_remedy(plugin, tmp_path):
    pytest.importorskip("jax")
    report = tmp_path / "report.json"
    path = HOSTILE / "background.py"
    ended = algoperf(
        path, "--workload", "toy", "--steps", 4, "--json", report, "--data-dir", tmp_path
    )
    assert ended.returncode == 1, ended.stderr
    lines = ended.stdout.splitlines()
    assert lines[0] == "errors (1)"
    number = next(line for line, rule in marked(path) if rule == "paused-work")
    assert re.search(rf"background\.py:{number}: paused-work: a thread computed while", lines[1])
    assert lines[2].strip().startswith("kind(target=train_on")
    assert lines[3].startswith("    rule: Nothing is computed while the clock is paused")
    assert lines[4].startswith("    do:   ")
    assert lines[-1].startswith("background: breaks the rules (1 error, ")
    data = json.loads(report.read_text())
    assert data["keeps_the_rules"] is False
    (error,) = [f for f in data["findings"] if f["grade"] == "error"]
    assert (error["rule"], error["line"], error["workload"]) == ("paused-work", number, "toy")


def test_command_with_static_runs_nothing_and_writes_json_to_standard_output(plugin):
    ended = algoperf(HERE / "harmless" / "generic_shapes.py", "--static", "--json", "-")
    assert ended.returncode == 0, ended.stderr
    data = json.loads(ended.stdout)
    assert data["findings"] == []
    assert data["workloads"] == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["no/such/folder"], "no such file or folder"),
        (["nothing_like_it"], "unknown submission 'nothing_like_it'"),
        ([str(HERE / "test_short_runs.py"), "--steps", "1"], "is not a number above 1"),
        ([str(HOSTILE / "honest.py"), "--static", "--workload", "toy"], "leave out --workload"),
    ],
)
def test_input_that_cannot_be_used_has_exit_status_2(plugin, arguments, said):
    ended = algoperf(*arguments)
    assert ended.returncode == 2
    assert said in ended.stderr


def test_reading_a_submission_imports_no_framework(plugin):
    code = (
        "import sys; from algoperf_core.cli import main\n"
        f"main(['check', {str(HOSTILE / 'honest.py')!r}, '--static'])\n"
        "print([m for m in ('jax', 'torch', 'flax', 'optax') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "[]"
