"""Rules on folders and search spaces, the table of rules, findings, and what files belong to a submission."""

from __future__ import annotations

import ast
import inspect
import json
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from algoperf_core.background import BackgroundWork, child_processes, cpu_s, threads_since
from algoperf_core.check.contents import digest
from algoperf_core.check.findings import Finding, in_order
from algoperf_core.check.frozen_names import FrozenNames
from algoperf_core.check.modules import read_submission
from algoperf_core.check.rules import RULES, Grade, rules_as_markdown
from algoperf_core.check.signatures import signature_of
from algoperf_core.check.static import read_rules
from algoperf_core.errors import SubmissionError
from algoperf_scoring import UnknownNameError

HERE = Path(__file__).parent
DOCUMENTATION = HERE.parents[3] / "docs" / "rules.md"
READY = "from algoperf_core import from_optax\nsubmission = from_optax(abs, batch_size=8)\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "submission.py").write_text(READY)
    return tmp_path / "mine"


def found(folder, workloads=("toy", "wmt")):
    return {
        (f.path.name, f.line, f.rule_id)
        for f in read_rules(read_submission(str(folder)), workloads)
    }


# The table.


def test_documentation_holds_the_table_of_rules_as_it_is():
    if not DOCUMENTATION.parent.exists():
        pytest.skip("the documentation is not here")
    assert rules_as_markdown() in DOCUMENTATION.read_text()


def test_every_rule_is_whole_and_listed_once():
    text = rules_as_markdown()
    for rule in RULES.values():
        assert rule.sentence.endswith(".")
        assert rule.remedy
        assert "Dahl et al. 2023, section 4" in rule.source
        assert text.count(f"| `{rule.id}` |") == 1


def test_every_rule_is_broken_by_a_hostile_submission_or_in_a_test():
    marks = re.compile(r"# (?:caught|seen): ([\w\- ]+)$", re.MULTILINE)
    texts = [path.read_text() for path in HERE.rglob("*.py")]
    broken = {rule for text in texts for found in marks.findall(text) for rule in found.split()}
    quoted = {rule for rule in RULES if any(f'"{rule}"' in text for text in texts)}
    assert set(RULES) - broken - quoted == set()


# Folders.


def test_folder_with_nothing_but_a_submission_has_no_findings(folder):
    (folder / "tuning_search_space.json").write_text(
        '{"learning_rate": {"min": 1e-4, "max": 1e-2, "scaling": "log"}}'
    )
    (folder / "requirements.txt").write_text("einops==0.8\noptax==0.2.8\n# torch is installed\n")
    (folder / "README.md").write_text("text")
    assert found(folder) == set()


def test_second_search_space_is_an_error(folder):
    for name in ("tuning_search_space.json", "tuning_search_space_wmt.json"):
        (folder / name).write_text('{"learning_rate": {"feasible_points": [0.1]}}')
    assert found(folder) == {("tuning_search_space_wmt.json", 0, "search-space")}


@pytest.mark.parametrize(
    ("space", "line"),
    [
        ({"learning_rate": {"feasible_points": [1]}, "wmt": {"feasible_points": [2]}}, 7),
        ([{"learning_rate": 1, "workload": "wmt"}], 4),
    ],
)
def test_search_space_keyed_by_workload_is_an_error_at_the_key(folder, space, line):
    path = folder / "tuning_search_space.json"
    path.write_text(json.dumps(space, indent=2))
    findings = read_rules(read_submission(str(folder)), {"wmt"})
    assert {f.rule_id for f in findings} == {"search-space"}
    assert findings[0].text().startswith(('"wmt"', '"workload"'))
    assert line == pytest.approx(findings[0].line, abs=1)


def test_search_space_that_is_no_json_or_none_at_all_is_an_error(folder):
    path = folder / "tuning_search_space.json"
    path.write_text('{"a": 1,\n}')
    assert found(folder) == {("tuning_search_space.json", 2, "search-space")}
    path.write_text("[]")
    assert found(folder) == {("tuning_search_space.json", 0, "search-space")}


