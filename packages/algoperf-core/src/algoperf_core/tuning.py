"""Hyperparameter points of a tuning search space, the same on every machine.

A search space is a JSON file, either an object of ranges (sampled) or a list of points (taken in order).
Ranges are sampled with the published generalised Halton sequence: scrambled digits and a random shift
per base (arXiv:1706.03200), so that the set of N points is fixed by the space alone. The order in which
trials take them comes from a seed that the logs record.

The sampler is a library of its own; it needs NumPy and nothing else:

>>> space = parse_search_space(
...     {
...         "learning_rate": {"min": 1e-4, "max": 1e-2, "scaling": "log"},
...         "one_minus_beta1": {"min": 0.05, "max": 0.15},
...         "warmup_factor": {"feasible_points": [0.02, 0.05, 0.1]},
...     }
... )
>>> for point in space.points(2):
...     print({name: round(value, 6) for name, value in point.items()})
{'learning_rate': 0.000188, 'one_minus_beta1': 0.077397, 'warmup_factor': 0.02}
{'learning_rate': 0.004103, 'one_minus_beta1': 0.149117, 'warmup_factor': 0.1}

What a campaign gives to each trial of each study, on whatever machine it runs:

>>> seed = order_seed(0, "algoperf-digits", "adamw")
>>> studies = space.study_points(studies=3, trials=5, seed=seed)
>>> len(studies), len(studies[0])
(3, 5)
>>> hyperparameters(studies[0][2])._fields
('learning_rate', 'one_minus_beta1', 'warmup_factor')
"""

from __future__ import annotations

import json
import keyword
import math
from collections import namedtuple
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from algoperf_core.errors import SearchSpaceError
from algoperf_core.seeds import derive_seed

__all__ = [
    "Choice",
    "Interval",
    "Point",
    "SearchSpace",
    "halton_points",
    "hyperparameters",
    "load_search_space",
    "order_seed",
    "parse_search_space",
    "trial_indices",
]

Point = dict[str, Any]

_SKIPPED_POINTS = 100
_LARGEST = (
    1e150  # between this and its inverse, neither the width of a range nor its ratio overflows
)


