"""What the processes of a trial other than the first have in place of files: nothing."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any

PERIOD_S = 0.5
# How long a process that was asked to end stays, so that the first one can write down how the trial ended.
LINGER_S = 10.0


class SilentMeasurements:
    """Takes measurements and drops them: rank 0 writes the same."""

    def append_scalar_metrics(self, metrics: Mapping[str, Any], global_step: int) -> None:
        """Drops scalars of a step."""

    def append_evaluation(self, metrics: Mapping[str, float], global_step: int) -> None:
        """Drops an evaluation."""


class FollowerProgress:
    """Reports nothing; a context manager that ends this process once nobody waits for its trial.

    Args:
        orphaned: Tells whether nobody does.
    """

    def __init__(self, orphaned: Callable[[], bool]) -> None:
        self._orphaned = orphaned
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="orphan watch", daemon=True)

    def after_step(self, global_step: int, submission_s: float) -> None:
        """Does nothing."""

    def after_evaluation(self, metrics: Mapping[str, float]) -> None:
        """Does nothing."""

    def __enter__(self) -> FollowerProgress:
        self._thread.start()
        return self

    def __exit__(self, *ended: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(PERIOD_S):
            if self._orphaned():
                os.kill(os.getpid(), signal.SIGTERM)
                return


def linger_when_asked_to_end() -> None:
    """Makes this process go on for a while when it is interrupted or terminated.

    Rank 0 is then not held up in an exchange with it, ends the trial, and with it this process.
    """

    def linger(number: int, frame: FrameType | None) -> None:
        # The alarm's default is to end the process, whatever it is in the middle of.
        signal.setitimer(signal.ITIMER_REAL, LINGER_S)
        for again in (signal.SIGINT, signal.SIGTERM):
            signal.signal(again, signal.SIG_IGN)

    signal.signal(signal.SIGINT, linger)
    signal.signal(signal.SIGTERM, linger)