@pytest.mark.parametrize(
    ("name", "rule_id"),
    [
        ("fast.so", "opaque-code"),
        ("kernel.cu", "custom-kernels"),
        ("theta.state", "data-file"),
        ("weights.npz", "data-file"),
    ],
)
def test_files_that_are_no_source_are_told_by_their_kind(folder, name, rule_id):
    (folder / name).write_bytes(b"\0")
    assert found(folder) == {(name, 0, rule_id)}


def test_frameworks_in_requirements_are_a_warning_at_their_line(folder):
    (folder / "requirements.txt").write_text("einops\ntorch==2.1\nnvidia-cudnn-cu12\n")
    assert found(folder) == {
        ("requirements.txt", 2, "framework-versions"),
        ("requirements.txt", 3, "framework-versions"),
    }


def test_vendored_code_counts(folder):
    (folder / "vendored" / "deep").mkdir(parents=True)
    (folder / "vendored" / "deep" / "code.py").write_text("import os\nos.system('true')\n")
    assert found(folder) == {("code.py", 2, "commands")}


def test_file_that_is_not_python_is_an_error_at_its_line(folder):
    (folder / "broken.py").write_text("x = 1\ndef f(:\n")
    assert found(folder) == {("broken.py", 2, "api")}


def test_source_that_is_nested_too_deeply_is_an_error_not_a_crash(folder):
    (folder / "deep.py").write_text("x = " + "+".join(["1"] * 3000) + "\n")
    assert {rule for _, _, rule in found(folder)} <= {"opaque-code", "api"}
    assert found(folder)


def test_long_chains_of_calls_are_read_quickly(folder):
    (folder / "chain.py").write_text("x = f()" + ".next()" * 60 + "\n")
    assert found(folder) == set()


# Which files.


def test_single_file_counts_with_what_it_imports_and_nothing_else(tmp_path):
    (tmp_path / "one.py").write_text(f"from .rule import a\nimport other\n{READY}")
    (tmp_path / "rule.py").write_text("from . import deeper\na = 1\n")
    (tmp_path / "deeper.py").write_text("")
    (tmp_path / "other.py").write_text("")
    (tmp_path / "unrelated.py").write_text("import os\nos.system('true')\n")
    files = read_submission(str(tmp_path / "one.py"))
    assert set(files.modules) == {"one", "rule", "deeper", "other"}
    assert files.name == "one"


def test_archived_import_paths_are_followed(folder):
    (folder / "rule.py").write_text("import os\nPATH = os.system\n")
    (folder / "submission.py").write_text(
        "from submissions.archive.mine.rule import PATH\nPATH('true')\n" + READY
    )
    assert ("submission.py", 2, "commands") in found(folder)


def test_installed_submission_counts_with_its_package(plugin):
    files = read_submission("toy_optimizer")
    assert {module.path.name for module in files.entries} == {
        "submission_jax.py",
        "submission_pytorch.py",
    }
    assert files.frameworks == {"jax", "pytorch"}


def test_paths_and_names_that_do_not_exist_are_refused(plugin, tmp_path):
    with pytest.raises(SubmissionError, match="no such file or folder"):
        read_submission(str(tmp_path / "none.py"))
    with pytest.raises(SubmissionError, match=r"holds none of submission\.py"):
        read_submission(str(tmp_path))
    with pytest.raises(UnknownNameError, match="toy_optimizer"):
        read_submission("toy_optimiser")
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(SubmissionError, match=r"\.py file or a folder"):
        read_submission(str(tmp_path / "notes.txt"))


# Findings.


def test_line_that_was_read_and_seen_to_run_is_one_finding(tmp_path):
    path = tmp_path / "a.py"
    path.write_text("first\n  second\n")
    read = Finding("files", path, 2, "uses open")
    seen = Finding("files", path, 2, "was seen to do open", "toy")
    other = Finding("files", path, 1, "uses open")
    assert in_order([seen, read, seen]) == [Finding("files", path, 2, "was seen to do open", None)]
    assert in_order([read, other]) == [other, read]
    assert read.text() == "second"
    assert Finding("files", path, 9, "").text() == ""
    assert Finding("not-run", None, 0, "").text() == ""


