"""Reads one ``eval_measurements.csv``: when each evaluation ended and what it measured.

Thousands of these files make up a competition, and they come from strangers. Files as the runners
write them take a short way; everything else goes cell by cell, and is refused rather than guessed.
"""

import csv
import io
import math
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from algoperf_scoring.errors import LogError
from algoperf_scoring.text_tables import printable

MAX_BYTES = 64 * 2**20
"""Largest file that is read; published ones have up to 60 kB."""

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?|[+-]?(nan|inf|infinity)", re.I | re.A)


@dataclass(frozen=True, eq=False)
class Measurements:
    """The two columns of a measurement file that decide a time to target.

    Attributes:
      times: Time of each evaluation in seconds, `(evaluations,)`; NaN where the cell is blank.
      values: The metric at each evaluation, `(evaluations,)`; NaN where the cell is blank.
      cut: Whether a last row was left out because a process was killed while writing it.
    """

    times: NDArray[np.float64]
    values: NDArray[np.float64]
    cut: bool = False


def read_measurements(
    path: Path | str, *, time_column: str, metric_column: str
) -> Measurements | None:
    """Reads the columns needed for scoring.

    A last row that a process left behind when it was killed while writing is dropped: fields are
    missing, half a number is left, or, without a line break, a needed number may be half of one.

    Args:
      path: The CSV file; a header row, then one row per evaluation in time order.
      time_column: Column that holds the time in seconds.
      metric_column: Column that holds the metric, for example ``"validation/wer"``.

    Returns:
      The measurements, or None if the file was killed before its header was complete.

    Raises:
      FileNotFoundError: If there is no such file.
      LogError: If the file cannot be read, lacks a column, or holds a malformed number; names
        file, line and column.
    """
    data = read_bytes(path)
    columns = (time_column, metric_column)
    return _read_regular(data, columns) or _read_any(path, data, columns)


def read_bytes(path: Path | str, limit: int = MAX_BYTES) -> bytes:
    """Reads what a regular file holds at this moment.

    Args:
      path: The file; it may be growing, but must not be a pipe or a device.
      limit: Most bytes it may have.

    Raises:
      FileNotFoundError: If there is no such file.
      LogError: If it is not a regular file, too large, or cannot be read.
    """
    try:
        # Without O_NONBLOCK, opening a pipe would wait for somebody to write to it.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise LogError(f"{path}: cannot be read: {error}.") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise LogError(f"{path}: cannot be read: this is not a regular file.")
        if status.st_size > limit:
            raise LogError(
                f"{path}: has {status.st_size:,} bytes, more than the {limit:,} that are read."
            )
        return _read_all(descriptor, status.st_size)
    except OSError as error:
        raise LogError(f"{path}: cannot be read: {error}.") from error
    finally:
        os.close(descriptor)


def _read_all(descriptor: int, size: int) -> bytes:
    """Reads up to ``size`` bytes: what was written since belongs to the next reading."""
    data = os.read(descriptor, size)
    while len(data) < size and (more := os.read(descriptor, size - len(data))):
        data += more
    return data


def _read_regular(data: bytes, columns: tuple[str, str]) -> Measurements | None:
    """Reads a file such as a runner writes; None for one that needs a closer look."""
    if not data.isascii() or not data.endswith(b"\n"):
        return None
    header, _, body = data.decode("ascii").partition("\n")
    if "\r" in header or '"' in header:
        return None
    # Python's float takes underscores; quotes and line ends are the csv module's business.
    if any(mark in body for mark in '_"\r') or "\n\n" in body or body.startswith("\n"):
        return None
    names = header.split(",")
    if not all(names.count(column) == 1 for column in columns):
        return None
    cells = _cells(body, len(names))
    if cells is None:
        return None
    try:
        times, values = (
            _numbers(cells[names.index(column) :: len(names) + 1]) for column in columns
        )
    except ValueError:
        return None
    return Measurements(times, values)


def _cells(body: str, width: int) -> list[str] | None:
    """Returns all cells, and a line break after each row; None unless all rows have ``width``."""
    if not body:
        return []
    # Splitting a file at once is several times faster than line by line.
    cells = body.replace("\n", ",\n,").split(",")
    cells.pop()
    breaks, n_rows = cells[width :: width + 1], body.count("\n")
    whole = len(breaks) == breaks.count("\n") == n_rows and len(cells) == n_rows * (width + 1)
    return cells if whole else None


def _numbers(cells: list[str]) -> NDArray[np.float64]:
    try:
        return np.array(list(map(float, cells)))
    except ValueError:
        return np.array([float(cell or "nan") for cell in cells])


def _read_any(path: Path | str, data: bytes, columns: tuple[str, str]) -> Measurements | None:
    text = data.decode("utf-8-sig", errors="replace")
    rows, terminated = _rows(path, text), text.endswith(("\n", "\r"))
    header, body = (rows[0][1] if rows else []), rows[1:]
    missing = [column for column in columns if column not in header]
    if missing and not body and not terminated:
        return None
    if missing:
        raise LogError(
            f"{path}: no column {missing[0]!r}, which scoring needs; the columns are "
            f"{_listed(header)}. Does the folder hold this workload's logs?"
        )
    twice = [column for column in columns if header.count(column) > 1]
    if twice:
        raise LogError(f"{path}: the column {twice[0]!r} is there twice; keep one of them.")
    indices = [header.index(column) for column in columns]
    cut = bool(body) and _is_cut(body[-1][1], len(header), terminated, max(indices))
    body = body[:-1] if cut else body
    _check_widths(path, body, len(header))
    times, values = (
        np.array([_number(path, line, row[index], header[index]) for line, row in body], np.float64)
        for index in indices
    )
    return Measurements(times, values, cut)


def _rows(path: Path | str, text: str) -> list[tuple[int, list[str]]]:
    """Returns all rows that are not empty, with the number of the line that each ends on."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        return [(reader.line_num, row) for row in reader if row]
    except csv.Error as error:
        raise LogError(f"{path}: line {reader.line_num}: not CSV: {error}.") from error


def _is_cut(row: list[str], width: int, terminated: bool, last_needed: int) -> bool:
    """Whether a last row ends too early, or may: its last number could be half of one."""
    if len(row) < width:
        return True
    if terminated or len(row) > width:
        return False
    return last_needed == width - 1 or not _is_number(row[-1])


def _check_widths(path: Path | str, body: list[tuple[int, list[str]]], width: int) -> None:
    for line, row in body:
        if len(row) != width:
            raise LogError(
                f"{path}: line {line} has {len(row)} fields, but the header has {width}; "
                "repair or remove the line."
            )


def _is_number(cell: str) -> bool:
    return not cell.strip() or _NUMBER.fullmatch(cell.strip()) is not None


def _number(path: Path | str, line: int, cell: str, name: str) -> float:
    if not _is_number(cell):
        raise LogError(
            f"{path}: line {line}, column {name!r}: expected a number or an empty cell, found "
            f"{_shortened(cell)!r}."
        )
    text = cell.strip()
    return float(text) if text else math.nan


def _shortened(text: str, length: int = 60) -> str:
    return text if len(text) <= length else f"{text[:length]}…"


def _listed(header: list[str]) -> str:
    return _shortened(", ".join(map(printable, header)), 600)
