"""How a running trial tells the world where it is: a small file, written by a thread of its own.

The training loop only sets numbers; a slow disk never holds it up.
"""

from __future__ import annotations

import json
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from types import TracebackType

from algoperf_scoring.errors import OutputError
from algoperf_scoring.files import write_text_atomic

PERIOD_S = 0.5


@dataclass(frozen=True)
class Snapshot:
    """Where a trial is.

    Args:
        global_step: Steps done.
        submission_s: Submission time in seconds.
        budget_s: Budget in seconds.
        metric: Name of the target metric.
        value: Its validation value at the last evaluation; None before the first.
        target: Its validation target.
        direction: `minimize` or `maximize`; None if that is not known.
        best: The best value so far; None before the first finite one.
        wall_s: Wall-clock seconds since the trial began to set up, without work that was lost.
    """

    global_step: int
    submission_s: float
    budget_s: float
    metric: str
    value: float | None
    target: float
    direction: str | None = None
    best: float | None = None
    wall_s: float = 0.0

    @property
    def reached(self) -> bool:
        """Whether the best value meets the target; equal counts."""
        return self.best is not None and self._better_or_equal(self.best, self.target)

    def better(self, value: float | None) -> float | None:
        """The better of the best value so far and a new one; without a direction, neither."""
        if value is None or not math.isfinite(value) or self.direction is None:
            return self.best
        if self.best is None or self._better_or_equal(value, self.best):
            return value
        return self.best

    def _better_or_equal(self, value: float, other: float) -> bool:
        return value <= other if self.direction == "minimize" else value >= other


class ProgressFile:
    """Writes snapshots of a trial while it runs; a context manager.

    Args:
        path: File to keep up to date.
        start: The first snapshot, which names budget, metric and target.
        orphaned: Tells whether nobody waits for this trial any more; it then ends itself.
        now: Monotonic clock, in seconds.
        began_at: When the trial began on this clock; now, if not given.
    """

    def __init__(
        self,
        path: Path,
        start: Snapshot,
        orphaned: Callable[[], bool],
        now: Callable[[], float] = time.monotonic,
        began_at: float | None = None,
    ) -> None:
        self._path = path
        self._start = self._evaluated = start
        self._orphaned = orphaned
        self._now = now
        self._began_at = now() if began_at is None else began_at
        self._step = 0
        self._submission_s = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="progress", daemon=True)

    def after_step(self, global_step: int, submission_s: float) -> None:
        """Takes note of a step."""
        self._step, self._submission_s = global_step, submission_s

    def after_evaluation(self, metrics: Mapping[str, float]) -> None:
        """Takes note of an evaluation."""
        value = metrics.get(f"validation/{self._start.metric}")
        self._evaluated = replace(self._evaluated, value=value, best=self._evaluated.better(value))

    def snapshot(self) -> Snapshot:
        """Where the trial is now."""
        return replace(
            self._evaluated,
            global_step=self._step,
            submission_s=self._submission_s,
            wall_s=self._now() - self._began_at,
        )

    def __enter__(self) -> ProgressFile:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._write()

    def _watch(self) -> None:
        while not self._stop.wait(PERIOD_S):
            self._write()
            if self._orphaned():
                os.kill(os.getpid(), signal.SIGTERM)

    def _write(self) -> None:
        # A full disk must not end the thread, which also watches for orphans, nor hide a trial's own error.
        with suppress(OutputError):
            write_text_atomic(self._path, json.dumps(asdict(self.snapshot())))


def read_snapshot(path: Path) -> Snapshot | None:
    """The last snapshot of a trial; None before its first, and for a file that is damaged."""
    try:
        return parse_snapshot(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def parse_snapshot(text: str) -> Snapshot:
    """Reads a snapshot, also one of another version: what this one does not know is left out.

    Raises:
        ValueError: It is no snapshot; says why.
    """
    data = json.loads(text)
    if not isinstance(data, dict):
        raise ValueError("not a JSON object")
    known = {field.name: data[field.name] for field in fields(Snapshot) if field.name in data}
    for name in NUMBERS:
        if not isinstance(known.get(name, 0.0), int | float):
            raise ValueError(f"{name} is {known[name]!r}, not a number")
    try:
        return Snapshot(**known)
    except TypeError as error:
        raise ValueError(str(error)) from None


NUMBERS = ("global_step", "submission_s", "budget_s", "target", "wall_s")
