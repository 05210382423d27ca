"""What is trained to set a workload's targets, and in which order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

SEARCH, REPEAT, CHECK = "search", "repeat", "check"


@dataclass(frozen=True, kw_only=True)
class Procedure:
    """How targets are set (Dahl et al. 2023, section 4.3: four algorithms, 200 points, 20 seeds).

    Args:
        algorithms: Names of the submissions that are tuned.
        step_hint: Number of steps that the benchmark plans for.
        points: Number of points of each search space.
        seeds: Number of repetitions of the best point.
        horizon: Share of the step hint that searches and repetitions train for.
        check: Whether the best points are also repeated with the whole step hint, to see how reliably and how
            early tuned algorithms reach the target.
        evaluations: Number of evaluations of a run, evenly spaced.
        root_seed: Root of all seeds.
    """

    algorithms: tuple[str, ...]
    step_hint: int
    points: int = 8
    seeds: int = 5
    horizon: float = 0.75
    check: bool = True
    evaluations: int = 25
    root_seed: int = 0

    @property
    def short_steps(self) -> int:
        """Number of steps of searches and repetitions."""
        return max(round(self.horizon * self.step_hint), 1)


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training run.

    Args:
        stage: `search`, `repeat`, or `check` with the whole step hint.
        algorithm: Name of the submission.
        point: Number of the point in its search space.
        seed: Number of the repetition; 0 searches.
        steps: Number of steps, which is also the step hint that schedules plan for.
    """

    stage: str
    algorithm: str
    point: int
    seed: int
    steps: int

    @property
    def name(self) -> str:
        """Identifies the run among the results."""
        return f"{self.stage}/{self.algorithm}/{self.point}/{self.seed}/{self.steps}"


def searches(procedure: Procedure) -> Iterator[Run]:
    """The tuning runs, point by point."""
    for point in range(procedure.points):
        for algorithm in procedure.algorithms:
            yield Run(
                stage=SEARCH,
                algorithm=algorithm,
                point=point,
                seed=0,
                steps=procedure.short_steps,
            )


def repetitions(procedure: Procedure, best_points: Mapping[str, int]) -> Iterator[Run]:
    """The runs that follow from the search: the best point of each algorithm with other seeds."""
    stages = [(REPEAT, procedure.short_steps)]
    if procedure.check:
        stages.append((CHECK, procedure.step_hint))
    for stage, steps in stages:
        for seed in range(1, procedure.seeds + 1):
            for algorithm, point in best_points.items():
                yield Run(stage=stage, algorithm=algorithm, point=point, seed=seed, steps=steps)


def planned_runs(procedure: Procedure, best_points: Mapping[str, int]) -> list[Run]:
    """All runs in order, once the best points are known."""
    return [*searches(procedure), *repetitions(procedure, best_points)]
