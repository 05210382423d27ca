"""What the doctor finds, and that a broken installation is diagnosed instead of crashed into."""

import json
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest

from algoperf_core.cli import main
from algoperf_core.data_commands import DataDescription
from algoperf_core.doctor import diagnose
from algoperf_core.doctor.frameworks import check_framework, check_frameworks, run_code
from algoperf_core.doctor.host import (
    BusyProcess,
    busy_processes,
    check_clock,
    check_load,
    check_memory,
    check_processors,
    check_space,
    nearest_existing,
)
from algoperf_core.doctor.plugins import check_benchmark, check_entry_points
from algoperf_core.doctor.versions import (
    bad_combinations,
    check_jaxlib,
    check_python,
    check_versions,
    numbers,
    unmet_requirements,
)
from algoperf_core.errors import WorkloadError
from algoperf_scoring import load_benchmark


def grades(findings):
    return [finding.grade for finding in findings]


def only(findings):
    (finding,) = findings
    if finding.grade != "ok":
        assert finding.remedy
    return finding


# Versions.


@pytest.mark.parametrize(
    ("text", "expected"),
    [("2.13.0+cpu", (2, 13)), ("0.4.26", (0, 4, 26)), ("1", (1,)), ("3.0rc1", (3,)), ("dev", ())],
)
def test_versions_compare_by_their_numbers(text, expected):
    assert numbers(text) == expected


@pytest.mark.parametrize(
    ("found", "grade"), [((3, 10), "problem"), ((3, 11), "ok"), ((4, 0), "ok")]
)
def test_python_must_be_new_enough(found, grade):
    assert check_python(found).grade == grade


@pytest.mark.parametrize(
    ("installed", "said"),
    [
        ({"torch": "2.2.1", "numpy": "2.0.0"}, "torch 2.2.1 beside numpy 2.0.0 was built against"),
        ({"jax": "0.4.25", "numpy": "2.1"}, "jax 0.4.25 beside numpy 2.1 does not know NumPy 2"),
        ({"torch": "2.2.1", "numpy": "1.26.4"}, None),
        ({"torch": "2.13.0+cpu", "numpy": "2.4.6"}, None),
        ({"numpy": "2.4.6"}, None),
    ],
)
def test_known_bad_combinations_are_problems(installed, said):
    found = list(bad_combinations(installed))
    assert [said in finding.message for finding in found] == ([True] if said else [])
    assert grades(found) == ["problem"] * len(found)


@pytest.mark.parametrize(
    ("installed", "said"),
    [
        ({}, None),
        ({"jax": "0.10.2", "jaxlib": "0.10.2"}, None),
        ({"jax": "0.10.2"}, "without jaxlib"),
        ({"jax": "0.10.1", "jaxlib": "0.10.2"}, "jaxlib 0.10.2 is later than jax 0.10.1"),
        (
            {"jax": "0.10.2", "jaxlib": "0.10.2", "jax-cuda12-plugin": "0.9.2"},
            "jax-cuda12-plugin 0.9.2 does not go with jaxlib 0.10.2",
        ),
        ({"jax": "0.10.2", "jaxlib": "0.10.2", "jax-cuda12-plugin": "0.10.2"}, None),
    ],
)
def test_parts_of_jax_must_go_together(installed, said):
    found = list(check_jaxlib(installed))
    assert [said in finding.message for finding in found] == ([True] if said else [])


@pytest.mark.parametrize(
    ("line", "grade"),
    [
        ("numpy>=1.26", None),
        ("numpy (>=1.26)", None),
        ("NumPy>=99", "problem"),
        ('numpy[extra]>=99,<100; extra == "jax"', "warning"),
        ("no-such-package-anywhere>=1", "problem"),
        ('no-such-package-anywhere>=1; extra == "all"', None),
        ('no-such-package-anywhere; python_version < "3"', None),
    ],
)
def test_requirements_that_are_not_met_are_found(line, grade):
    found = list(unmet_requirements({"ours": [line]}))
    assert grades(found) == ([grade] if grade else [])
    assert all("ours" in finding.subject and finding.remedy for finding in found)


def test_this_installation_has_no_bad_versions():
    assert {finding.grade for finding in check_versions()} == {"ok"}


# Frameworks.


def ended(returncode=0, stdout="", stderr=""):
    return lambda code: SimpleNamespace(returncode=returncode, stdout=stdout, stderr=stderr)


def report(backend="cpu", count=1, kinds=(), built_for=None, result=8.0):
    data = {"version": "1.2.3", "backend": backend, "count": count, "kinds": list(kinds)}
    return "noise\n" + json.dumps(data | {"built_for": built_for, "result": result})


CARD = "NVIDIA H100 80GB HBM3"


