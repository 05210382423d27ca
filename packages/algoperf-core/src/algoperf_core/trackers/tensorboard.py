"""TensorBoard: an event file in the trial's folder, where the published benchmark has it, too.

Written with tensorboardX, or with the package `tensorboard` where only that is installed; TensorFlow is not
needed. TensorBoard's RELATIVE axis shows submission time: the wall time of an event is that of the trial's
start plus its submission time.
"""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from algoperf_core.trackers import TrialFacts


class TensorBoardTracker:
    """Writes one event per row, with all its numbers, and flushes it."""

    def __init__(self) -> None:
        # tensorboardX imports PyTorch if it is there, for three seconds and 200 MiB that scalars do not need.
        # This process is the tracker's own, so it can do without.
        sys.modules.setdefault("torch", None)  # type: ignore[arg-type]
        self._events, self._writer = _writers()

    def start(self, facts: TrialFacts, hyperparameters: Mapping[str, Any]) -> None:
        """Opens the file; the first row decides from which step on earlier events are void."""
        self._started_at = time.time()
        name = f"events.out.tfevents.{int(self._started_at)}.{socket.gethostname()}"
        self._file = self._writer(Path(facts.trial_dir) / name)
        self._begun = False
        self._write(self._started_at, file_version="brain.Event:2")
        for summary in _hyperparameter_summaries(hyperparameters, f"validation/{facts.metric}"):
            self._write(self._started_at, summary=summary)
        self._file.flush()

    def log(self, metrics: Mapping[str, float], global_step: int, submission_s: float) -> None:
        """Writes a row."""
        at = self._started_at + submission_s
        if not self._begun:
            # A trial that is run again, or goes on from a checkpoint, replaces what an earlier attempt
            # wrote from this step on.
            restart = self._events.SessionLog(status=self._events.SessionLog.START)
            self._write(at, step=global_step, session_log=restart)
            self._begun = True
        value = self._events.Value
        values = [value(tag=name, simple_value=number) for name, number in metrics.items()]
        self._write(at, step=global_step, summary=self._events.Summary(value=values))
        self._file.flush()

    def finish(self, result: Mapping[str, Any]) -> None:
        """Closes the file."""
        self._file.close()

    def _write(self, wall_time: float, **fields: Any) -> None:
        event = self._events.Event(wall_time=wall_time, **fields)
        self._file.write(event.SerializeToString())


class _Events:
    """Protocol buffers of an event file."""

    def __init__(self, event_pb2: Any, summary_pb2: Any) -> None:
        self.Event = event_pb2.Event
        self.SessionLog = event_pb2.SessionLog
        self.Summary = summary_pb2.Summary
        self.Value = summary_pb2.Summary.Value


def _writers() -> tuple[_Events, Any]:
    """The protocol buffers, and a function that opens a file for records."""
    try:
        from tensorboardX.proto import event_pb2, summary_pb2
        from tensorboardX.record_writer import RecordWriter
    except ModuleNotFoundError:
        from tensorboard.compat.proto import event_pb2, summary_pb2
        from tensorboard.summary.writer.record_writer import RecordWriter

        return _Events(event_pb2, summary_pb2), lambda path: RecordWriter(path.open("wb"))
    return _Events(event_pb2, summary_pb2), lambda path: RecordWriter(str(path))


def _hyperparameter_summaries(hyperparameters: Mapping[str, Any], metric: str) -> list[Any]:
    """What the HPARAMS tab reads; tensorboardX alone can write it without TensorFlow."""
    if not hyperparameters:
        return []
    try:
        from tensorboardX.summary import hparams
    except ModuleNotFoundError:
        return []
    point = {
        name: value if isinstance(value, bool | int | float | str) else str(value)
        for name, value in hyperparameters.items()
    }
    return list(hparams(point, {metric: None}))[:2]
