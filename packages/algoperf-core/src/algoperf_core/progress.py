"""How a running trial tells the world where it is: a small file, written by a thread of its own.

The training loop only sets numbers; a slow disk never holds it up.
"""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
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
    """

    global_step: int
    submission_s: float
    budget_s: float
    metric: str
    value: float | None
    target: float


class ProgressFile:
    """Writes snapshots of a trial while it runs; a context manager.

    Args:
        path: File to keep up to date.
        start: The first snapshot, which names budget, metric and target.
        orphaned: Tells whether nobody waits for this trial any more; it then ends itself.
    """

    def __init__(self, path: Path, start: Snapshot, orphaned: Callable[[], bool]) -> None:
        self._path = path
        self._start = start
        self._orphaned = orphaned
        self._step = 0
        self._submission_s = 0.0
        self._value: float | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="progress", daemon=True)

    def after_step(self, global_step: int, submission_s: float) -> None:
        """Takes note of a step."""
        self._step, self._submission_s = global_step, submission_s

    def after_evaluation(self, metrics: Mapping[str, float]) -> None:
        """Takes note of an evaluation."""
        self._value = metrics.get(f"validation/{self._start.metric}")

    def snapshot(self) -> Snapshot:
        """Where the trial is now."""
        start = self._start
        return Snapshot(
            self._step, self._submission_s, start.budget_s, start.metric, self._value, start.target
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
    """The last snapshot of a trial; None before its first, or if a power failure damaged it."""
    try:
        return Snapshot(**json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, UnicodeDecodeError, json.JSONDecodeError, TypeError):
        return None