@pytest.mark.parametrize(
    ("gpus", "device", "grade", "said"),
    [
        ([], {}, "ok", "1.2.3 on 1 x cpu"),
        ([CARD], {"backend": "cuda", "kinds": [CARD]}, "ok", f"1.2.3 on 1 x cuda ({CARD})"),
        ([], {"built_for": "CUDA 12.8"}, "warning", "no graphics card is visible"),
        ([CARD], {}, "problem", f"a build without CUDA, though the machine has {CARD}"),
        ([CARD], {"built_for": "CUDA 12.8"}, "problem", "no card is used"),
        ([], {"result": 7.5}, "problem", "computes wrong numbers: 7.5"),
    ],
)
@pytest.mark.parametrize("name", ["jax", "torch"])
def test_devices_that_are_not_used_are_explained(name, gpus, device, grade, said):
    run = ended(stdout=report(**device), stderr="driver too old\n")
    finding = only(check_framework(name, "", run, gpus))
    assert (finding.subject, finding.grade) == (name, grade)
    assert said in finding.message


def test_reason_that_a_framework_gives_is_passed_on():
    run = ended(stdout=report(built_for="CUDA 12.8"), stderr="...\nThe NVIDIA driver is too old\n")
    assert "The NVIDIA driver is too old" in only(check_framework("torch", "", run, [CARD])).message


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import no_such_framework", "cannot be used: ModuleNotFoundError: No module named"),
        ("import os; os.kill(os.getpid(), 11)", "crashes (signal 11)"),
        ("print('all fine')", "cannot be used: it said nothing"),
        ("print('[1, 2]')", "cannot be used"),
    ],
)
def test_broken_installation_is_diagnosed_in_a_process_of_its_own(code, said):
    finding = only(check_framework("jax", code, run_code, []))
    assert finding.grade == "problem"
    assert said in finding.message


def test_framework_that_hangs_is_given_up(monkeypatch):
    monkeypatch.setattr("algoperf_core.doctor.frameworks.TIMEOUT_S", 0.5)
    finding = only(check_framework("torch", "import time; time.sleep(60)", run_code, []))
    assert finding.grade == "problem"
    assert "does not come up within 0.5 s" in finding.message


def test_machine_without_any_framework_is_a_problem(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    finding = only(check_frameworks(gpus=list))
    assert finding.grade == "problem"
    assert "algoperf-core[jax]" in finding.remedy


def test_one_framework_is_enough(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: True if name == "jax" else None)
    findings = check_frameworks(ended(stdout=report()), gpus=list)
    assert grades(findings) == ["ok", "ok"]
    assert "not installed" in findings[1].message


def test_both_frameworks_of_this_installation_compute():
    pytest.importorskip("jax")
    pytest.importorskip("torch")
    assert grades(check_frameworks(gpus=list)) == ["ok", "ok"]


# The machine.


@pytest.mark.parametrize(
    ("load", "busy", "grade"),
    [
        (0.1, [], "ok"),
        (3.0, [], "warning"),
        (0.1, [BusyProcess(7, "firefox", 0.9)], "warning"),
    ],
)
def test_busy_machine_is_unfair(load, busy, grade):
    finding = only(check_load(load, busy, cpus=4))
    assert finding.grade == grade
    assert ("firefox (7) 90%" in finding.message) == bool(busy)


def test_busy_process_is_noticed_with_its_share():
    process = subprocess.Popen(
        [sys.executable, "-c", "print(1, flush=True)\nwhile True: pass"], stdout=-1
    )
    try:
        process.stdout.readline()
        # Others may be busy as well, and leave it little.
        seen = {found.pid: found.share for _ in range(5) for found in busy_processes(1.0)}
    finally:
        process.kill()
        process.communicate()
    assert 0.2 < seen[process.pid] < 1.5


def test_processor_quota_is_a_warning(monkeypatch):
    monkeypatch.setattr("algoperf_core.doctor.host.usable_cpus", lambda: [0, 1, 2, 3])
    for quota, grade in ((None, "ok"), (4.0, "ok"), (1.5, "warning")):
        monkeypatch.setattr("algoperf_core.doctor.host.cpu_quota", lambda quota=quota: quota)
        assert only(check_processors()).grade == grade


def test_little_memory_is_a_warning(monkeypatch):
    for free, grade in ((2**40, "ok"), (2**20, "warning")):
        monkeypatch.setattr(
            "algoperf_core.doctor.host.available_host_bytes", lambda free=free: free
        )
        assert only(check_memory()).grade == grade


def test_space_is_looked_at_where_the_folders_will_be(tmp_path, monkeypatch):
    data, runs = check_space(tmp_path / "a" / "b", tmp_path)
    assert (data.subject, runs.subject) == ("data", "runs")
    assert data.grade == runs.grade == "ok"
    assert nearest_existing(tmp_path / "a" / "b") == tmp_path
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=2**20))
    assert grades(check_space(tmp_path, tmp_path)) == ["warning", "warning"]


def test_folder_that_cannot_be_made_is_a_problem(tmp_path):
    (tmp_path / "file").write_text("")
    data, _ = check_space(tmp_path / "file" / "data", tmp_path)
    assert data.grade == "problem"
    assert "--data-dir" in data.remedy


@pytest.mark.parametrize(
    ("readings", "grade"),
    [
        ([0.0, 1e-7, 1e-7, 3e-7], "ok"),
        ([0.0, 0.0, 0.015, 0.03], "warning"),
        ([1.0, 0.9, 1.1], "problem"),
        ([1.0, 1.0], "warning"),
    ],
)
def test_clock_must_be_fine_and_never_go_backwards(readings, grade):
    assert only(check_clock(readings)).grade == grade


