"""Tables as people have them, brought to one form: names of columns, and rows of cells.

A CSV file, a mapping of columns, a list of rows and a data frame all become a `Cells`, which knows
how to name a place in its source. What the cells mean is in `time_tables.py`.
"""

import csv
import io
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Protocol, cast

from algoperf_scoring.errors import LogError
from algoperf_scoring.fields import shown, suggestion
from algoperf_scoring.measurements import read_bytes
from algoperf_scoring.text_tables import printable

_INFINITY = re.compile(r"[+-]?inf(inity)?", re.I | re.A)
_NUMBER = re.compile(rf"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?|{_INFINITY.pattern}", re.I | re.A)
_DIGITS = re.compile(r"-?\d{1,18}", re.A)
_LARGEST = 10**18 - 1


class Frame(Protocol):
    """What is used of a pandas DataFrame."""

    @property
    def index(self) -> Iterable[Any]:
        """Labels of the rows."""

    @property
    def columns(self) -> Iterable[Any]:
        """Labels of the columns."""

    def to_dict(self, orient: Any) -> Any:
        """Returns, for ``"list"``, the cells of each column."""


Source = Path | str | Mapping[str, Any] | Sequence[Mapping[str, Any]] | Frame


@dataclass(frozen=True)
class Cells:
    """A table without meaning.

    Attributes:
      source: Where it came from, for messages.
      names: Names of the columns, all different but for empty ones.
      rows: Cells of every row, as many as there are names; rows of blanks are left out.
      places: Where each row stands: a line of the file, or a row.
    """

    source: str
    names: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    places: tuple[str, ...]

    @cached_property
    def index(self) -> Mapping[str, int]:
        """Where each column is; of several with an empty name, the first."""
        return {name: column for column, name in reversed(list(enumerate(self.names)))}

    def require(self, name: str) -> None:
        """Refuses a table without a column.

        Raises:
          LogError: If there is none of that name; suggests the nearest.
        """
        if name not in self.index:
            listed = shown(", ".join(self.names)).strip("'\"")
            hint = suggestion(name, self.names)
            raise LogError(f"{self.source}: no column {name!r};{hint} The columns are {listed}.")

    def __iter__(self) -> Iterator["Row"]:
        for cells, place in zip(self.rows, self.places, strict=True):
            yield Row(self, cells, place)


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
      table: The table it belongs to.
      cells: Its cells.
      place: Where it stands: a line of the file, or a row.
    """

    table: Cells
    cells: tuple[Any, ...]
    place: str

    def error(self, column: str, problem: str) -> LogError:
        """Returns the error for a cell, ready to raise."""
        return LogError(f"{self.table.source}: {self.place}, column {shown(column)}: {problem}")

    def has(self, column: str) -> bool:
        """Whether the table has the column."""
        return column in self.table.index

    def cell(self, column: str) -> Any:
        """Returns a cell; None if there is no such column."""
        return self.cells[self.table.index[column]] if self.has(column) else None

    def blank(self, column: str) -> bool:
        """Whether a cell holds nothing, or there is no such column."""
        return blank(self.cell(column))

    def name(self, column: str) -> str:
        """Returns a name: text without the blanks around it, or a whole number."""
        cell = self.cell(column)
        if isinstance(cell, str) and cell.strip():
            return cell.strip()
        if _is_whole(cell):
            return str(int(cell))
        raise self.error(column, f"expected a name, found {shown(cell)}.")

    def seconds(self, column: str) -> float:
        """Returns a number of at least 0, or infinity."""
        cell = self.cell(column)
        value = _as_float(cell)
        if not value >= 0.0:
            raise self.error(
                column,
                f"expected seconds of at least 0, such as 812.5, or inf for a target that was "
                f"missed; found {shown(cell)}.",
            )
        return value + 0.0

    def whole(self, column: str, *, least: int = 0) -> int:
        """Returns a whole number of at least ``least``."""
        cell = self.cell(column)
        digits = isinstance(cell, str) and _DIGITS.fullmatch(cell.strip())
        # Large numbers lose their last digits as floats.
        value = int(cell) if digits or _is_whole(cell) else _as_float(cell)
        if not (least <= value <= _LARGEST and value == int(value)):
            raise self.error(
                column, f"expected a whole number from {least} to {_LARGEST}, found {shown(cell)}."
            )
        return int(value)


def blank(cell: object) -> bool:
    """Whether a cell holds nothing: None, NaN, pandas' NA, or text of blanks."""
    if isinstance(cell, str):
        return not cell.strip()
    if cell is None or type(cell).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(cell, Real) and bool(cell != cell)


def read_cells(source: Source) -> Cells:
    """Reads a table.

    Args:
      source: The path of a CSV file with a header row; a mapping of column names to sequences; a
        mapping of submissions to mappings of workloads to times; a sequence of mappings, one per
        row; or a pandas DataFrame, whose index counts as a first column if it holds text.

    Raises:
      LogError: If it cannot be read, has no rows, or its rows have different lengths.
    """
    if isinstance(source, str | Path):
        data = _file_bytes(source)
        try:
            return csv_cells(data.decode("utf-8-sig"), str(source))
        except UnicodeDecodeError as error:
            raise LogError(f"{source}: not UTF-8 text; save it as CSV in UTF-8.") from error
    if isinstance(source, Mapping):
        nested = source and all(isinstance(value, Mapping) for value in source.values())
        return _from_nested(source) if nested else _from_columns(source, "table")
    if hasattr(source, "to_dict") and hasattr(source, "columns"):
        return _from_frame(cast(Frame, source))
    return _from_rows(source)


