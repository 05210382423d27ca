"""Containers and a queue that a submission reads as usual, and that say so when it changes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from algoperf_core.check.observations import Observations

Told = Callable[[str], None]


class RecordingDict(dict[Any, Any]):
    """A dict that tells of changes; copies of it are plain.

    Args:
        items: What it holds.
        told: Called with the name of the method that changes it.
    """

    def __init__(self, items: Any, told: Told) -> None:
        super().__init__(items)
        self._told = told

    def copy(self) -> dict[Any, Any]:
        """A plain dict."""
        return dict(self)

    def __copy__(self) -> dict[Any, Any]:
        return dict(self)

    def __deepcopy__(self, memo: Any) -> dict[Any, Any]:
        return dict(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)


class RecordingList(list[Any]):
    """A list that tells of changes; copies of it are plain.

    Args:
        items: What it holds.
        told: Called with the name of the method that changes it.
    """

    def __init__(self, items: Any, told: Told) -> None:
        super().__init__(items)
        self._told = told

    def __copy__(self) -> list[Any]:
        return list(self)

    def __deepcopy__(self, memo: Any) -> list[Any]:
        return [tuple(dict(p) if isinstance(p, dict) else p for p in item) for item in self]

    def __reduce__(self) -> tuple[Any, ...]:
        return list, (self.__deepcopy__(None),)


def _telling(kind: type, name: str) -> Callable[..., Any]:
    original = getattr(kind, name)

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        self._told(name)
        return original(self, *args, **kwargs)

    return method


_CHANGES_OF_DICT = ("__setitem__", "__delitem__", "update", "pop", "popitem", "clear", "setdefault")
_CHANGES_OF_LIST = (
    *("__setitem__", "__delitem__", "append", "extend", "insert", "remove", "pop", "clear"),
    *("sort", "reverse", "__iadd__", "__imul__"),
)
for _name in (*_CHANGES_OF_DICT, "__ior__"):
    setattr(RecordingDict, _name, _telling(dict, _name))
for _name in _CHANGES_OF_LIST:
    setattr(RecordingList, _name, _telling(list, _name))


class WatchedQueue(Iterator[Any]):
    """The input queue, which can be read and nothing else.

    Args:
        batches: The harness's queue.
        observations: Where attempts to do more are noted.
    """

    __slots__ = ("_batches", "_observations", "taken")

    def __init__(self, batches: Iterator[Any], observations: Observations) -> None:
        object.__setattr__(self, "_batches", batches)
        object.__setattr__(self, "_observations", observations)
        object.__setattr__(self, "taken", 0)

    def __next__(self) -> Any:
        object.__setattr__(self, "taken", self.taken + 1)
        return next(self._batches)

    def __setattr__(self, name: str, value: Any) -> None:
        self._note(f"sets {name} of the input queue")

    def __delattr__(self, name: str) -> None:
        self._note(f"deletes {name} of the input queue")

    def __getattr__(self, name: str) -> Any:
        # Only for what the queue has and this class has not.
        if name.startswith("_") or name in ("set_state", "seek", "reset"):
            self._note(f"uses {name} of the input queue")
        return getattr(self._batches, name)

    def _note(self, detail: str) -> None:
        observations: Observations = self._observations
        observations.add("input-queue", detail, observations.current_line())
