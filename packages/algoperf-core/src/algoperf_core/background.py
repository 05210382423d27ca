"""Work that goes on beside the main thread: processor time of threads and child processes.

Whoever pauses a clock measures with `BackgroundWork` what was done meanwhile.
"""

from __future__ import annotations

import os
import sys
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

    What is started in between counts from its start. What ends in between counts as far as it was seen:
    `look` now and then.

    Args:
        workers: Gives the threads and processes to measure; asked at every look.
    """

    def __init__(self, workers: Callable[[], Iterable[Worker]]) -> None:
        self._workers = workers
        self._before: dict[Worker, float] = {}
        self._latest: dict[Worker, float] = {}

    def start(self) -> None:
        """The first moment."""
        self._before = {worker: cpu_s(worker) for worker in self._workers()}
        self._latest = {}

    def look(self) -> None:
        """A moment in between."""
        for worker in self._workers():
            # One that has ended says nothing any more.
            self._latest[worker] = max(cpu_s(worker), self._latest.get(worker, 0.0))

    def stop(self) -> dict[Worker, float]:
        """The second moment: seconds of processor time by worker, of all that were seen after the first."""
        self.look()
        return {
            worker: max(seconds - self._before.get(worker, 0.0), 0.0)
            for worker, seconds in self._latest.items()
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


class ChildTable:
    """Numbers of the processes below this one, listed often and at little cost.

    Of every process of the machine that has come up since the last time, the parent is read once.
    """

    def __init__(self) -> None:
        self._parents: dict[int, int] = {}

    def list(self) -> frozenset[int]:
        """Processes below this one that run now, or have ended and nobody has taken note."""
        if not _has_children():
            return frozenset()
        if sys.platform != "linux":
            return frozenset(process.pid for process in child_processes())
        pids = [int(name) for name in os.listdir("/proc") if name.isdecimal()]
        self._parents = {pid: self._parents.get(pid) or _parent(pid) for pid in pids}
        return frozenset(self.below({os.getpid()}))

    def below(self, roots: Iterable[int]) -> set[int]:
        """Processes below some, by the last list."""
        found: set[int] = set()
        wanted = set(roots)
        while wanted:
            wanted = {pid for pid, parent in self._parents.items() if parent in wanted} - found
            found |= wanted
        return found


def _has_children() -> bool:
    if not hasattr(os, "waitid"):
        return True
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _parent(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # "pid (name) state parent ...", where a name may hold anything.
            return int(file.read().rpartition(b")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return 0
