"""Sets the targets of `digits` after the procedure of Dahl et al. (2023).

Each tuned baseline tries points of its published search space for a share of the step hint; its best
point is repeated with other seeds and without label smoothing, so that an algorithm which does not
regularise can reach the target, too. From the best validation accuracies of these repetitions come the
targets (`targets`), and from repetitions with the whole step hint how reliably they are reached.

    python packages/algoperf-vision/procedures/set_digits_targets.py

Every finished run is in the results file at once; run the script again to continue or to print the
outcome. It needs algoperf-vision[jax] and algoperf-baselines[jax].
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from algoperf_core.cli import default_data_dir
from algoperf_core.seeds import derive_seed
from algoperf_core.tuning import SearchSpace, hyperparameters, load_search_space
from algoperf_scoring import BenchmarkWorkload, load_benchmark
from algoperf_vision.digits import WORKLOAD

RESULTS = Path(__file__).with_suffix(".json")
ALGORITHMS = ("adamw", "nadamw", "nesterov")
ROOT_SEED = 20261122
POINTS = 8
SEEDS = 5
HORIZON_SHARE = 0.75
EVALUATIONS = 25


@dataclass(frozen=True, kw_only=True)
class Run:
    """What is trained.

    Args:
        stage: `search`; `repeat`, without label smoothing; `check_plain`, the same with the whole step
            hint; `check`, with label smoothing and the whole step hint.
        algorithm: Name of the baseline.
        point: Number of the point in the algorithm's search space.
        seed: Number of the repetition.
        steps: Number of steps, which the learning-rate schedule plans for.
    """

    stage: str
    algorithm: str
    point: int
    seed: int
    steps: int

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """Hyperparameters of the run."""
        point = search_space(self.algorithm).points(POINTS)[self.point]
        return point if self.stage in ("search", "check") else {**point, "label_smoothing": 0.0}

    @property
    def name(self) -> str:
        """Identifies the run in the results."""
        return (
            f"{self.stage}/{self.algorithm}/point_{self.point}/seed_{self.seed}/{self.steps}_steps"
        )


Results = dict[str, dict[str, Any]]


def search_space(algorithm: str) -> SearchSpace:
    """The published search space of a baseline."""
    resource = files(f"algoperf_baselines.{algorithm}") / "tuning_search_space.json"
    with as_file(resource) as path:
        return load_search_space(path)


def train(run: Run, goal: BenchmarkWorkload, data_dir: str) -> dict[str, Any]:
    """Trains once and evaluates at evenly spaced steps.

    Returns:
        The run, its hyperparameters, and by evaluation `step`, `validation_accuracy`, `test_accuracy`
        and `validation_loss`.
    """
    import jax

    workload = WORKLOAD.create("jax", replace(goal, step_hint=run.steps))
    submission = import_module(f"algoperf_baselines.{run.algorithm}.submission_jax").submission
    chosen = hyperparameters(run.hyperparameters)
    keys = {
        purpose: jax.random.key(derive_seed(ROOT_SEED, run.algorithm, run.point, run.seed, purpose))
        for purpose in ("data", "model", "optimizer", "step")
    }
    batch_size = submission.get_batch_size(workload.name)
    queue = workload._build_input_queue(keys["data"], "train", data_dir, batch_size)
    params, model_state = workload.init_model_fn(keys["model"])
    state = submission.init_optimizer_state(
        workload, params, model_state, chosen, keys["optimizer"]
    )
    due = {round(run.steps * (number + 1) / EVALUATIONS) for number in range(EVALUATIONS)}
    curve: dict[str, list[float]] = {key: [] for key in (*CURVES, "step")}
    for step in range(run.steps):
        state, params, model_state = submission.update_params(
            workload=workload,
            current_param_container=params,
            current_params_types=workload.model_params_types,
            model_state=model_state,
            hyperparameters=chosen,
            batch=next(queue),
            loss_type=workload.loss_type,
            optimizer_state=state,
            eval_results=[],
            global_step=step,
            rng=keys["step"],
        )
        if step + 1 in due:
            metrics = workload.eval_model(
                workload.eval_batch_size, params, model_state, keys["step"], data_dir
            )
            curve["step"].append(step + 1)
            for name, key in CURVES.items():
                curve[name].append(round(metrics[key], 5))
    return {**asdict(run), "hyperparameters": run.hyperparameters, **curve}


CURVES = {
    "validation_accuracy": "validation/accuracy",
    "test_accuracy": "test/accuracy",
    "validation_loss": "validation/loss",
}


def best(result: Mapping[str, Any]) -> float:
    """Best validation accuracy of a run."""
    return max(result["validation_accuracy"])


def best_points(results: Results) -> dict[str, int]:
    """By algorithm, the point of the best searched run; the lower final loss breaks ties."""
    chosen = {}
    for algorithm in ALGORITHMS:
        searched = _select(results, "search", algorithm)
        winner = max(searched, key=lambda result: (best(result), -result["validation_loss"][-1]))
        chosen[algorithm] = int(winner["point"])
    return chosen


def targets(results: Results) -> dict[str, float]:
    """Validation and test target from the repetitions.

    The validation target is the lowest of the algorithms' medians (over seeds, of the best validation
    accuracy). The test target is the worst test accuracy, over the repetitions that meet the validation
    target, at the first evaluation that does. Both are cut to four digits, so that rounding cannot put a
    target above the accuracy it comes from.
    """
    validation = _cut(min(medians(results).values()))
    hits = [(result, first_hit(result, validation)) for result in _select(results, "repeat")]
    tests = [result["test_accuracy"][hit] for result, hit in hits if hit is not None]
    return {"validation_target": validation, "test_target": _cut(min(tests))}


def medians(results: Results) -> dict[str, float]:
    """By algorithm, the median over the repetitions of the best validation accuracy."""
    return {
        algorithm: statistics.median(
            best(result) for result in _select(results, "repeat", algorithm)
        )
        for algorithm in ALGORITHMS
    }


def first_hit(result: Mapping[str, Any], target: float) -> int | None:
    """Number of the first evaluation that meets a validation target; None if none does."""
    hits = (n for n, accuracy in enumerate(result["validation_accuracy"]) if accuracy >= target)
    return next(hits, None)


def planned(results: Results, step_hint: int) -> Iterator[Run]:
    """All runs in order; the repetitions follow from the results of the search."""
    short = round(HORIZON_SHARE * step_hint)
    for algorithm in ALGORITHMS:
        for point in range(POINTS):
            yield Run(stage="search", algorithm=algorithm, point=point, seed=0, steps=short)
    for stage, steps in (("repeat", short), ("check", step_hint), ("check_plain", step_hint)):
        for algorithm, point in best_points(results).items():
            for seed in range(1, SEEDS + 1):
                yield Run(stage=stage, algorithm=algorithm, point=point, seed=seed, steps=steps)


def report(results: Results) -> str:
    """The outcome as text: points, repetitions, targets, and how reliably they are reached."""
    goal = targets(results)
    lines = [f"targets {json.dumps(goal)}", f"medians {json.dumps(medians(results))}"]
    for stage in ("search", "repeat", "check", "check_plain"):
        for result in _select(results, stage):
            hit = first_hit(result, goal["validation_target"])
            share = "-" if hit is None else f"{result['step'][hit] / result['steps']:.0%}"
            lines.append(
                f"{stage:12}{result['algorithm']:9} point {result['point']} seed {result['seed']}  "
                f"best {best(result):.3f}  target at {share:>4} of {result['steps']} steps  "
                f"learning rate {result['hyperparameters']['learning_rate']:.2g}"
            )
    return "\n".join(lines)


def _cut(accuracy: float) -> float:
    return math.floor(accuracy * 1e4) / 1e4


def _select(results: Results, stage: str, algorithm: str | None = None) -> Sequence[dict[str, Any]]:
    return [
        result
        for result in results.values()
        if result["stage"] == stage and algorithm in (None, result["algorithm"])
    ]


def _write(path: Path, results: Results) -> None:
    runs = ",\n".join(f"{json.dumps(name)}: {json.dumps(run)}" for name, run in results.items())
    temporary = path.with_suffix(".part")
    temporary.write_text(f"{{\n{runs}\n}}\n", encoding="utf-8")
    temporary.replace(path)


def main() -> None:
    """Runs what is missing, then prints the outcome."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--data-dir", default=default_data_dir())
    options = parser.parse_args()
    goal = load_benchmark("algoperf-digits").workload("digits")
    results: Results = {}
    if options.results.is_file():
        results = json.loads(options.results.read_text(encoding="utf-8"))
    for run in planned(results, int(goal.step_hint or 0)):
        if run.name in results:
            continue
        started_s = time.monotonic()
        results[run.name] = train(run, goal, options.data_dir)
        _write(options.results, results)
        print(run.name, f"{best(results[run.name]):.3f}", f"{time.monotonic() - started_s:.1f} s")  # noqa: T201
    print(report(results))  # noqa: T201


if __name__ == "__main__":
    main()
