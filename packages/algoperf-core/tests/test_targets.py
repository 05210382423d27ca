"""Targets as Dahl et al. (2023) set them: tune, repeat the best point, take the median."""

import gc
import json
import math
import weakref
from dataclasses import replace
from types import SimpleNamespace

import pytest

from algoperf_core.cli import main
from algoperf_core.errors import RecordError
from algoperf_core.registry import workload_provider
from algoperf_core.targets import (
    Curve,
    Procedure,
    Run,
    first_hit,
    found_targets,
    planned_runs,
    read_curves,
)
from algoperf_core.targets.report import report
from algoperf_core.targets.results import append_curve, best_points, best_value

TWO = Procedure(algorithms=("a", "b"), step_hint=100, points=3, seeds=2)


def curve(values, stage="repeat", algorithm="a", point=0, seed=1, test=None):
    return Curve(
        run=Run(stage=stage, algorithm=algorithm, point=point, seed=seed, steps=75),
        hyperparameters={"learning_rate": 0.1},
        evaluated_at=tuple(range(1, len(values) + 1)),
        validation=tuple(values),
        test=tuple(values if test is None else test),
        seconds=1.0,
    )


@pytest.fixture
def loss_goal(goal):
    return replace(goal, metric="loss", direction="minimize")


def test_every_point_is_searched_before_the_best_are_repeated():
    runs = planned_runs(TWO, {"a": 2, "b": 0})
    assert [run.stage for run in runs] == ["search"] * 6 + ["repeat"] * 4 + ["check"] * 4
    assert {run.point for run in runs[:6]} == {0, 1, 2}
    assert {(run.algorithm, run.point) for run in runs[6:]} == {("a", 2), ("b", 0)}
    assert {run.seed for run in runs[6:]} == {1, 2}
    assert len({run.name for run in runs}) == len(runs)


def test_search_and_repetitions_train_for_a_share_of_the_step_hint():
    steps = {run.stage: run.steps for run in planned_runs(TWO, {"a": 0})}
    assert steps == {"search": 75, "repeat": 75, "check": 100}
    assert {run.stage for run in planned_runs(replace(TWO, check=False), {"a": 0})} == {
        "search",
        "repeat",
    }


def test_the_best_value_ignores_what_diverged(goal, loss_goal):
    assert best_value(curve([0.2, 0.7, 0.5]), goal) == 0.7
    assert best_value(curve([0.2, math.nan]), goal) == 0.2
    assert best_value(curve([0.2, 0.7, 0.5]), loss_goal) == 0.2
    assert best_value(curve([math.nan]), goal) == -math.inf
    assert best_value(curve([math.inf]), loss_goal) == math.inf


def test_the_point_with_the_best_search_is_repeated(goal, loss_goal):
    curves = [
        curve([0.5], "search", point=0),
        curve([0.9, 0.1], "search", point=1),
        curve([0.9], "search", point=2),
        curve([0.3], "search", "b", point=1),
        curve([1.0], "repeat", point=0),
    ]
    assert best_points(curves, goal) == {"a": 1, "b": 1}
    assert best_points(curves, loss_goal) == {"a": 1, "b": 1}
    assert best_points(curves[:1] + curves[2:], loss_goal)["a"] == 0


def test_the_target_is_the_median_of_the_best_algorithm(goal):
    curves = [curve([value], seed=n) for n, value in enumerate((0.70, 0.90, 0.80))]
    curves += [curve([value], algorithm="b", seed=n) for n, value in enumerate((0.95, 0.60, 0.61))]
    found = found_targets(curves, goal)
    assert found.algorithm == "a"
    assert found.validation == 0.8
    assert found.medians == {"a": 0.8, "b": 0.61}


def test_the_test_target_is_the_worst_of_those_that_met_the_validation_target(goal):
    curves = [
        curve([0.5, 0.9, 0.9], test=[0.1, 0.7, 0.2], seed=1),
        curve([0.8, 0.9, 0.9], test=[0.6, 0.1, 0.1], seed=2),
        curve([0.7, 0.7, 0.7], test=[0.0, 0.0, 0.0], seed=3),
        curve([0.99], test=[0.0], algorithm="b"),
        curve([0.0], test=[0.0], algorithm="b", seed=2),
        curve([0.0], test=[0.0], algorithm="b", seed=3),
    ]
    found = found_targets(curves, goal)
    assert found.validation == 0.9
    assert found.test == 0.1


def test_without_a_test_split_there_is_no_test_target(goal):
    assert found_targets([curve([0.5], test=[])], goal).test is None


