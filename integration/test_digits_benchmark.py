"""The main job, shortened: a real benchmark on real data, scored from the logs it leaves."""

import csv
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from algoperf_scoring import load_benchmark, read_logs, score_logs, write_text_atomic

SUBMISSIONS = ("adamw", "nadamw", "nesterov")
# A published header: the ImageNet workloads have the same two metrics as the digits.
HEADER = [
    "accumulated_eval_time",
    "accumulated_logging_time",
    "accumulated_submission_time",
    "global_step",
    "preemption_count",
    "score",
    "test/accuracy",
    "test/loss",
    "test/num_examples",
    "total_duration",
    "train/accuracy",
    "train/loss",
    "validation/accuracy",
    "validation/loss",
    "validation/num_examples",
]
# Of the keys that every published meta_data_0.json has.
META_KEYS = {
    "workload.eval_batch_size",
    "workload.eval_period_time_sec",
    "workload.max_allowed_runtime_sec",
    "workload.num_eval_train_examples",
    "workload.num_test_examples",
    "workload.num_train_examples",
    "workload.num_validation_examples",
    "workload.step_hint",
    "workload.target_metric_name",
    "workload.test_target_value",
    "workload.validation_target_value",
    "cpu.util.avg_percent_since_last",
    "mem.total",
    "net.bytes_sent_since_boot",
    "os_platform",
    "python_version",
    "python_compiler",
    "cpu_model_name",
    "cpu_count",
    "rng_seed",
}


