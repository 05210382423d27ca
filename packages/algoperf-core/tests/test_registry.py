"""What is installed is found through entry points, without importing a framework."""

import json
import subprocess
import sys

import pytest

from algoperf_core.cli import main
from algoperf_core.registry import catalogue, workload_provider
from algoperf_scoring import UnknownNameError


def test_package_of_a_third_party_appears_by_being_installed(plugin):
    listed = catalogue()
    assert {
        "name": "toy",
        "package": "toy-plugin",
        "summary": "Least squares with sixteen unknowns.",
    } in (listed["workloads"])
    assert {
        "name": "toy_optimizer",
        "package": "toy-plugin",
        "summary": "Plain gradient descent.",
    } in listed["submissions"]
    assert {
        "name": "toy-benchmark",
        "package": "toy-plugin",
        "summary": "Least squares, in seconds.",
    } in listed["benchmarks"]
    assert {
        "name": "notebook",
        "package": "toy-plugin",
        "summary": "Appends every call to `notebook.jsonl` in the trial's folder.",
    } in listed["trackers"]


def test_unknown_workload_suggests_the_nearest(plugin):
    with pytest.raises(UnknownNameError, match=r"'toi'.*toy"):
        workload_provider("toi")


def test_list_prints_a_line_for_each(plugin, capsys):
    assert main(["list"]) == 0
    printed = capsys.readouterr().out
    assert "toy_optimizer" in printed
    assert "Plain gradient descent. (toy-plugin)" in printed
    assert "algoperf-v0.6" in printed


def test_list_as_json_names_name_and_package(plugin, capsys):
    assert main(["list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert list(listed) == ["benchmarks", "workloads", "submissions", "trackers"]
    assert all({"name", "package"} <= entry.keys() for group in listed.values() for entry in group)


@pytest.mark.parametrize(
    "code",
    [
        "import algoperf_core",
        "from algoperf_core.cli import main; main(['list'])",
        "import algoperf_core.campaign, algoperf_core.display, algoperf_core.executors",
    ],
)
def test_no_framework_is_imported_before_a_trial(plugin, code):
    check = "import sys; print([m for m in ('jax', 'torch', 'flax', 'optax') if m in sys.modules])"
    run = subprocess.run(
        [sys.executable, "-c", f"{code}\n{check}"], capture_output=True, text=True, check=True
    )
    assert run.stdout.splitlines()[-1] == "[]"