def csv_cells(text: str, source: str) -> Cells:
    """Reads the text of a CSV file; see `read_cells`."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        lines = [(reader.line_num, row) for row in reader if not all(map(blank, row))]
    except csv.Error as error:
        raise LogError(f"{source}: line {reader.line_num}: not CSV: {error}.") from error
    header = [name.strip() for name in lines[0][1]] if lines else []
    if len(header) == 1 and (";" in header[0] or "\t" in header[0]):
        raise LogError(
            f"{source}: fields are not separated by commas; save the table as CSV with commas, and "
            "with points in numbers."
        )
    return _checked(
        source,
        header,
        [row for _, row in lines[1:]],
        [f"line {line}" for line, _ in lines[1:]],
    )


def _is_whole(cell: object) -> bool:
    return isinstance(cell, Integral) and not _is_truth(cell)


def _is_truth(cell: object) -> bool:
    # Python counts truth values among the whole numbers.
    return isinstance(cell, bool)


def _as_float(cell: object) -> float:
    """Returns a number or the text of one as float; NaN for all else, and for too large ones."""
    if isinstance(cell, str):
        text = cell.strip()
        value = float(text) if _NUMBER.fullmatch(text) else math.nan
        return math.nan if math.isinf(value) and not _INFINITY.fullmatch(text) else value
    if not isinstance(cell, Real) or _is_truth(cell):
        return math.nan
    try:
        return float(cell)
    except OverflowError:
        return math.nan


def _file_bytes(path: Path | str) -> bytes:
    try:
        return read_bytes(path)
    except FileNotFoundError as error:
        raise LogError(f"{path}: no such file; give a CSV file.") from error


def _from_columns(table: Mapping[str, Any], source: str) -> Cells:
    columns = {str(name): _sequence(source, str(name), cells) for name, cells in table.items()}
    lengths = {len(cells) for cells in columns.values()}
    if len(lengths) > 1:
        listed = ", ".join(f"{name} {len(cells)}" for name, cells in columns.items())
        raise LogError(f"{source}: columns of different lengths ({listed}); make them equal.")
    return _numbered(source, list(columns), list(zip(*columns.values(), strict=True)))


def _sequence(source: str, name: str, cells: object) -> list[Any]:
    if isinstance(cells, str | bytes | Mapping) or not isinstance(cells, Iterable):
        raise LogError(
            f"{source}: column {name!r}: expected a sequence of cells, found {shown(cells)}."
        )
    return list(cells)


def _from_nested(table: Mapping[str, Mapping[str, Any]]) -> Cells:
    names = list(dict.fromkeys(str(name) for cells in table.values() for name in cells))
    rows = [(label, *map(cells.get, names)) for label, cells in table.items()]
    return _numbered("table", ["submission", *names], rows)


def _from_frame(frame: Frame) -> Cells:
    names, labels = [str(name) for name in frame.columns], list(frame.index)
    if len(set(names)) < len(names):
        return _checked("data frame", names, [], [])
    columns = {str(name): cells for name, cells in frame.to_dict("list").items()}
    # Without names of its own, an index counts the rows.
    if labels and all(isinstance(label, str) for label in labels) and "submission" not in columns:
        columns = {"submission": labels, **columns}
    return _from_columns(columns, "data frame")


def _from_rows(rows: object) -> Cells:
    if not isinstance(rows, Iterable):
        raise LogError(
            "table: expected the path of a CSV file, a mapping of columns, a sequence of mappings "
            f"or a data frame, found {shown(rows)}."
        )
    kept = list(rows)
    for number, row in enumerate(kept, start=1):
        if not isinstance(row, Mapping):
            raise LogError(f"table: row {number}: expected a mapping, found {shown(row)}.")
    names = list(dict.fromkeys(name for row in kept for name in row))
    return _numbered("table", list(map(str, names)), [tuple(map(row.get, names)) for row in kept])


def _numbered(source: str, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> Cells:
    numbered = [(number, row) for number, row in enumerate(rows, start=1)]
    kept = [(number, row) for number, row in numbered if not all(map(blank, row))]
    places = [f"row {number}" for number, _ in kept]
    return _checked(source, [name.strip() for name in names], [row for _, row in kept], places)


def _checked(
    source: str, names: Sequence[str], rows: Sequence[Sequence[Any]], places: Sequence[str]
) -> Cells:
    source = printable(source)
    for name, count in Counter(names).items():
        if name and count > 1:
            raise LogError(f"{source}: the column {shown(name)} is there twice; keep one of them.")
    for row, place in zip(rows, places, strict=True):
        if len(row) != len(names):
            raise LogError(
                f"{source}: {place} has {len(row)} fields, but the header has {len(names)}; put "
                "names with commas in quotes, and write numbers with points."
            )
    if not rows:
        raise LogError(f"{source}: holds no rows; give a header and a row for each time.")
    return Cells(source, tuple(names), tuple(map(tuple, rows)), tuple(places))
