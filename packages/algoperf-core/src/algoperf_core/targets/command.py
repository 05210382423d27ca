"""`algoperf targets`: sets the targets of a workload, run by run, and continues where it was stopped."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from algoperf_core.arguments import count, default_data_dir, framework
from algoperf_core.errors import CampaignError

if TYPE_CHECKING:
    from algoperf_core.spec import Framework
    from algoperf_core.targets.procedure import Procedure, Run
    from algoperf_core.targets.results import Curve
    from algoperf_core.tuning import Point
    from algoperf_scoring import BenchmarkWorkload

EXIT_UNFINISHED = 1


def add_targets_command(commands: Any) -> None:
    """Adds the command to the subparsers of `algoperf`."""
    parser = commands.add_parser(
        "targets", help="set the targets of a workload by tuning standard algorithms on it"
    )
    add = parser.add_argument
    add("benchmark", metavar="BENCHMARK", help="benchmark that has the workload's step hint")
    add("workload", metavar="WORKLOAD", help="name of the workload")
    add("algorithms", nargs="+", metavar="SUBMISSION", help="algorithms, each with a search space")
    add(
        "--results", type=Path, required=True, metavar="FILE", help="JSON lines, continued if there"
    )
    add("--points", type=count, default=8, metavar="N", help="points of each search space (8)")
    add("--seeds", type=count, default=5, metavar="N", help="repetitions of the best points (5)")
    add("--horizon", type=_share, default=0.75, metavar="X", help="share of the step hint (0.75)")
    add("--no-check", action="store_true", help="no repetitions with the whole step hint")
    add(
        "--share",
        type=_part,
        default=(1, 1),
        metavar="K/N",
        help="only the K-th of N shares of the runs",
    )
    add("--figure", type=Path, metavar="FILE", help="draw the learning curves (PNG, SVG, PDF)")
    add("--framework", type=framework, default="jax", metavar="jax|torch", help="jax (default)")
    add(
        "--data-dir", type=Path, default=default_data_dir(), metavar="DIR", help="prepared datasets"
    )
    add("--seed", type=int, default=0, metavar="N", help="root of all seeds (0)")
    parser.set_defaults(command=run_targets)


def run_targets(options: argparse.Namespace) -> int:
    """Runs what is missing, then prints the targets.

    Returns:
        0; 1 where runs of another share are missing.
    """
    from algoperf_core.targets.procedure import Procedure
    from algoperf_core.targets.report import draw, report
    from algoperf_core.targets.results import read_curves
    from algoperf_scoring import load_benchmark

    goal = load_benchmark(options.benchmark).workload(options.workload)
    if goal.step_hint is None:
        raise CampaignError(
            f"workload {goal.name!r}: benchmark {options.benchmark} sets no step_hint, which runs are "
            "planned for; add it"
        )
    procedure = Procedure(
        algorithms=tuple(options.algorithms),
        step_hint=goal.step_hint,
        points=options.points,
        seeds=options.seeds,
        horizon=options.horizon,
        check=not options.no_check,
        root_seed=options.seed,
    )
    complete = _run_missing(procedure, goal, options)
    curves = list(read_curves(options.results).values())
    print(report(curves, goal))  # noqa: T201
    if options.figure is not None:
        draw(curves, goal, options.figure)
    if not complete:
        print("runs of other shares are missing: run again when they are done")  # noqa: T201
    return 0 if complete else EXIT_UNFINISHED


def _run_missing(
    procedure: Procedure, goal: BenchmarkWorkload, options: argparse.Namespace
) -> bool:
    """Trains this share of what is missing, and returns whether all runs of all shares are done."""
    from algoperf_core.targets.procedure import planned_runs, repetitions, searches
    from algoperf_core.targets.results import append_curve, best_points, best_value, read_curves

    points = _points(procedure)
    part, parts = options.share

    def missing(runs: Iterable[Run]) -> list[Run]:
        done = read_curves(options.results)
        return [run for run in runs if run.name not in done]

    def train_share(runs: Iterable[Run]) -> bool:
        own = [run for number, run in enumerate(runs) if number % parts == part - 1]
        for run in missing(own):
            curve = _train(run, points[run.algorithm][run.point], goal, procedure, options)
            append_curve(options.results, curve)
            line = f"{run.name}  best {best_value(curve, goal):.4f}  {curve.seconds:.1f} s"
            print(line, flush=True)  # noqa: T201
        return not missing(runs)

    searched = list(searches(procedure))
    if not train_share(searched):
        return False
    names = {run.name for run in searched}
    curves = [curve for name, curve in read_curves(options.results).items() if name in names]
    chosen = best_points(curves, goal)
    return train_share(list(repetitions(procedure, chosen))) and not missing(
        planned_runs(procedure, chosen)
    )


def _train(
    run: Run,
    point: Point,
    goal: BenchmarkWorkload,
    procedure: Procedure,
    options: argparse.Namespace,
) -> Curve:
    from algoperf_core.targets.training import train

    chosen: Framework = options.framework
    return train(
        run,
        point,
        goal,
        framework=chosen,
        data_dir=str(options.data_dir),
        evaluations=procedure.evaluations,
        root_seed=procedure.root_seed,
    )


def _points(procedure: Procedure) -> dict[str, list[Point]]:
    from algoperf_core.sources import find_submission
    from algoperf_core.tuning import load_search_space

    return {
        algorithm: load_search_space(find_submission(algorithm).search_space).points(
            procedure.points
        )
        for algorithm in procedure.algorithms
    }


def _share(text: str) -> float:
    value = float(text)
    if not 0.0 < value <= 1.0 or not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text!r} is not in (0, 1]")
    return value


def _part(text: str) -> tuple[int, int]:
    first, _, second = text.partition("/")
    if not (first.isdecimal() and second.isdecimal() and 1 <= int(first) <= int(second)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a share such as 1/2")
    return int(first), int(second)