def test_targets_are_cut_so_that_they_were_reached(goal, loss_goal):
    assert found_targets([curve([0.123456])], goal).validation == 0.1234
    assert found_targets([curve([0.123456])], loss_goal).validation == 0.1235
    assert found_targets([curve([0.9714])], goal).validation == 0.9714
    for each in (goal, loss_goal):
        repeated = [curve([0.123456])]
        assert first_hit(repeated[0], each, found_targets(repeated, each).validation) == 0


def test_there_are_no_targets_without_repetitions(goal):
    assert found_targets([curve([0.5], "search")], goal) is None
    assert "targets follow" in report([curve([0.5], "search")], goal)


def test_results_are_read_as_they_were_written(tmp_path):
    path = tmp_path / "new" / "results.jsonl"
    curves = [curve([0.5, 0.6]), curve([0.7], "search", "b", 3, 0)]
    for each in curves:
        append_curve(path, each)
    assert list(read_curves(path).values()) == curves
    assert read_curves(tmp_path / "none.jsonl") == {}


def test_a_line_that_was_cut_off_is_left_out_and_a_wrong_one_is_named(tmp_path):
    path = tmp_path / "results.jsonl"
    append_curve(path, curve([0.5]))
    whole = path.read_text()
    path.write_text(whole + '{"stage": "sea')
    assert len(read_curves(path)) == 1
    path.write_text(whole + '{"stage": "search"}\n')
    with pytest.raises(RecordError, match=r"results.jsonl: line 2: .*algorithm"):
        read_curves(path)


def test_report_says_targets_and_how_often_they_were_met(goal):
    curves = [
        curve([0.5, 0.9], "search"),
        curve([0.5, 0.7], "search", point=1),
        curve([0.5, 0.8]),
        curve([0.6, 0.9], "check"),
    ]
    text = report(curves, goal)
    assert "validation target: accuracy 0.8, the median of a" in text
    assert "| a | 0 | 0.8000 to 0.8000 | 0.8000 | 1 of 2 | 3% |" in text


@pytest.mark.parametrize("framework", ["jax", "torch"])
def test_command_runs_what_is_missing_and_nothing_twice(plugin, tmp_path, capsys, framework):
    pytest.importorskip(framework)
    results = tmp_path / "results.jsonl"
    command = ["targets", "toy-benchmark", "toy", "toy_optimizer", "--results", str(results)]
    command += ["--points", "2", "--seeds", "1", "--framework", framework]
    figure = tmp_path / "curves.png"
    assert main([*command, "--share", "1/2"]) == 1
    assert len(read_curves(results)) == 1
    assert main([*command, "--figure", str(figure)]) == 0
    curves = read_curves(results)
    assert [each.run.stage for each in curves.values()] == ["search", "search", "repeat", "check"]
    assert figure.read_bytes().startswith(b"\x89PNG")
    before = results.read_text()
    capsys.readouterr()
    assert main(command) == 0
    assert results.read_text() == before
    assert "validation target" in capsys.readouterr().out


def test_runs_are_evaluated_by_steps_and_repeat_exactly(plugin, tmp_path):
    lines = []
    for name in ("first", "second"):
        results = tmp_path / f"{name}.jsonl"
        command = ["targets", "toy-benchmark", "toy", "toy_optimizer", "--results", str(results)]
        assert main([*command, "--points", "1", "--seeds", "1", "--no-check"]) == 0
        rows = [json.loads(line) for line in results.read_text().splitlines()]
        lines.append([{**row, "seconds": 0} for row in rows])
    assert lines[0] == lines[1]
    for row in lines[0]:
        assert row["evaluated_at"][0] == 1
        assert row["evaluated_at"][-1] == row["steps"]
        assert len(row["validation"]) == len(row["evaluated_at"])


def test_a_run_keeps_nothing_of_the_one_before(plugin, tmp_path, monkeypatch):
    created, alive = [], []

    def create(framework, goal):
        alive.append([workload() is not None for workload in created])
        workload = provider.create(framework, goal)
        workload.itself = workload  # as jitted methods of a workload do
        created.append(weakref.ref(workload))
        return workload

    provider = workload_provider("toy")
    counted = SimpleNamespace(create=create)
    monkeypatch.setattr("algoperf_core.targets.training.workload_provider", lambda name: counted)
    gc.disable()
    try:
        command = ["targets", "toy-benchmark", "toy", "toy_optimizer", "--results"]
        assert main([*command, str(tmp_path / "r.jsonl"), "--points", "2", "--seeds", "1"]) == 0
    finally:
        gc.enable()
    assert alive == [[], [False], [False, False], [False, False, False]]


@pytest.mark.parametrize("share", ["0/2", "3/2", "1", "a/b"])
def test_a_wrong_share_is_refused(share, capsys):
    with pytest.raises(SystemExit):
        main(["targets", "b", "w", "s", "--results", "r", "--share", share])
    assert "1/2" in capsys.readouterr().err