@dataclass(frozen=True)
class Interval:
    """A real range, sampled linearly or logarithmically.

    >>> round(Interval(1.0, 100.0, log=True).at(0.5), 6)
    10.0

    Args:
        low: Lower end.
        high: Upper end; not below `low`.
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
    """A list of allowed values, which keep their JSON type.

    >>> Choice((False, True)).at(0.5)
    True
    """

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
        """The first `count` points, unshuffled; a list of points gives at most its own length.

        >>> parse_search_space([{"x": 1}, {"x": 2}]).points(5)
        [{'x': 1}, {'x': 2}]

        Raises:
            SearchSpaceError: `count` is negative.
        """
        if count < 0:
            raise SearchSpaceError(f"count is a number of points, 0 or more, not {count}")
        if self.listed:
            return [dict(point) for point in self.listed[:count]]
        return [
            {name: axis.at(u) for (name, axis), u in zip(self.ranges.items(), row, strict=True)}
            for row in halton_points(count, len(self.ranges))
        ]

    def shuffled(self, count: int, seed: int) -> list[Point]:
        """The set `points(count)` in the order that a seed gives; listed points keep theirs.

        >>> space = parse_search_space({"x": {"feasible_points": ["a", "b", "c", "d"]}})
        >>> space.shuffled(4, seed=1) == space.shuffled(4, seed=1)
        True
        """
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
    """The published quasi-random points in the unit cube, `(count, dimensions)`, before any shuffle.

    >>> [[round(u, 4) for u in row] for row in halton_points(2, dimensions=1)]
    [[0.2861], [0.83]]
    """
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
    """A point as the named tuple `Hyperparameters` that submissions read by attribute.

    >>> hyperparameters({"learning_rate": 0.1, "nesterov": True})
    Hyperparameters(learning_rate=0.1, nesterov=True)
    """
    return namedtuple("Hyperparameters", point)(**point)


def order_seed(root_seed: int, benchmark: str, submission: str) -> int:
    """Seed of the order in which the trials of a submission take the points of its search space.

    It depends on these three alone, so every machine that shares a study assigns the same points;
    `meta_data_0.json` records it as `tuning_order_seed`.

    Args:
        root_seed: The seed of the campaign (`--seed`).
        benchmark: Name of the benchmark.
        submission: Name of the submission.
    """
    return derive_seed(root_seed, benchmark, submission, "tuning")


def trial_indices(text: str, trials: int) -> tuple[int, ...]:
    """Reads which points of a study to run, as `--points` takes them.

    Args:
        text: A slice `A:B` of indices from 0, B excluded, either end optional; or a list such as `0,3`.
        trials: Number of trials of a study.

    Returns:
        Indices from 0, ascending. Index i is trial i + 1, whichever others are run.

    Raises:
        SearchSpaceError: It is neither, chooses nothing, or an index is not below `trials`.

    >>> trial_indices("1:3", trials=5)
    (1, 2)
    >>> trial_indices("4,0", trials=5)
    (0, 4)
    """
    parts = text.split(":") if ":" in text else text.split(",")
    numbers = [_index(part, text, trials) for part in parts]
    if ":" not in text:
        chosen: Iterable[int] = (number for number in numbers if number is not None)
    elif len(numbers) == 2:
        start, end = numbers
        chosen = range(start or 0, trials if end is None else end)
    else:
        raise _not_points(text, trials)
    indices = tuple(sorted(set(chosen)))
    if not indices or indices[-1] >= trials or (":" not in text and None in numbers):
        raise _not_points(text, trials)
    return indices


def _index(part: str, text: str, trials: int) -> int | None:
    part = part.strip()
    if part and not (part.isascii() and part.isdecimal()):
        raise _not_points(text, trials)
    return int(part) if part else None


def _not_points(text: str, trials: int) -> SearchSpaceError:
    return SearchSpaceError(
        f"points {text!r}: a study has {trials} trials, so this is a slice such as 0:{trials} or "
        f"{trials - 1}:, or a list such as {','.join(map(str, range(min(trials, 2))))}, of indices from 0 "
        f"to {trials - 1}; index 0 is trial_1"
    )


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
    except UnicodeDecodeError:
        raise SearchSpaceError(f"{path}: not UTF-8 text: save it as UTF-8") from None
    return parse_search_space(_decode(text, path), str(path))


def _decode(text: str, path: Path) -> Any:
    def no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise SearchSpaceError(f"{path}: {', '.join(repeated)} given twice: keep one of them")
        return dict(pairs)

    def no_constants(name: str) -> None:
        raise SearchSpaceError(f"{path}: {name} is no number of JSON: give a finite one")

    try:
        return json.loads(text, object_pairs_hook=no_duplicates, parse_constant=no_constants)
    except json.JSONDecodeError as error:
        raise SearchSpaceError(f"{path}: not valid JSON: {error}") from None


def parse_search_space(data: Any, where: str = "search space") -> SearchSpace:
    """Turns decoded JSON into a search space; `where` names the source in errors.

    >>> parse_search_space({"dropout_rate": {"min": 0.2, "max": 0.1}}, where="space.json")
    Traceback (most recent call last):
    ...
    algoperf_core.errors.SearchSpaceError: space.json: dropout_rate: min 0.2 is above max 0.1

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
        if not name.isidentifier() or name.startswith("_") or keyword.iskeyword(name):
            raise SearchSpaceError(
                f"{where}: {name!r} cannot be the name of a hyperparameter: submissions read it as an "
                "attribute, so it is letters, digits and underscores, begins with a letter, and is no word "
                "of Python's"
            )


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
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not -_LARGEST <= value <= _LARGEST:
            raise SearchSpaceError(f"{where}: {field} is a finite number, not {_short(value)}")
    if low > high:
        raise SearchSpaceError(f"{where}: min {low} is above max {high}")
    if scaling not in ("log", "linear"):
        raise SearchSpaceError(f"{where}: scaling is 'log' or 'linear', not {scaling!r}")
    if scaling == "log" and low < 1 / _LARGEST:
        raise SearchSpaceError(f"{where}: a log range starts above 0, not at {low}")
    return Interval(low, high, log=scaling == "log")


def _short(value: Any) -> str:
    text = repr(value) if not isinstance(value, int) or abs(value) < 10**30 else "a huge integer"
    return text if len(text) <= 40 else text[:40] + "..."
