"""Splittable random keys without JAX: what PyTorch submissions and workloads get as `rng`.

A key is an int32 array of two words in [0, 2**31 - 1), made as in the published benchmark, which emulates
the interface of `jax.random` on `numpy.random.RandomState`.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Key = npt.NDArray[np.int32]

_MODULUS = 2**31 - 1
# Seeding a generator takes a tenth of the time of making one, and every step needs two. It is seeded
# before every draw, so nothing is remembered between calls.
_generator = np.random.RandomState(0)
_lock = threading.Lock()


def key(seed: int) -> Key:
    """The key of a seed; shape `(2,)`."""
    return np.asarray(split(seed, 2)[0])


def split(parent: int | Sequence[int] | Key, count: int = 2) -> Key:
    """Independent keys from a key; shape `(count, 2)`."""
    return _draw(parent, (count, 2))


def fold_in(parent: int | Sequence[int] | Key, data: int) -> Key:
    """A key that depends on a number, such as the step; shape `(2,)`."""
    return np.append(_draw(parent, (1,)), np.int32(data))


def _draw(parent: int | Sequence[int] | Key, shape: tuple[int, ...]) -> npt.NDArray[np.int32]:
    with _lock:
        _generator.seed(np.mod(np.asarray(parent, dtype=np.int64), _MODULUS))
        return np.asarray(_generator.randint(0, _MODULUS, dtype=np.int32, size=shape))
