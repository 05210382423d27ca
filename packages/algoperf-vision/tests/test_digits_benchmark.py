"""The benchmark `algoperf-digits`, and the procedure that set its targets."""

import importlib.util
import json
import statistics
import sys
from pathlib import Path

import pytest

from algoperf_scoring import available_benchmarks, load_benchmark
from algoperf_vision.digits import WORKLOAD

PROCEDURES = Path(__file__).parents[1] / "procedures"


@pytest.fixture(scope="module")
def procedure():
    spec = importlib.util.spec_from_file_location(
        "set_digits_targets", PROCEDURES / "set_digits_targets.py"
    )
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def results():
    return json.loads((PROCEDURES / "set_digits_targets.json").read_text())


@pytest.fixture(scope="module")
def definition():
    return load_benchmark("algoperf-digits")


def test_the_benchmark_is_installed_by_its_name(definition):
    assert available_benchmarks()["algoperf-digits"] == "algoperf-vision"
    assert definition.name == "algoperf-digits"
    assert definition.base == ("digits",)
    assert definition.held_out == ()


@pytest.mark.parametrize(
    ("ruleset", "studies", "trials", "factor"), [("external", 3, 3, 1.0), ("self", 3, 1, 1.5)]
)
def test_rulesets_fit_a_coffee_break(definition, ruleset, studies, trials, factor):
    rules = definition.ruleset(ruleset)
    assert (rules.studies, rules.trials, rules.budget_factor) == (studies, trials, factor)
    assert definition.budget_s("digits", ruleset) * studies * trials < 120


def test_scores_are_exact_and_take_the_fastest_trial(definition):
    assert definition.scoring.method == "exact"
    assert definition.scoring.study_time == "fastest_trial"
    assert definition.scoring.max_ratio == 4.0


def test_the_goal_is_about_what_the_workload_measures(definition):
    goal = definition.workload("digits")
    assert goal.metric in WORKLOAD.metrics.names
    assert goal.direction == "maximize"
    assert goal.eval_period_s < goal.budget_s / 10


def test_the_targets_are_those_that_the_procedure_found(definition, procedure, results):
    goal = definition.workload("digits")
    found = procedure.targets(results)
    assert goal.validation_target == found["validation_target"]
    assert goal.test_target == found["test_target"]


def test_all_planned_runs_are_recorded(definition, procedure, results):
    planned = [
        run.name for run in procedure.planned(results, definition.workload("digits").step_hint)
    ]
    assert planned == list(results)


def test_recorded_runs_are_of_points_of_the_search_spaces(procedure, results):
    for result in results.values():
        assert set(result["hyperparameters"]) >= {"learning_rate", "weight_decay"}
        assert len(result["validation_accuracy"]) == len(result["step"]) == procedure.EVALUATIONS
        assert result["step"][-1] == result["steps"]


def test_all_tuned_runs_reach_the_target_and_most_of_them_not_at_once(procedure, results):
    target = procedure.targets(results)["validation_target"]
    runs = [result for result in results.values() if result["stage"] == "check"]
    hits = [procedure.first_hit(result, target) for result in runs]
    assert len(runs) == 15
    assert None not in hits
    shares = [run["step"][hit] / run["steps"] for run, hit in zip(runs, hits, strict=True)]
    assert statistics.median(shares) > 0.2
    assert max(shares) < 0.5


def test_without_label_smoothing_most_tuned_runs_reach_the_target(procedure, results):
    target = procedure.targets(results)["validation_target"]
    runs = [result for result in results.values() if result["stage"] == "check_plain"]
    reached = [procedure.first_hit(result, target) is not None for result in runs]
    assert (sum(reached), len(reached)) == (9, 15)


def test_targets_are_set_without_label_smoothing(results):
    for result in results.values():
        smoothing = result["hyperparameters"]["label_smoothing"]
        assert (smoothing == 0) == (result["stage"] in ("repeat", "check_plain"))


def test_small_learning_rates_do_not_reach_the_target(procedure, results):
    target = procedure.targets(results)["validation_target"]
    slow = [
        result
        for result in results.values()
        if result["algorithm"] != "nesterov" and result["hyperparameters"]["learning_rate"] < 5e-4
    ]
    assert slow
    assert all(procedure.first_hit(result, target) is None for result in slow)


def run(stage, algorithm, seed, validation, test, loss=0.1, point=0):
    return {
        "stage": stage,
        "algorithm": algorithm,
        "point": point,
        "seed": seed,
        "steps": len(validation),
        "step": list(range(1, len(validation) + 1)),
        "validation_accuracy": validation,
        "test_accuracy": test,
        "validation_loss": [loss] * len(validation),
        "hyperparameters": {"learning_rate": 0.1},
    }


def test_target_is_the_lowest_median_over_seeds(procedure):
    results = {
        "a1": run("repeat", "adamw", 1, [0.5, 0.9, 0.8], [0.5, 0.7, 0.9]),
        "a2": run("repeat", "adamw", 2, [0.6], [0.6]),
        "a3": run("repeat", "adamw", 3, [0.92], [0.65]),
        "b": run("repeat", "nadamw", 1, [0.95, 0.97], [0.8, 0.1]),
        "c": run("repeat", "nesterov", 1, [0.99], [0.95]),
        "d": run("search", "nesterov", 0, [0.1], [0.1]),
        "e": run("check", "nesterov", 1, [0.2], [0.2]),
    }
    assert procedure.targets(results) == {"validation_target": 0.9, "test_target": 0.65}


def test_the_first_evaluation_that_meets_the_target_counts(procedure):
    result = run("repeat", "adamw", 1, [0.5, 0.9, 0.8, 0.95], [0] * 4)
    assert procedure.first_hit(result, 0.9) == 1
    assert procedure.first_hit(result, 0.91) == 3
    assert procedure.first_hit(result, 0.96) is None


def test_the_best_point_has_the_best_accuracy_then_the_lowest_loss(procedure):
    results = {
        f"{algorithm}{point}": run("search", algorithm, 0, [accuracy], [0], loss, point)
        for algorithm in procedure.ALGORITHMS
        for point, (accuracy, loss) in enumerate([(0.8, 0.1), (0.9, 0.3), (0.9, 0.2)])
    }
    assert procedure.best_points(results) == dict.fromkeys(procedure.ALGORITHMS, 2)


def test_results_survive_on_disk(procedure, tmp_path):
    results = {
        "x": run("repeat", "adamw", 1, [0.5], [0.5]),
        "y": run("check", "adamw", 1, [1.0], [0.5]),
    }
    procedure._write(tmp_path / "results.json", results)
    assert json.loads((tmp_path / "results.json").read_text()) == results
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]
