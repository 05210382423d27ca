"""Hyperparameter points of a tuning search space, the same on every machine.

A search space is a JSON file, either an object of ranges (sampled) or a list of points (taken in order).
Ranges are sampled with the published generalised Halton sequence: scrambled digits and a random shift
per base (arXiv:1706.03200), so that the set of N points is fixed by the space alone. The order in which
trials take them comes from a seed that the logs record.
"""

from __future__ import annotations

import json
import math
from collections import namedtuple
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from algoperf_core.errors import SearchSpaceError

Point = dict[str, Any]

_SKIPPED_POINTS = 100


@dataclass(frozen=True)
class Interval:
    """A real range, sampled linearly or logarithmically.

    Args:
        low: Lower end.
        high: Upper end; above `low`.
        log: Whether the logarithm is sampled uniformly.
    """

    low: float
    high: float
    log: bool

    def at(self, u: float) -> float:
        """The value at `u` in [0, 1); never rounded to an integer."""
        if self.log:
            return self.low * math.exp(u * math.log(self.high / self.low))
        return u * (self.high - self.low) + self.low


@dataclass(frozen=True)
class Choice:
    """A list of allowed values, which keep their JSON type."""

    values: tuple[Any, ...]

    def at(self, u: float) -> Any:
        """The value at `u` in [0, 1)."""
        return self.values[math.floor(u * len(self.values))]


@dataclass(frozen=True)
class SearchSpace:
    """Either ranges to sample from, or points to take in order.

    Args:
        ranges: Range by hyperparameter, in the order of the file; empty for a list of points.
        listed: Points in the order of the file; empty for ranges.
    """

    ranges: dict[str, Interval | Choice]
    listed: tuple[Point, ...] = ()

    def points(self, count: int) -> list[Point]:
        """The first `count` points, unshuffled; a list of points gives at most its own length."""
        if self.listed:
            return [dict(point) for point in self.listed[:count]]
        return [
            {name: axis.at(u) for (name, axis), u in zip(self.ranges.items(), row, strict=True)}
            for row in halton_points(count, len(self.ranges))
        ]

    def shuffled(self, count: int, seed: int) -> list[Point]:
        """The set `points(count)` in the order that a seed gives; listed points keep theirs."""
        points = self.points(count)
        if not self.listed:
            order = list(range(count))
            np.random.RandomState(seed).shuffle(order)  # the published shuffle, seeded
            return [points[index] for index in order]
        return points

    def study_points(self, studies: int, trials: int, seed: int) -> list[list[Point]]:
        """Points of each study: `[study][trial]`.

        Ranges: the studies share out one set of `studies * trials` points, so that each study is a tuning
        effort of its own. Listed points: every study takes the first `trials`.

        Raises:
            SearchSpaceError: The list holds fewer points than the ruleset has trials.
        """
        if self.listed:
            if len(self.listed) < trials:
                raise SearchSpaceError(
                    f"the search space lists {len(self.listed)} points and the ruleset has {trials} "
                    "trials per study: list one point per trial"
                )
            return [self.points(trials) for _ in range(studies)]
        points = iter(self.shuffled(studies * trials, seed))
        return [list(islice(points, trials)) for _ in range(studies)]


def halton_points(count: int, dimensions: int) -> list[list[float]]:
    """The published quasi-random points in the unit cube, `(count, dimensions)`, before any shuffle."""
    columns = [_scrambled_sequence(base, count) for base in _bases(dimensions)]
    return [list(row) for row in zip(*columns, strict=True)]


def _bases(dimensions: int) -> list[int]:
    limit = 1000
    while len(primes := _odd_primes_below(limit)) <= dimensions:
        limit += 1000
    return primes[-1 - dimensions : -1]


def _odd_primes_below(limit: int) -> list[int]:
    sieve = np.ones(limit, dtype=bool)
    for n in range(2, math.isqrt(limit) + 1):
        sieve[n * n :: n] = False
    return [int(n) for n in np.flatnonzero(sieve) if n > 2]


