"""The two CSV files of a trial: `eval_measurements.csv` (evaluations) and `measurements.csv` (everything).

Columns and their order are the published ones (docs/protocol.md, "Files of a trial").
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from algoperf_core.durable import append_durable, write_durable
from algoperf_core.errors import SubmissionError
from algoperf_scoring.logs import UNSCORED_FILE

EVALUATIONS_FILE = "eval_measurements.csv"
MEASUREMENTS_FILE = "measurements.csv"
FILES = (EVALUATIONS_FILE, MEASUREMENTS_FILE, UNSCORED_FILE)


class CsvTable:
    """A growing CSV file; rows may bring new columns, which are added at the right.

    Rows with known columns are appended in one write, all or none of it; a new column rewrites the file
    atomically. A file that is there already is continued.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._columns: list[str] = []
        self._rows: list[Mapping[str, Any]] = []
        if path.exists():
            self._read()

    def append(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Appends rows; the first row ever sets the columns in alphabetical order.

        Raises:
            RecordError: The rows cannot be written; the file is as it was.
        """
        if not rows:
            return
        if not self._columns:
            self._columns = sorted(rows[0])
        new = [name for row in rows for name in row if name not in self._columns]
        self._columns += dict.fromkeys(new)
        self._rows += rows
        if new or len(self._rows) == len(rows):
            header = dict(zip(self._columns, self._columns, strict=True))
            write_durable(self._path, self._text([header, *self._rows]).encode())
        else:
            append_durable(self._path, self._text(rows).encode())

    def _read(self) -> None:
        with self._path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            self._rows = list(reader)
            self._columns = list(reader.fieldnames or ())

    def _text(self, rows: Sequence[Mapping[str, Any]]) -> str:
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerows([row.get(name, "") for name in self._columns] for row in rows)
        return buffer.getvalue()


class Measurements:
    """Records a trial's evaluations and the scalars that its submission logs.

    Scalars are kept as they come, on the device, and converted at the next evaluation: logging inside
    `update_params` costs a submission next to nothing and never waits for the device.

    Args:
        trial_dir: Folder of the trial; it exists. Measurements that are there already are continued.
        preemption_count: How often the trial was interrupted before.
        on_rows: Is given the rows of `measurements.csv` once they are written.
        scored: Whether the trial counts; the evaluations of one that does not go to
            `unscored_eval_measurements.csv`, which no scorer reads.
    """

    def __init__(
        self,
        trial_dir: Path,
        preemption_count: int = 0,
        on_rows: Callable[[Sequence[Mapping[str, Any]]], None] = lambda rows: None,
        *,
        scored: bool = True,
    ) -> None:
        self._on_rows = on_rows
        self._evaluations = CsvTable(trial_dir / (EVALUATIONS_FILE if scored else UNSCORED_FILE))
        self._all = CsvTable(trial_dir / MEASUREMENTS_FILE)
        self._preemption_count = preemption_count
        self._pending: list[dict[str, Any]] = []

    def append_scalar_metrics(self, metrics: Mapping[str, Any], global_step: int) -> None:
        """Records scalars of a step, for `measurements.csv`."""
        kept = {name: _snapshot(value) for name, value in metrics.items()}
        self._pending.append(kept | {"global_step": global_step})

    def append_evaluation(self, metrics: Mapping[str, float], global_step: int) -> None:
        """Records an evaluation in both files and writes everything that is pending."""
        row = {name: _scalar(name, value) for name, value in metrics.items()} | {
            "global_step": global_step
        }
        self._evaluations.append([row])
        self._pending.append(row)
        self.flush()

    def append_final(self, submission_s: float, global_step: int) -> None:
        """Records the last row of `measurements.csv`: the whole submission time."""
        self._pending.append(
            {
                "score": submission_s,
                "global_step": global_step,
                "preemption_count": self._preemption_count,
            }
        )
        self.flush()

    def flush(self) -> None:
        """Writes what is pending."""
        rows = [
            {name: _scalar(name, value) for name, value in row.items()} for row in self._pending
        ]
        self._pending.clear()
        self._all.append(rows)
        self._on_rows(rows)


def _snapshot(value: Any) -> Any:
    # PyTorch tensors may be changed in place after they were logged.
    return value.detach().clone() if hasattr(value, "detach") else value


def _scalar(name: str, value: Any) -> float | int | str:
    if isinstance(value, int | float | str):
        return value
    try:
        number = value.item()
    except (AttributeError, ValueError, RuntimeError) as error:
        raise SubmissionError(f"metric {name!r} is not a scalar: {error}") from None
    return float(number) if isinstance(number, float) else int(number)
