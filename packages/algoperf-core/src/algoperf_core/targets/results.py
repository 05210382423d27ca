"""Learning curves of the procedure, one JSON object per line, and the targets that follow from them.

Lines are appended whole, so several processes may share a file, and an interrupted run leaves nothing behind.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from algoperf_core.durable import append_durable
from algoperf_core.errors import RecordError
from algoperf_core.targets.procedure import REPEAT, SEARCH, Run
from algoperf_scoring import BenchmarkWorkload

_DIGITS = 4


@dataclass(frozen=True, kw_only=True)
class Curve:
    """What one run measured.

    Args:
        run: The run.
        hyperparameters: Its point.
        evaluated_at: Steps of its evaluations.
        validation: Value of the target's metric on the validation split, by evaluation; NaN where diverged.
        test: The same on the test split; empty where there is none.
        seconds: Wall-clock time of the run.
    """

    run: Run
    hyperparameters: Mapping[str, Any]
    evaluated_at: tuple[int, ...]
    validation: tuple[float, ...]
    test: tuple[float, ...]
    seconds: float


Curves = dict[str, Curve]


@dataclass(frozen=True, kw_only=True)
class Targets:
    """What the procedure found.

    Args:
        algorithm: The algorithm whose repetitions are the best in the median.
        validation: The validation target, its median.
        test: The test target; None without a test split, or where no repetition meets the validation target.
        medians: Median of each algorithm's repetitions.
    """

    algorithm: str
    validation: float
    test: float | None
    medians: Mapping[str, float]


def read_curves(path: Path) -> Curves:
    """Reads the results so far, by name of the run; a last line that was cut off is left out.

    Raises:
        RecordError: A line is not a result; the message says which.
    """
    if not path.is_file():
        return {}
    curves: Curves = {}
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines() if text.endswith("\n") else text.splitlines()[:-1]
    for number, line in enumerate(lines, start=1):
        curve = _parsed(line, f"{path}: line {number}")
        curves[curve.run.name] = curve
    return curves


def append_curve(path: Path, curve: Curve) -> None:
    """Adds a result to the file.

    Raises:
        RecordError: The file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    fields = asdict(curve)
    run = fields.pop("run")
    append_durable(path, (json.dumps(run | fields) + "\n").encode())


def best_value(curve: Curve, goal: BenchmarkWorkload) -> float:
    """The best validation value of a run; infinitely bad where it never had a finite one."""
    values = [value for value in curve.validation if math.isfinite(value)]
    if goal.direction == "minimize":
        return min(values, default=math.inf)
    return max(values, default=-math.inf)


def best_points(curves: Iterable[Curve], goal: BenchmarkWorkload) -> dict[str, int]:
    """By algorithm, the point of the searched run with the best value; the earlier one of equals."""
    chosen: dict[str, Curve] = {}
    for curve in curves:
        if curve.run.stage != SEARCH:
            continue
        known = chosen.get(curve.run.algorithm)
        if known is None or _rank(curve, goal) < _rank(known, goal):
            chosen[curve.run.algorithm] = curve
    return {algorithm: curve.run.point for algorithm, curve in chosen.items()}


def found_targets(curves: Iterable[Curve], goal: BenchmarkWorkload) -> Targets | None:
    """The targets; None without repetitions.

    The validation target is the median, over the seeds of the algorithm for which it is best, of the best
    validation value. The test target is the worst test value among these repetitions, each at the first
    evaluation that meets the validation target. Both are cut towards the worse at four digits, so that
    rounding puts no target beyond what was reached.
    """
    repeated = [curve for curve in curves if curve.run.stage == REPEAT]
    if not repeated:
        return None
    medians = {
        algorithm: statistics.median(
            best_value(curve, goal) for curve in repeated if curve.run.algorithm == algorithm
        )
        for algorithm in dict.fromkeys(curve.run.algorithm for curve in repeated)
    }
    best = min if goal.direction == "minimize" else max
    algorithm = best(medians, key=lambda name: medians[name])
    validation = _cut(medians[algorithm], goal)
    tests = _test_values(repeated, algorithm, goal, validation)
    worst = max if goal.direction == "minimize" else min
    return Targets(
        algorithm=algorithm,
        validation=validation,
        test=_cut(worst(tests), goal) if tests else None,
        medians=medians,
    )


def first_hit(curve: Curve, goal: BenchmarkWorkload, target: float) -> int | None:
    """Number of the first evaluation that meets a validation target; None if none does."""
    hits = (n for n, value in enumerate(curve.validation) if goal.meets(value, target))
    return next(hits, None)


def _test_values(
    curves: Sequence[Curve], algorithm: str, goal: BenchmarkWorkload, target: float
) -> list[float]:
    own = [curve for curve in curves if curve.run.algorithm == algorithm and curve.test]
    hits = [(curve, first_hit(curve, goal, target)) for curve in own]
    return [curve.test[hit] for curve, hit in hits if hit is not None]


def _rank(curve: Curve, goal: BenchmarkWorkload) -> tuple[float, int]:
    value = best_value(curve, goal)
    return (value if goal.direction == "minimize" else -value), curve.run.point


def _cut(value: float, goal: BenchmarkWorkload) -> float:
    if not math.isfinite(value):
        return value
    scaled = round(value * 10**_DIGITS, 6)
    cut = math.ceil(scaled) if goal.direction == "minimize" else math.floor(scaled)
    return float(cut / 10**_DIGITS)


def _parsed(line: str, where: str) -> Curve:
    try:
        fields = json.loads(line)
        run = Run(**{key: fields[key] for key in ("stage", "algorithm", "point", "seed", "steps")})
        return Curve(
            run=run,
            hyperparameters=dict(fields["hyperparameters"]),
            evaluated_at=tuple(fields["evaluated_at"]),
            validation=tuple(map(float, fields["validation"])),
            test=tuple(map(float, fields["test"])),
            seconds=float(fields["seconds"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise RecordError(
            f"{where}: not a result of this procedure ({error}); remove the line to run it again"
        ) from error
