"""Checked values of a batch, one for each example: logits, click labels and weights."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def per_example(name: str, values: ArrayLike) -> Floats:
    """Flatten `(batch,)` or `(batch, 1)` to `(batch,)`, float64.

    Raises:
        ValueError: If `values` has another shape; the message calls it by `name`.
    """
    array = np.asarray(values)
    if array.ndim != 1 and array.shape[1:] != (1,):
        raise ValueError(f"{name} has shape {array.shape}, expected (batch,) or (batch, 1)")
    return array.reshape(-1).astype(np.float64)


def of_length(name: str, values: ArrayLike, batch: int) -> Floats:
    """Flatten like `per_example` and check that there is one value for each of `batch` logits.

    Raises:
        ValueError: If `values` has another shape or length; the message calls it by `name`.
    """
    flat = per_example(name, values)
    if flat.size != batch:
        raise ValueError(f"{name} has {flat.size} examples but logits has {batch}")
    return flat


def checked_targets(targets: ArrayLike, batch: int) -> Floats:
    """Return click labels `(batch,)`.

    Raises:
        ValueError: If `targets` has another shape or length, or holds anything but 0 and 1.
    """
    labels = of_length("targets", targets, batch)
    if not np.isin(labels, (0, 1)).all():
        raise ValueError("targets holds values other than 0 and 1")
    return labels


def checked_weights(weights: ArrayLike | None, batch: int) -> Floats:
    """Return weights `(batch,)`, ones for None.

    Raises:
        ValueError: If `weights` has another shape or length, or is anywhere negative or not finite.
    """
    if weights is None:
        return np.ones(batch)
    values = of_length("weights", weights, batch)
    if not (np.isfinite(values) & (values >= 0)).all():
        raise ValueError("weights holds values that are negative or not finite")
    return values
