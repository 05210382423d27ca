"""Work that goes on beside the main thread: processor time of threads and child processes.

Whoever pauses a clock measures with `BackgroundWork` what was done meanwhile.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from pathlib import Path

import psutil

Worker = threading.Thread | psutil.Process


def threads_since(before: Iterable[threading.Thread]) -> list[threading.Thread]:
    """Threads that run now and did not run before."""
    known = set(before)
    return [thread for thread in threading.enumerate() if thread not in known]


def child_processes() -> list[psutil.Process]:
    """Processes below this one."""
    return list(psutil.Process().children(recursive=True))


class BackgroundWork:
    """Measures what threads and processes compute between two moments.

    Args:
        workers: Gives the threads and processes to measure; asked at both moments.
    """

    def __init__(self, workers: Callable[[], Iterable[Worker]]) -> None:
        self._workers = workers
        self._before: dict[Worker, float] = {}

    def start(self) -> None:
        """The first moment."""
        self._before = {worker: cpu_s(worker) for worker in self._workers()}

    def stop(self) -> dict[Worker, float]:
        """The second moment: seconds of processor time by worker.

        What was started in between counts from its start.
        """
        return {
            worker: max(cpu_s(worker) - self._before.get(worker, 0.0), 0.0)
            for worker in self._workers()
        }


def cpu_s(worker: Worker) -> float:
    """Seconds of processor time that a thread or a process has used; 0 once it has ended."""
    if isinstance(worker, threading.Thread):
        return _thread_s(worker.native_id)
    try:
        times = worker.cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)


def _thread_s(native_id: int | None) -> float:
    if native_id is None:
        return 0.0
    # Nanoseconds where the kernel counts them; psutil has hundredths of a second.
    exact = Path(f"/proc/self/task/{native_id}/schedstat")
    try:
        return int(exact.read_text(encoding="ascii").split()[0]) / 1e9
    except (OSError, ValueError, IndexError):
        pass
    times = {thread.id: thread for thread in psutil.Process().threads()}
    thread = times.get(native_id)
    return float(thread.user_time + thread.system_time) if thread is not None else 0.0