def algoperf(*arguments):
    command = [sys.executable, "-m", "algoperf_core", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module", params=["jax", "torch"])
def finished(request, tmp_path_factory):
    """A benchmark of one study and one trial, with an easy target and little budget."""
    root = tmp_path_factory.mktemp(request.param)
    benchmark = load_benchmark("algoperf-digits")
    goal = replace(
        benchmark.workloads["digits"],
        validation_target=0.2,
        test_target=0.2,
        budget_s=10.0,
        step_hint=60,
        eval_period_s=0.2,
    )
    easy = replace(benchmark, name="easy-digits", workloads={"digits": goal})
    write_text_atomic(root / "easy.toml", easy.to_toml())
    command = (
        *("run", *SUBMISSIONS, "--benchmark", root / "easy.toml", "--framework", request.param),
        *("--studies", 1, "--trials", 1, "--jobs", 2, "--runs", root / "runs"),
        *(
            "--data-dir",
            root / "data",
            "--json",
            root / "scores.json",
            "--plot",
            root / "profiles.png",
        ),
    )
    return request.param, root, command, algoperf(*command)


def trial_dirs(root):
    return sorted((root / "runs").glob("*/*/*/trial_*"))


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_benchmark_ends_with_a_leaderboard(finished):
    _, root, _, run = finished
    assert run.returncode == 0, run.stderr
    for name in SUBMISSIONS:
        assert f"{name} / digits / study 0 / trial 1" in run.stdout
    assert "Seconds to target" in run.stdout
    assert "Performance profiles" in run.stdout
    assert (root / "profiles.png").read_bytes().startswith(b"\x89PNG")
    scores = json.loads((root / "scores.json").read_text())
    assert sorted(scores["scores"]) == sorted(SUBMISSIONS)
    assert all(0.0 <= score <= 1.0 for score in scores["scores"].values())
    assert scores["times"]["adamw"]["digits"] > 0.0


def test_logs_have_the_published_layout(finished):
    framework, root, _, _ = finished
    suffix = {"jax": "jax", "torch": "pytorch"}[framework]
    assert [str(path.relative_to(root / "runs")) for path in trial_dirs(root)] == [
        f"{name}/study_0/digits_{suffix}/trial_1" for name in SUBMISSIONS
    ]
    for trial_dir in trial_dirs(root):
        evaluations = rows(trial_dir / "eval_measurements.csv")
        assert list(evaluations[0]) == HEADER
        assert evaluations[0]["global_step"] == "1"
        steps = [int(row["global_step"]) for row in evaluations]
        assert steps == sorted(set(steps))
        assert all(row["score"] == row["accumulated_submission_time"] for row in evaluations)
        assert evaluations[0]["accumulated_logging_time"] == "0.0"
        assert json.loads((trial_dir / "meta_data_0.json").read_text()).keys() >= META_KEYS
        assert json.loads((trial_dir / "hparams.json").read_text())["warmup_factor"] == 0.05
        assert "rng_seed" in json.loads((trial_dir / "flags_0.json").read_text())


def test_only_folders_stand_where_the_published_scorer_expects_submissions(finished):
    _, root, _, _ = finished
    assert all(path.is_dir() for path in (root / "runs").iterdir())


def test_measurements_hold_the_logged_losses_and_the_final_row(finished):
    _, root, _, _ = finished
    for trial_dir in trial_dirs(root):
        measurements = rows(trial_dir / "measurements.csv")
        assert list(measurements[0])[:3] == ["global_step", "grad_norm", "loss"]
        assert float(measurements[0]["loss"]) > 0.0
        final = {name: value for name, value in measurements[-1].items() if value}
        assert sorted(final) == ["global_step", "preemption_count", "score"]


def test_every_moment_of_a_trial_is_accounted_for(finished):
    _, root, _, _ = finished
    for trial_dir in trial_dirs(root):
        last = rows(trial_dir / "eval_measurements.csv")[-1]
        accounts = sum(
            float(last[f"accumulated_{name}_time"]) for name in ("submission", "eval", "logging")
        )
        # A row cannot hold the time of its own logging, which the total does not hold either.
        assert float(last["total_duration"]) == pytest.approx(accounts, rel=1e-3)


def test_logs_score_by_themselves_and_the_same_through_the_library(finished):
    _, root, _, _ = finished
    board = score_logs(root / "runs")
    assert board.benchmark.name == "easy-digits"
    printed = json.loads((root / "scores.json").read_text())["scores"]
    assert dict(zip(board.submissions, board.scores, strict=True)) == pytest.approx(printed)
    logs = read_logs(root / "runs", board.benchmark)
    assert logs.submissions == SUBMISSIONS


def test_same_command_again_repeats_nothing(finished):
    _, root, command, _ = finished
    before = {path: path.stat().st_mtime_ns for path in (root / "runs").rglob("outcome.json")}
    again = algoperf(*command)
    assert again.returncode == 0
    assert "3 of 3 trials are done already" in again.stdout
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_same_command_continues_what_is_missing(finished):
    _, root, command, _ = finished
    gone, kept = (path / "outcome.json" for path in trial_dirs(root)[:2])
    gone.unlink()
    before = kept.stat().st_mtime_ns
    again = algoperf(*command)
    assert again.returncode == 0, again.stderr
    assert gone.exists()
    assert kept.stat().st_mtime_ns == before


def test_own_submission_competes_with_the_baselines(tmp_path):
    submission = Path(__file__).with_name("signum.py")
    points = tmp_path / "points.json"
    points.write_text(
        '[{"learning_rate": 0.003}, {"learning_rate": 0.001}, {"learning_rate": 0.01}]'
    )
    run = algoperf(
        *("run", submission, "--benchmark", "algoperf-digits", "--tuning-search-space", points),
        *("--studies", 1, "--trials", 1, "--max-steps", 30, "--runs", tmp_path / "runs"),
        *("--data-dir", tmp_path / "data"),
    )
    assert run.returncode == 0, run.stderr
    assert "signum / digits / study 0 / trial 1: " in run.stdout
    (csv_file,) = (tmp_path / "runs").glob(
        "signum/study_0/digits_jax/trial_1/eval_measurements.csv"
    )
    assert [row["global_step"] for row in rows(csv_file)][-1] == "30"


def test_everything_installed_is_listed():
    listed = json.loads(algoperf("list", "--json").stdout)
    names = {group: {entry["name"] for entry in entries} for group, entries in listed.items()}
    assert {"algoperf-digits", "algoperf-v0.5", "algoperf-v0.6"} <= names["benchmarks"]
    assert "digits" in names["workloads"]
    assert set(SUBMISSIONS) <= names["submissions"]
