"""Digests of parameters and states of any kind, to see whether something changed them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from algoperf_core.spec import Workload

LARGEST_BYTES = 2**28


class _TooLargeError(Exception):
    """More bytes than are worth reading."""


class _Digest:
    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._bytes = 0
        # By identity; kept, since a temporary that is gone leaves its identity to another.
        self._seen: dict[int, Any] = {}

    def text(self) -> str:
        return self._hash.hexdigest()

    def add(self, item: Any) -> None:
        if item is None or isinstance(item, bool | int | float | complex | str | bytes):
            self._update(f"{type(item).__name__} {item!r}".encode())
        elif hasattr(item, "dtype") and hasattr(item, "shape"):
            self._update_array(item)
        elif id(item) not in self._seen:
            self._seen[id(item)] = item
            self._add_container(item)

    def _add_container(self, item: Any) -> None:
        self._update(type(item).__name__.encode())
        if isinstance(item, Workload):
            return  # what it holds is the harness's
        if isinstance(item, Mapping):
            for key, value in item.items():
                self.add(str(key))
                self.add(value)
        elif isinstance(item, list | tuple | set | frozenset):
            for value in item:
                self.add(value)
        elif hasattr(item, "state_dict"):
            self.add(item.state_dict())
        elif not callable(item) and hasattr(item, "__dict__"):
            self.add(vars(item))

    def _update_array(self, item: Any) -> None:
        if getattr(item, "is_deleted", bool)():
            return  # donated: its memory belongs to somebody else by now
        array = _as_numpy(item)
        self._update(f"{array.dtype} {array.shape}".encode())
        self._update(array.tobytes())

    def _update(self, data: bytes) -> None:
        self._bytes += len(data)
        if self._bytes > LARGEST_BYTES:
            raise _TooLargeError
        self._hash.update(data)


def _as_numpy(item: Any) -> Any:
    if hasattr(item, "detach"):
        item = item.detach().cpu()
        return np.asarray(item.float() if str(item.dtype) == "torch.bfloat16" else item)
    if str(item.dtype).startswith("key<"):
        import jax

        item = jax.random.key_data(item)
    return np.asarray(item)


def digest(item: Any) -> str | None:
    """A digest of everything that a tree, module, optimizer or plain value holds; waits for the device.

    Functions and iterators count by their type. None for more than `LARGEST_BYTES`.
    """
    contents = _Digest()
    try:
        contents.add(item)
    except _TooLargeError:
        return None
    return contents.text()
