"""A trial's trackers, seen from the trial: each in a process of its own, awake only while rows are logged.

Fairness: the trial lets a tracker work for `Limits.log` seconds per evaluation at most, on the logging
account, and then stops its process (SIGSTOP); on the submission's clock no tracker has a thread, the
interpreter's lock or a processor. Safety: an exception, a hang or a crash of a tracker ends its process,
never the trial. Processes that a tracker started end with it. A trial that is killed leaves none behind:
Linux kills them with it (`host.py`).
"""

from __future__ import annotations

import json
import logging
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

from algoperf_core.trackers import TrialFacts

log = logging.getLogger(__name__)

MAX_LATE = 3
MAX_QUEUED_BYTES = 32 * 2**20

Clock = Callable[[], float]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How long a trial waits for its trackers, in seconds; one that takes longer is switched off.

    Args:
        start: For imports and `start`, while the trial is set up.
        log: For the rows of an evaluation; what is left is done at the next, but not twice in a row.
        finish: For `finish`, when the trial is over.
        finish_interrupted: The same for a trial that was stopped from outside, which has seconds to end
            (`GRACE_S` of the executors).
        end: For the process to end by itself after `finish`.
    """

    start: float = 60.0
    log: float = 2.0
    finish: float = 20.0
    finish_interrupted: float = 3.0
    end: float = 2.0


DEFAULT_LIMITS = Limits()


class TrackerProcess:
    """One tracker of one trial.

    Args:
        name: Name of the tracker.
        log_file: Where the process writes what the tracker prints; removed in the end if it is empty.
        now: Monotonic clock, in seconds.
    """

    def __init__(self, name: str, log_file: Path, now: Clock = time.monotonic) -> None:
        self.name = name
        self._log_file = log_file
        self._now = now
        self._queue = bytearray()
        self._unanswered = 0
        self._late = 0
        with log_file.open("wb") as output:
            self._process: subprocess.Popen[bytes] | None = subprocess.Popen(
                [sys.executable, "-m", "algoperf_core.trackers.host", name],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                bufsize=0,
                # A group of its own, so that it is stopped and killed with all its children.
                process_group=0,
            )
        assert self._process.stdin is not None  # noqa: S101
        os.set_blocking(self._process.stdin.fileno(), False)

    @property
    def is_on(self) -> bool:
        """Whether it was not switched off."""
        return self._process is not None

    def send(self, message: Mapping[str, Any]) -> None:
        """Queues a message; never waits."""
        if self._process is None:
            return
        assert self._process.stdin is not None  # noqa: S101
        self._queue += json.dumps(message).encode() + b"\n"
        self._unanswered += 1
        self._write(self._process.stdin.fileno())
        if len(self._queue) > MAX_QUEUED_BYTES:
            self.switch_off(f"does not keep up: {len(self._queue) / 2**20:.0f} MiB are waiting")

    def wake(self) -> None:
        """Lets it work."""
        self._signal(signal.SIGCONT)

    def pause(self) -> None:
        """Stops it where it is."""
        self._signal(signal.SIGSTOP)

    def wait(self, until: float, *, may_be_late: bool = False) -> None:
        """Waits until every message was answered; a tracker that takes too long is switched off.

        Args:
            until: When to give up, on the clock.
            may_be_late: Whether what is left may be done when it is woken again; not too often.
        """
        while self._process is not None and self._unanswered:
            left_s = max(until - self._now(), 0.0)
            # Looked at once more when the time is up: waiting for another tracker may have used it.
            if not self._exchange(self._process, left_s) and left_s == 0.0:
                self._late += 1
                if not may_be_late or self._late >= MAX_LATE:
                    self.switch_off("did not answer in time")
                return
        self._late = 0

    def end(self, patience_s: float) -> None:
        """Ends the process, which may take some time to do so by itself."""
        if self._process is not None:
            self._end(self._process, patience_s)
        with suppress(OSError):
            if self._log_file.stat().st_size == 0:
                self._log_file.unlink()

    def switch_off(self, reason: str) -> None:
        """Ends the process at once and warns."""
        if self._process is None:
            return
        self._end(self._process, patience_s=0.0)
        log.warning(
            "tracker %s is switched off, the trial goes on without it: it %s (see %s)",
            self.name,
            reason,
            self._log_file,
        )

    def _exchange(self, process: subprocess.Popen[bytes], limit_s: float) -> bool:
        """Reads and writes what can be; whether anything could."""
        assert process.stdin is not None  # noqa: S101
        assert process.stdout is not None  # noqa: S101
        with selectors.DefaultSelector() as ready:
            ready.register(process.stdout, selectors.EVENT_READ)
            if self._queue:
                ready.register(process.stdin, selectors.EVENT_WRITE)
            events = ready.select(limit_s)
            for key, _ in events:
                if key.fileobj is process.stdout:
                    self._read(process.stdout.fileno())
                elif self._process is not None:
                    self._write(process.stdin.fileno())
        return bool(events)

    def _read(self, descriptor: int) -> None:
        answers = os.read(descriptor, 65536)
        self._unanswered -= len(answers)
        if not answers:
            self.switch_off(f"failed: {self._last_line()}")

    def _write(self, descriptor: int) -> None:
        try:
            del self._queue[: os.write(descriptor, self._queue)]
        except BlockingIOError:
            return
        except BrokenPipeError:
            self.switch_off(f"failed: {self._last_line()}")

    def _last_line(self) -> str:
        try:
            text = self._log_file.read_text(encoding="utf-8", errors="replace").strip()
        except OSError as error:
            text = str(error)
        return text.rpartition("\n")[2] or "it ended without a word"

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            with suppress(ProcessLookupError, PermissionError):  # it has just ended
                os.killpg(self._process.pid, number)

    def _end(self, process: subprocess.Popen[bytes], patience_s: float) -> None:
        self._process = None
        assert process.stdin is not None  # noqa: S101
        assert process.stdout is not None  # noqa: S101
        # Some start processes outside of their group, such as uploaders, and those end with it.
        others = _below(process.pid)
        process.stdin.close()
        try:
            process.wait(patience_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        process.stdout.close()
        for other in others:
            with suppress(psutil.Error):
                other.kill()


def _below(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:  # it has just ended
        return []


class Trackers:
    """All trackers of a trial; a context manager around the whole of it.

    Args:
        names: Names of trackers.
        facts: The trial.
        hyperparameters: Its point; None in the self-tuning ruleset.
        read_outcome: Gives the outcome when the trial is over; None if it never began.
        limits: How long to wait for them.
        now: Monotonic clock, in seconds.
    """

    def __init__(
        self,
        names: Sequence[str],
        facts: TrialFacts,
        hyperparameters: Mapping[str, Any] | None,
        read_outcome: Callable[[], Mapping[str, Any] | None],
        limits: Limits = DEFAULT_LIMITS,
        now: Clock = time.monotonic,
    ) -> None:
        self._limits = limits
        self._read_outcome = read_outcome
        self._now = now
        self._step_and_time = (0, 0.0)
        self._all: list[TrackerProcess] = []
        for name in dict.fromkeys(names):
            try:
                tracker = TrackerProcess(name, Path(facts.trial_dir) / f"tracker_{name}.log", now)
            except OSError as error:
                log.warning("tracker %s is switched off: it cannot be started: %s", name, error)
                continue
            # It starts while the trial imports its framework.
            tracker.send({"start": asdict(facts), "hyperparameters": hyperparameters})
            self._all.append(tracker)

    def __enter__(self) -> Trackers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        limits, interrupted = self._limits, isinstance(error, KeyboardInterrupt)
        if result := self._read_outcome():
            for tracker in self._all:
                tracker.send({"finish": result})
                tracker.wake()
            self._wait(limits.finish_interrupted if interrupted else limits.finish)
        for tracker in self._all:
            tracker.end(limits.end if result else 0.0)

    def wait_until_started(self) -> None:
        """Waits until all have started, and stops them; to be called before the clock runs."""
        self._wait(self._limits.start)
        self._pause()

    def log(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Hands rows of `measurements.csv` over; to be called while the logging account is open.

        Args:
            rows: Rows in order; the last one says the submission time so far as its `score`, where it is an
                evaluation or the final row.
        """
        if not self._all or not rows:
            return
        message = {"rows": self._timed(rows)}
        for tracker in self._all:
            tracker.send(message)
            tracker.wake()
        self._wait(self._limits.log, may_be_late=True)
        self._pause()

    def _wait(self, limit_s: float, *, may_be_late: bool = False) -> None:
        until = self._now() + limit_s
        for tracker in self._all:
            tracker.wait(until, may_be_late=may_be_late)

    def _pause(self) -> None:
        for tracker in self._all:
            tracker.pause()

    def _timed(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Rows with their submission time, and without what is no number."""
        before_step, before_s = self._step_and_time
        last_step, last_s = rows[-1]["global_step"], rows[-1].get("score", before_s)
        per_step_s = (last_s - before_s) / max(last_step - before_step, 1)
        self._step_and_time = last_step, last_s
        timed = []
        for row in rows:
            step = row["global_step"]
            between_s = before_s + per_step_s * max(step - before_step, 0)
            numbers = {
                name: value
                for name, value in row.items()
                if isinstance(value, int | float) and name != "global_step"
            }
            timed.append({"metrics": numbers, "global_step": step, "submission_s": between_s})
        return timed