def test_clock_of_this_machine_is_fine():
    assert only(check_clock()).grade == "ok"


# What is installed.


def test_entry_points_that_cannot_be_loaded_are_named(tmp_path, monkeypatch):
    information = tmp_path / "broken-1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-one\nVersion: 1\n")
    (information / "entry_points.txt").write_text(
        "[algoperf.workloads]\ncursed = broken_module:X\n"
    )
    (tmp_path / "broken_module.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    problems = [finding for finding in check_entry_points() if finding.grade == "problem"]
    finding = only(problems)
    assert finding.subject == "workloads"
    assert "cursed cannot be loaded: ZeroDivisionError" in finding.message
    assert "broken-one" in finding.remedy


def test_entry_point_that_ends_the_process_is_a_problem():
    findings = list(check_entry_points(ended(returncode=-11)))
    assert grades(findings)[:2] == ["problem", "problem"]


def test_installed_plugins_are_listed(plugin):
    workloads, submissions, benchmarks = check_entry_points()
    assert "toy" in workloads.message
    assert "toy_optimizer" in submissions.message
    assert "toy-benchmark" in benchmarks.message


def prepared(answer):
    return lambda name: SimpleNamespace(is_prepared=lambda data_dir: answer)


def must_prepare(name):
    data = DataDescription(
        dataset="toys", folder="toys", prepared=False, on_the_fly=False, num_bytes=1
    )
    return SimpleNamespace(
        is_prepared=lambda data_dir: False,
        describe_data=lambda data_dir: data,
        prepare_data=lambda *arguments: None,
        verify_data=lambda *arguments: None,
    )


def test_data_that_no_trial_makes_are_a_problem_with_the_command(plugin, tmp_path):
    finding = only(check_benchmark("toy-benchmark", tmp_path, must_prepare))
    assert f"algoperf data prepare toys --data-dir {tmp_path}" in str(finding)


@pytest.mark.parametrize(
    ("provider", "grade", "said"),
    [
        (prepared(True), "ok", "data prepared in"),
        (prepared(False), "warning", "data not prepared in"),
        (must_prepare, "problem", "data not prepared in"),
        (lambda name: SimpleNamespace(), "ok", "cannot tell whether its data are prepared"),
    ],
)
def test_data_of_each_workload_are_looked_for(plugin, tmp_path, provider, grade, said):
    finding = only(check_benchmark("toy-benchmark", tmp_path, provider))
    assert (finding.subject, finding.grade) == ("toy-benchmark / toy", grade)
    assert said in finding.message


def test_workloads_that_are_not_installed_come_with_their_package(tmp_path):
    def missing(name):
        raise WorkloadError(f"no {name}")

    findings = list(check_benchmark("algoperf-v0.6", tmp_path, missing))
    assert grades(findings) == ["problem"] * 8
    remedies = " ".join(finding.remedy for finding in findings)
    for package in ("vision", "speech", "translation", "gnn", "recommendation"):
        assert f"pip install algoperf-{package}" in remedies


def test_missing_budget_and_unknown_benchmark_are_problems(plugin, tmp_path):
    benchmark = load_benchmark("toy-benchmark")
    goal = replace(benchmark.workloads["toy"], budget_s=None)
    path = tmp_path / "free.toml"
    path.write_text(replace(benchmark, workloads={"toy": goal}).to_toml())
    findings = list(check_benchmark(str(path), tmp_path, prepared(True)))
    assert grades(findings) == ["ok", "problem"]
    assert "has no budget" in findings[1].message
    assert only(check_benchmark("toy-bench", tmp_path)).grade == "problem"


# Together.


def test_diagnosis_of_this_machine_has_every_subject(plugin, tmp_path):
    findings = diagnose(benchmark="toy-benchmark", data_dir=tmp_path, runs=tmp_path)
    subjects = {finding.subject for finding in findings}
    assert subjects >= {
        *("Python", "packages", "libraries", "jax", "torch", "workloads", "submissions"),
        *("benchmarks", "toy-benchmark / toy", "processors", "load", "memory", "data", "runs"),
        "clock",
    }
    assert all(finding.remedy for finding in findings if finding.grade != "ok")


def test_command_fails_with_problems_only(tmp_path, monkeypatch, capsys):
    from algoperf_core.doctor.findings import ok, problem, warning

    found = [ok("a", "fine"), warning("b", "slow", "wait")]
    monkeypatch.setattr("algoperf_core.doctor.diagnose", lambda **options: found)
    assert main(["doctor"]) == 0
    printed = capsys.readouterr().out
    assert "warning b: slow\n        -> wait" in printed
    assert "1 ok, 1 warning, 0 problem" in printed
    found.append(problem("c", "broken", "mend it"))
    assert main(["doctor", "--json"]) == 1
    data = json.loads(capsys.readouterr().out)
    assert data[2] == {"grade": "problem", "subject": "c", "message": "broken", "remedy": "mend it"}
