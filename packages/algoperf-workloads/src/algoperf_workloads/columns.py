"""Columns of examples that are read by row: fixed-size ones, and binary ones of any length.

A column of a stored dataset may be spread over many files. Whatever it is, indexing it with rows gives
what a definition's functions work on: an array `(rows, ...)`, or a list of `memoryview`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
# Arrays `(examples, ...)`, and for binary columns a list of buffers, one per example.
Columns = Mapping[str, Any]

INDEX = "index"
"""Name of the column that holds the position of each example in its stored split."""


class ShardedColumn:
    """A fixed-size column in several pieces, read like one array.

    Args:
        pieces: Arrays `(examples, ...)` of one type, in order.
    """

    def __init__(self, pieces: Sequence[Array]) -> None:
        self._pieces = pieces
        self._starts = np.cumsum([0, *map(len, pieces)])
        self.dtype = pieces[0].dtype
        self.shape: tuple[int, ...] = (int(self._starts[-1]), *pieces[0].shape[1:])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> Array:
        chosen = positions(rows, len(self))
        piece = np.searchsorted(self._starts, chosen, side="right") - 1
        found = np.empty((len(chosen), *self.shape[1:]), self.dtype)
        for number in np.unique(piece):
            here = piece == number
            found[here] = self._pieces[number][chosen[here] - self._starts[number]]
        return found if np.ndim(rows) or isinstance(rows, slice) else found[0]


class BinaryColumn:
    """A column of examples of any length in bytes, such as JPEG files.

    Args:
        pieces: For each file the offsets `(examples + 1,)` of its examples, and the bytes that they count in.
    """

    def __init__(self, pieces: Sequence[tuple[Array, memoryview]]) -> None:
        self._pieces = pieces
        self._starts = np.cumsum([0, *(len(offsets) - 1 for offsets, _ in pieces)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, rows: Any) -> Any:
        chosen = positions(rows, len(self))
        piece = np.searchsorted(self._starts, chosen, side="right") - 1
        found = [
            self._example(*pair)
            for pair in zip(piece.tolist(), (chosen - self._starts[piece]).tolist(), strict=True)
        ]
        return found if np.ndim(rows) or isinstance(rows, slice) else found[0]

    def _example(self, piece: int, row: int) -> memoryview:
        offsets, data = self._pieces[piece]
        return data[int(offsets[row]) : int(offsets[row + 1])]


class Examples:
    """Examples of a split by their number, in the order in which a definition wants them.

    Args:
        columns: The stored columns.
        chosen: Positions `(examples,)` of the examples in the stored split; None for all, as stored.
    """

    def __init__(self, columns: Columns, chosen: Array | None = None) -> None:
        self._columns = columns
        self._chosen = chosen

    def __len__(self) -> int:
        if self._chosen is not None:
            return len(self._chosen)
        return len(next(iter(self._columns.values())))

    def __getitem__(self, rows: Any) -> Columns:
        """Columns `(rows, ...)` of some examples, with their positions in the stored split as `index`."""
        wanted = positions(rows, len(self))
        if self._chosen is not None:
            wanted = self._chosen[wanted]
        return {**{name: column[wanted] for name, column in self._columns.items()}, INDEX: wanted}


def evenly_spaced(count: int, total: int) -> Array:
    """`count` of `total` positions, as evenly spaced as whole numbers can be; all if equal."""
    return np.arange(count, dtype=np.int64) * total // max(count, 1)


def positions(rows: Any, length: int) -> Array:
    """Rows given as a number, a slice or an array, as positions `(rows,)` from the beginning.

    Raises:
        IndexError: There is no such row.
    """
    if isinstance(rows, slice):
        return np.arange(*rows.indices(length), dtype=np.int64)
    chosen = np.atleast_1d(np.asarray(rows, np.int64))
    outside = (chosen < -length) | (chosen >= length)
    if outside.any():
        raise IndexError(f"row {chosen[outside][0]}, allowed 0 to {length - 1}")
    return np.where(chosen < 0, chosen + length, chosen)
