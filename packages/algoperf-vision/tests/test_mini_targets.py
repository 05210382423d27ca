"""The benchmark `algoperf-mini`: its targets are those that the recorded runs give."""

from pathlib import Path

import pytest

from algoperf_core.targets import Procedure, first_hit, found_targets, planned_runs, read_curves
from algoperf_core.targets.results import best_points
from algoperf_scoring import available_benchmarks, load_benchmark

RESULTS = Path(__file__).parents[1] / "procedures" / "mini_targets"
MINI = load_benchmark("algoperf-mini")
NAMES = ("imagenet_resnet_mini", "imagenet_vit_mini", "fastmri_mini")
ALGORITHMS = ("adamw", "nadamw", "nesterov")
EVERY_NAME = pytest.mark.parametrize("name", NAMES)


def curves_of(name):
    return read_curves(RESULTS / f"{name}.jsonl")


def test_the_benchmark_is_installed_by_its_name():
    assert available_benchmarks()["algoperf-mini"] == "algoperf-vision"
    assert MINI.base == ("digits", *NAMES)
    assert MINI.scoring == load_benchmark("algoperf-digits").scoring


def test_digits_is_the_same_in_both_benchmarks():
    assert MINI.workload("digits") == load_benchmark("algoperf-digits").workload("digits")


@EVERY_NAME
def test_all_planned_runs_are_recorded_and_no_others(name):
    goal, curves = MINI.workload(name), curves_of(name)
    procedure = Procedure(algorithms=ALGORITHMS, step_hint=goal.step_hint)
    chosen = best_points(curves.values(), goal)
    planned = [run.name for run in planned_runs(procedure, chosen)]
    assert sorted(planned) == sorted(curves)
    assert len(planned) == 3 * (8 + 5 + 5)


@EVERY_NAME
def test_targets_are_those_that_the_procedure_found(name):
    goal = MINI.workload(name)
    found = found_targets(curves_of(name).values(), goal)
    assert goal.validation_target == found.validation
    assert goal.test_target == found.test


def best_algorithms_hits(name, stage):
    """For each run of the best algorithm in a stage the share of its steps at the target; None for never."""
    goal, curves = MINI.workload(name), curves_of(name)
    algorithm = found_targets(curves.values(), goal).algorithm
    shares = []
    for curve in curves.values():
        if (curve.run.stage, curve.run.algorithm) == (stage, algorithm):
            hit = first_hit(curve, goal, goal.validation_target)
            shares.append(None if hit is None else curve.evaluated_at[hit] / curve.run.steps)
    return shares


@EVERY_NAME
def test_the_best_algorithm_reaches_the_target_late_in_training(name):
    shares = [share for share in best_algorithms_hits(name, "repeat") if share is not None]
    assert len(shares) >= 3
    assert min(shares) > 0.5


@EVERY_NAME
def test_the_best_algorithm_reaches_the_target_with_the_whole_step_hint(name):
    shares = best_algorithms_hits(name, "check")
    assert len(shares) == 5
    assert None not in shares


@EVERY_NAME
def test_a_bad_learning_rate_does_not_come_near_the_target(name):
    goal, curves = MINI.workload(name), curves_of(name)
    slow = [
        max(curve.validation)
        for curve in curves.values()
        if curve.run.algorithm != "nesterov" and curve.hyperparameters["learning_rate"] < 1.5e-4
    ]
    assert len(slow) == 4
    assert all(best < 0.7 * goal.validation_target for best in slow)
