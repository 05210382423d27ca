"""Splittable random keys without JAX: what PyTorch submissions and workloads get as `rng`.

A key is an int32 array of two words in [0, 2**31 - 1), made as in the published benchmark, which emulates
the interface of `jax.random` on `numpy.random.RandomState`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Key = npt.NDArray[np.int32]

_MODULUS = 2**31 - 1


def key(seed: int) -> Key:
    """The key of a seed; shape `(2,)`."""
    return np.asarray(split(seed, 2)[0])


def split(parent: int | Sequence[int] | Key, count: int = 2) -> Key:
    """Independent keys from a key; shape `(count, 2)`."""
    drawn = _random(parent).randint(0, _MODULUS, dtype=np.int32, size=[count, 2])
    return np.asarray(drawn, dtype=np.int32)


def fold_in(parent: int | Sequence[int] | Key, data: int) -> Key:
    """A key that depends on a number, such as the step; shape `(2,)`."""
    return np.asarray([_random(parent).randint(0, _MODULUS, dtype=np.int32), data], dtype=np.int32)


def _random(parent: int | Sequence[int] | Key) -> np.random.RandomState:
    return np.random.RandomState(np.mod(np.asarray(parent, dtype=np.int64), _MODULUS))