def test_finding_as_data_holds_all_about_it(tmp_path):
    path = tmp_path / "a.py"
    path.write_text("x\n")
    data = Finding("files", path, 1, "uses open", "toy").to_dict()
    assert data["grade"] == str(Grade.ERROR)
    assert (data["rule"], data["line"], data["text"], data["workload"]) == ("files", 1, "x", "toy")
    assert data["sentence"] == RULES["files"].sentence


@pytest.mark.parametrize(
    "text",
    ["def f(a, b=1, /, c=2, *, d, e=3, **f): ...", "def f(*args): ...", "def f(a, *b, c): ..."],
)
def test_signature_from_source_is_that_of_the_function(text):
    space = {}
    exec(text, space)  # noqa: S102
    (node,) = ast.parse(text).body
    real = inspect.signature(space["f"])
    read = signature_of(node.args)
    assert [(p.name, p.kind, p.default is p.empty) for p in read.parameters.values()] == [
        (p.name, p.kind, p.default is p.empty) for p in real.parameters.values()
    ]


# Digests, identities, work in the background.


class Optimizer:
    def __init__(self, momentum):
        self.momentum = momentum

    def state_dict(self):
        return {"momentum": self.momentum}


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ({"w": np.zeros(3)}, {"w": np.ones(3)}),
        ({"w": np.zeros(3)}, {"w": np.zeros((3, 1))}),
        ({"w": np.zeros(3, np.float32)}, {"w": np.zeros(3)}),
        ([1, 2], [2, 1]),
        ({"a": 1}, {"b": 1}),
        (Optimizer(1.0), Optimizer(2.0)),
        ((1, None), (1, 0)),
        ("1", 1),
    ],
)
def test_digests_of_different_contents_differ(a, b):
    assert digest(a) == digest(a)
    assert digest(a) != digest(b)


def test_digest_survives_cycles_and_functions():
    loop = {"f": print}
    loop["self"] = loop
    assert digest(loop) == digest(loop)


def test_digest_of_too_much_is_none(monkeypatch):
    monkeypatch.setattr("algoperf_core.check.contents.LARGEST_BYTES", 100)
    assert digest(np.zeros(1000)) is None


def test_digest_reads_arrays_of_both_frameworks():
    jax = pytest.importorskip("jax")
    torch = pytest.importorskip("torch")
    key = jax.random.key(0)
    assert digest({"key": key}) != digest({"key": jax.random.split(key)[0]})
    module = torch.nn.Linear(2, 2).bfloat16()
    before = digest(module)
    with torch.no_grad():
        module.weight.add_(1.0)
    assert digest(module) != before


def test_replaced_and_deleted_names_are_told_once(monkeypatch):
    names = FrozenNames(("math", "time", "no_such_module"))
    monkeypatch.setattr("time.monotonic", time.time)
    monkeypatch.delattr("math.erf")
    assert set(names.changed()) >= {"time.monotonic", "math.erf"}
    assert names.changed() == []


def test_threads_and_their_processor_time_are_measured():
    stop = threading.Event()
    before = threading.enumerate()

    def work():
        while not stop.is_set():
            sum(range(1000))

    busy = threading.Thread(target=work, daemon=True)
    idle = threading.Thread(target=stop.wait, daemon=True)
    measured = BackgroundWork(lambda: threads_since(before))
    idle.start()
    measured.start()
    busy.start()
    started_s = time.monotonic()
    while cpu_s(busy) < 0.02 and time.monotonic() - started_s < 30:
        time.sleep(0.01)
    spent = measured.stop()
    stop.set()
    assert set(spent) == {busy, idle}
    assert spent[busy] >= 0.02
    assert spent[idle] < spent[busy]


def test_children_of_this_process_are_found():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert child.pid in [process.pid for process in child_processes()]
    finally:
        child.communicate(b"\n")
    assert cpu_s(psutil.Process()) > 0.0