def _scrambled_sequence(base: int, count: int) -> list[float]:
    random = np.random.RandomState(base)
    digits = list(range(1, base))
    random.shuffle(digits)
    shift = random.random_sample()
    permutation = [0, *digits]
    indices = range(_SKIPPED_POINTS + 1, _SKIPPED_POINTS + count + 1)
    return [math.fmod(_radical_inverse(i, base, permutation) + shift, 1.0) for i in indices]


def _radical_inverse(index: int, base: int, permutation: Sequence[int]) -> float:
    value, weight = 0.0, 1.0 / base
    while index > 0:
        index, digit = divmod(index, base)
        value += permutation[digit] * weight
        weight /= base
    return value


def hyperparameters(point: Point) -> Any:
    """A point as the named tuple `Hyperparameters` that submissions read by attribute."""
    return namedtuple("Hyperparameters", point)(**point)


def load_search_space(path: Path) -> SearchSpace:
    """Reads a tuning search space.

    Raises:
        SearchSpaceError: The file is missing, is not JSON, or is not a search space; the message names the
            file and the field.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SearchSpaceError(
            f"{path}: cannot read the tuning search space: {error.strerror}"
        ) from None
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise SearchSpaceError(f"{path}: not valid JSON: {error}") from None
    return parse_search_space(data, str(path))


def parse_search_space(data: Any, where: str) -> SearchSpace:
    """Turns decoded JSON into a search space; `where` names the source in errors.

    Raises:
        SearchSpaceError: See `load_search_space`.
    """
    if isinstance(data, dict) and data:
        _check_names(data, where)
        return SearchSpace({name: _axis(axis, f"{where}: {name}") for name, axis in data.items()})
    if isinstance(data, list) and data:
        return SearchSpace({}, _listed_points(data, where))
    raise SearchSpaceError(
        f"{where}: a search space is an object of ranges or a list of points, neither empty; "
        f"this is {'an empty ' if data in ({}, []) else 'a '}{type(data).__name__}"
    )


def _check_names(point: dict[str, Any], where: str) -> None:
    for name in point:
        if not name.isidentifier() or name.startswith("_"):
            raise SearchSpaceError(f"{where}: {name!r} cannot be the name of a hyperparameter")


def _listed_points(data: list[Any], where: str) -> tuple[Point, ...]:
    for number, point in enumerate(data):
        if not isinstance(point, dict) or not point:
            raise SearchSpaceError(f"{where}: point {number} is not an object of hyperparameters")
        _check_names(point, where)
        if point.keys() != data[0].keys():
            odd = sorted(point.keys() ^ data[0].keys())
            raise SearchSpaceError(
                f"{where}: point {number} and point 0 differ in {', '.join(odd)}; every point needs the "
                "same hyperparameters"
            )
    return tuple({name: point[name] for name in data[0]} for point in data)


def _axis(axis: Any, where: str) -> Interval | Choice:
    if isinstance(axis, dict) and axis.keys() == {"feasible_points"}:
        values = axis["feasible_points"]
        if isinstance(values, list) and values:
            return Choice(tuple(values))
        raise SearchSpaceError(f"{where}: feasible_points is a list of at least one value")
    if isinstance(axis, dict) and {"min", "max"} <= axis.keys() <= {"min", "max", "scaling"}:
        return _interval(axis, where)
    raise SearchSpaceError(
        f'{where}: a range is {{"feasible_points": [...]}} or '
        '{"min": a, "max": b, "scaling": "log" or "linear"}; got ' + json.dumps(axis)
    )


def _interval(axis: dict[str, Any], where: str) -> Interval:
    low, high, scaling = axis["min"], axis["max"], axis.get("scaling", "linear")
    for field, value in (("min", low), ("max", high)):
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not math.isfinite(value)
        ):
            raise SearchSpaceError(f"{where}: {field} is a number, not {value!r}")
    if low > high:
        raise SearchSpaceError(f"{where}: min {low} is above max {high}")
    if scaling not in ("log", "linear"):
        raise SearchSpaceError(f"{where}: scaling is 'log' or 'linear', not {scaling!r}")
    if scaling == "log" and low <= 0:
        raise SearchSpaceError(f"{where}: a log range starts above 0, not at {low}")
    return Interval(low, high, log=scaling == "log")
