"""Work that a submission does while its clock is paused: it is found, and charged to it all the same.

What a submission leaves running, threads and processes, may compute during an evaluation, the logging or a
checkpoint. That processor time is taken from the account of the pause and put on the submission's, as the
phase `background`: the accounts still add up to wall-clock, and nobody is charged for more than the pause.

Threads and processes belong to whoever was at work when they appeared, the harness (set-up, the first batch
of the input queue, evaluations, checkpoints) or the submission (its import and its functions). The order of
calls says who that is. So nothing has to be done in a step, and names do not matter.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager

import psutil

from algoperf_core.background import BackgroundWork, ChildTable, Worker
from algoperf_core.ledger import Ledger, Phase

log = logging.getLogger(__name__)

# What waiting threads and processes use to wake up and to wait on: so long, or this share of the pause.
TOLERANCE_S = 0.01
TOLERANCE_SHARE = 0.001
# A worker that ends during a pause counts as far as it was seen so often. Only if there are any.
LOOK_EVERY_S = 0.05
_PAUSES = (Phase.EVALUATION, Phase.MEASUREMENTS, Phase.CHECKPOINT)


class Unwatched:
    """Looks at nothing; for runs whose clock does not count."""

    culprits: tuple[str, ...] = ()

    def to_submission(self) -> None:
        """Does nothing."""

    def to_harness(self) -> None:
        """Does nothing."""

    @contextmanager
    def harness_work(self) -> Iterator[None]:
        """Does nothing."""
        yield

    @contextmanager
    def pause(self, ledger: Ledger) -> Iterator[None]:
        """Does nothing."""
        yield

    def charge(self, ledger: Ledger) -> float:
        """Charges nothing."""
        return 0.0


class PausedWork(Unwatched):
    """Knows whose threads and processes are whose, and charges the submission's for what they do in pauses.

    Everything that runs when it is made, and until `to_submission`, is the harness's.

    Args:
        files: Source files of the submission. A thread that appears while the harness is at work is the
            submission's all the same if it runs code of these.
    """

    def __init__(self, files: Collection[str] = ()) -> None:
        self._files = frozenset(files)
        self._children = ChildTable()
        self._harness_threads: set[threading.Thread] = set()
        self._harness_pids: set[int] = set()
        # The submission's, when the harness's work began; None while the submission is at work.
        self._left: tuple[set[threading.Thread], set[int]] | None = (set(), set())
        self._processes: dict[int, psutil.Process] = {}
        self._work = BackgroundWork(self._workers)
        self._lock = threading.Lock()
        self._before: dict[Phase, float] = {}
        self._named: dict[str, None] = {}

    @property
    def culprits(self) -> tuple[str, ...]:  # type: ignore[override]
        """The threads and processes that were charged, in words."""
        return tuple(self._named)

    # Whose is whose.

    def to_submission(self) -> None:
        """The submission is at work from now on."""
        if self._left is None:
            return
        left_threads, left_pids = self._left
        threads, pids = _threads(), self._children.list()
        new = threads - self._harness_threads - left_threads
        self._harness_threads = self._harness_threads & threads | new - self._running_files(new)
        self._harness_pids &= pids
        # A process that appears while a thread of the submission runs may be its doing.
        if not left_threads:
            self._harness_pids |= pids - left_pids - self._children.below(left_pids)
        self._left = None

    def to_harness(self) -> None:
        """The harness is at work from now on."""
        if self._left is None:
            pids = self._children.list()
            ours = self._harness_pids | self._children.below(self._harness_pids)
            self._left = _threads() - self._harness_threads, set(pids - ours)

    @contextmanager
    def harness_work(self) -> Iterator[None]:
        """Within, the harness is at work, though a function of the submission called it."""
        self.to_harness()
        try:
            yield
        finally:
            self.to_submission()

    def _running_files(self, threads: set[threading.Thread]) -> set[threading.Thread]:
        """Those threads that are in code of the submission now."""
        if not threads:
            return threads
        frames = sys._current_frames()
        found = set()
        for thread in threads:
            frame = frames.get(thread.ident or 0)
            while frame is not None and frame.f_code.co_filename not in self._files:
                frame = frame.f_back
            if frame is not None:
                found.add(thread)
        return found

    # What they do in a pause.

    @contextmanager
    def pause(self, ledger: Ledger) -> Iterator[None]:
        """The clock of the submission is paused; `charge` within says what it did meanwhile."""
        self.to_harness()
        self._begin(ledger)
        stop = threading.Event()
        watch = threading.Thread(target=self._watch, args=(stop,), name="paused-work", daemon=True)
        if self._left != (set(), set()):
            watch.start()
        try:
            yield
        finally:
            stop.set()
            if watch.ident is not None:
                watch.join()
            self.to_submission()

    def charge(self, ledger: Ledger) -> float:
        """Moves what was done since the pause began, or since the last charge, to the submission's account.

        Returns:
            Seconds that were moved.
        """
        ledger.charge()
        with self._lock:
            done = self._work.stop()
        gains = {phase: ledger.phase_s(phase) - before for phase, before in self._before.items()}
        pause_s = sum(gains.values())
        seconds = min(sum(done.values()), pause_s)
        if seconds <= max(TOLERANCE_S, TOLERANCE_SHARE * pause_s):
            seconds = 0.0
        else:
            self._note(done, seconds)
        left = seconds
        for phase, gain in gains.items():
            left -= ledger.move(min(left, gain), phase, Phase.BACKGROUND)
        self._begin(ledger)
        return seconds

    def _begin(self, ledger: Ledger) -> None:
        self._before = {phase: ledger.phase_s(phase) for phase in _PAUSES}
        with self._lock:
            self._work.start()

    def _watch(self, stop: threading.Event) -> None:
        while not stop.wait(LOOK_EVERY_S):
            with self._lock:
                self._work.look()

    def _workers(self) -> list[Worker]:
        """The submission's, during a pause."""
        left_threads, left_pids = self._left or (set(), set())
        threads = _threads()
        new = threads - self._harness_threads - left_threads
        workers: list[Worker] = [*(threads & left_threads), *self._running_files(new)]
        if left_threads or left_pids:
            pids = self._children.list() - self._harness_pids
            pids -= self._children.below(self._harness_pids)
            if not left_threads:
                pids &= left_pids | self._children.below(left_pids)
            workers += filter(None, map(self._process, pids))
        return workers

    def _process(self, pid: int) -> psutil.Process | None:
        if pid not in self._processes:
            try:
                self._processes[pid] = psutil.Process(pid)
            except psutil.Error:  # it has just ended
                return None
        return self._processes[pid]

    def _note(self, done: dict[Worker, float], seconds: float) -> None:
        names = {_words(worker): None for worker, of_it in done.items() if of_it > 0.0}
        if not self._named:
            log.warning(
                "the submission computed while its clock was paused, and is charged %.2f s for it: %s; "
                "docs/protocol.md, the clock",
                seconds,
                ", ".join(names),
            )
        self._named |= names


def _threads() -> set[threading.Thread]:
    # Native threads of frameworks that called Python once stand in the list for ever, under this type.
    return {
        thread for thread in threading.enumerate() if not isinstance(thread, threading._DummyThread)
    }


def _words(worker: Worker) -> str:
    if isinstance(worker, threading.Thread):
        return f"thread {worker.name}"
    try:
        return f"process {worker.name()}"
    except psutil.Error:
        return f"process {worker.pid}"
