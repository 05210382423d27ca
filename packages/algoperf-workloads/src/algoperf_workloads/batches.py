"""Batches: dicts whose values are arrays, or tuples of arrays such as audio and its paddings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Batch = dict[str, Any]
"""By key an array `(batch, ...)`, or a tuple of such, of NumPy or on devices."""


def map_arrays(function: Callable[..., Any], first: Any, *others: Any) -> Any:
    """Calls a function on every array of batches or of their values.

    Args:
        function: Called with an array of `first` and those at the same place in `others`.
        first: A batch, or a value of one.
        others: Others of the same structure.

    Returns:
        What it returns, in the same structure; named tuples keep their type.
    """
    if isinstance(first, Mapping):
        return {
            name: map_arrays(function, value, *(other[name] for other in others))
            for name, value in first.items()
        }
    if isinstance(first, tuple):
        parts = [map_arrays(function, *values) for values in zip(first, *others, strict=True)]
        return type(first)(*parts) if hasattr(first, "_fields") else tuple(parts)
    return function(first, *others)


def named_arrays(value: Any, name: str = "") -> dict[str, Any]:
    """The arrays of a batch or of one of its values, by names such as `inputs[1]`."""
    if isinstance(value, Mapping):
        parts = [(f"{name}.{key}" if name else key, inner) for key, inner in value.items()]
    elif isinstance(value, tuple):
        parts = [(f"{name}[{number}]", inner) for number, inner in enumerate(value)]
    else:
        return {name: value}
    return {key: array for part, inner in parts for key, array in named_arrays(inner, part).items()}


def batch_rows(batch: Batch) -> int:
    """Number of examples of a batch."""
    return len(next(iter(named_arrays(batch).values())))
