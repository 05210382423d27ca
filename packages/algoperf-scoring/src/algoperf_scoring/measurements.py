"""Reads one ``eval_measurements.csv``: when each evaluation ended and what it measured."""

import csv
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from algoperf_scoring.errors import LogError
from algoperf_scoring.notes import CUT_ROW, NO_ROWS, UNTERMINATED, note

Rows = list[list[str]]


@dataclass(frozen=True, eq=False)
class Measurements:
    """The two columns of a measurement file that decide a time to target.

    Attributes:
      times: Time of each evaluation in seconds, `(evaluations,)`; NaN where the cell is blank.
      values: The metric at each evaluation, `(evaluations,)`; NaN where the cell is blank.
      notes: Oddities of the file.
    """

    times: NDArray[np.float64]
    values: NDArray[np.float64]
    notes: tuple[str, ...] = ()


def read_measurements(
    path: Path, *, time_column: str, metric_column: str, label: str | None = None
) -> Measurements | None:
    """Reads the columns needed for scoring.

    A last row that a process left behind when it was killed while writing, with fields missing
    or half a number at its end, is dropped with a note.

    Args:
      path: The CSV file; a header row, then one row per evaluation in time order.
      time_column: Column that holds the time in seconds.
      metric_column: Column that holds the metric, for example ``"validation/wer"``.
      label: How notes call the file; None for its path.

    Returns:
      The measurements, or None if the file was killed before its header was complete.

    Raises:
      FileNotFoundError: If there is no such file.
      LogError: If the file cannot be read, lacks a column, or holds a malformed number; names
        file, line and column.
    """
    rows, terminated = _read_rows(path)
    header, body = (rows[0] if rows else []), rows[1:]
    missing = [column for column in (time_column, metric_column) if column not in header]
    if missing and not body and not terminated:
        return None
    if missing:
        raise LogError(
            f"{path}: no column {missing[0]!r}, which scoring needs; the columns are "
            f"{', '.join(header)}. Does the folder hold this workload's logs?"
        )
    body, notes = _complete_rows(path, body, len(header), terminated, label or str(path))
    return Measurements(
        times=_column(path, body, header.index(time_column), time_column),
        values=_column(path, body, header.index(metric_column), metric_column),
        notes=notes,
    )


def header_note(label: str) -> str:
    """Returns the note about a file without a complete header."""
    return note(NO_ROWS, label)


def _read_rows(path: Path) -> tuple[Rows, bool]:
    """Returns all rows, and whether the last one ends with a line break."""
    try:
        with open(path, encoding="utf-8", errors="replace", newline="") as file:
            text = file.read()
        rows = [row for row in csv.reader(text.splitlines()) if row]
    except FileNotFoundError:
        raise
    except (OSError, csv.Error) as error:
        raise LogError(f"{path}: cannot be read as CSV: {error}.") from error
    return rows, text.endswith(("\n", "\r"))


def _complete_rows(
    path: Path, body: Rows, width: int, terminated: bool, label: str
) -> tuple[Rows, tuple[str, ...]]:
    notes: tuple[str, ...] = ()
    if body and _is_cut(body[-1], width, terminated):
        body, notes = body[:-1], (note(CUT_ROW, label),)
    elif body and not terminated:
        notes = (note(UNTERMINATED, label),)
    for index, row in enumerate(body):
        if len(row) != width:
            raise LogError(
                f"{path}: line {index + 2} has {len(row)} fields, but the header has {width}; "
                "repair or remove the line."
            )
    return body, notes


def _is_cut(row: list[str], width: int, terminated: bool) -> bool:
    """Whether a last row ends too early: fields are missing, or half a number is left."""
    return len(row) < width or (not terminated and not _is_number(row[-1]))


def _is_number(cell: str) -> bool:
    try:
        float(cell or "nan")
    except ValueError:
        return False
    return True


def _column(path: Path, rows: Rows, index: int, name: str) -> NDArray[np.float64]:
    try:
        return np.array([float(row[index] or "nan") for row in rows], dtype=np.float64)
    except ValueError:
        cells = [_number(path, line, row[index], name) for line, row in enumerate(rows, start=2)]
        return np.array(cells, dtype=np.float64)


def _number(path: Path, line: int, cell: str, name: str) -> float:
    if not cell.strip():
        return math.nan
    try:
        return float(cell)
    except ValueError as error:
        raise LogError(
            f"{path}: line {line}, column {name!r}: expected a number or an empty cell, found "
            f"{cell!r}."
        ) from error
