"""Processors, load, memory, space and clock: what a fair measurement needs of a machine."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import psutil

from algoperf_core.doctor.findings import Finding, ok, problem, warning
from algoperf_core.machine import usable_cpus
from algoperf_core.memory import available_host_bytes, host_bytes, readable

BUSY_SHARE = 0.25
"""Share of a processor above which another process counts as busy."""
LOW_MEMORY = 2 * 2**30
LOW_SPACE = 2 * 2**30
COARSE_CLOCK_S = 1e-4
_SAMPLE_S = 0.5


@dataclass(frozen=True)
class BusyProcess:
    """A process of somebody else, and the share of one processor that it uses."""

    pid: int
    name: str
    share: float


def check_processors() -> list[Finding]:
    """Processors that this process may use, and whether a quota allows less than all of them."""
    usable, present = len(usable_cpus()), os.cpu_count() or 1
    message = f"{usable} usable of {present}"
    quota = cpu_quota()
    if quota is not None and quota < usable:
        return [
            warning(
                "processors",
                f"{message}, of which a quota allows {quota:g}: threads will be paused now and then",
                "lift the quota of the container, or pin the runs to whole processors (taskset)",
            )
        ]
    return [ok("processors", message)]


def cpu_quota() -> float | None:
    """Processors' worth of time that the control group allows; None without a limit."""
    try:
        allowed, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return None
    return int(allowed) / int(period) if allowed.isdecimal() else None


def check_load(
    load: float | None = None, busy: Sequence[BusyProcess] | None = None, cpus: int | None = None
) -> list[Finding]:
    """Whether other processes keep processors busy, which makes every trial's clock run against it.

    Args:
        load: Load average of the last minute; None asks the system.
        busy: Other busy processes; None looks for half a second.
        cpus: Number of usable processors; None asks the system.
    """
    load = os.getloadavg()[0] if load is None else load
    busy = busy_processes() if busy is None else busy
    cpus = len(usable_cpus()) if cpus is None else cpus
    message = f"load {load:.2f} on {cpus} processors"
    if busy:
        names = ", ".join(f"{p.name} ({p.pid}) {p.share:.0%}" for p in busy[:3])
        return [
            warning(
                "load",
                f"{message}; busy now: {names}",
                "end them, or wait, before times are to count: they slow submissions down unevenly",
            )
        ]
    if load > max(0.5 * cpus, 1.0):
        return [
            warning(
                "load", f"{message} in the last minute", "look with top before times are to count"
            )
        ]
    return [ok("load", f"{message}; nothing else is busy")]


def busy_processes(sample_s: float = _SAMPLE_S) -> list[BusyProcess]:
    """Processes of others that use a good part of a processor, the busiest first.

    Args:
        sample_s: How long to look.
    """
    before = _cpu_seconds()
    begin = time.perf_counter()
    time.sleep(sample_s)
    elapsed = time.perf_counter() - begin
    after = _cpu_seconds()
    used = (
        BusyProcess(pid, name, (seconds - before[pid][1]) / elapsed)
        for pid, (name, seconds) in after.items()
        if pid in before
    )
    return sorted((p for p in used if p.share >= BUSY_SHARE), key=lambda p: -p.share)


def _cpu_seconds() -> dict[int, tuple[str, float]]:
    found = {}
    for process in psutil.process_iter(["name", "cpu_times"]):
        times = process.info["cpu_times"]
        if times is not None and process.pid != os.getpid():
            found[process.pid] = (process.info["name"] or "?", times.user + times.system)
    return found


def check_memory() -> list[Finding]:
    """Memory of the machine or container, and what is free of it."""
    total, free = host_bytes(), available_host_bytes()
    message = f"{readable(free)} free of {readable(total)}"
    if free < LOW_MEMORY:
        remedy = "end what uses it; algoperf memory says what a submission needs"
        return [warning("memory", message, remedy)]
    return [ok("memory", message)]


def check_space(data_dir: Path, runs: Path) -> Iterator[Finding]:
    """Free space, and whether files can be written, where data and runs go."""
    for subject, option, folder in (("data", "--data-dir", data_dir), ("runs", "--runs", runs)):
        existing = nearest_existing(folder)
        free = shutil.disk_usage(existing).free
        message = f"{folder}: {readable(free)} free"
        if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
            what = f"{folder}: cannot be written ({existing} does not allow it)"
            yield problem(
                subject, what, f"choose another folder with {option}, or change its rights"
            )
        elif free < LOW_SPACE:
            yield warning(subject, message, f"make room, or choose another folder with {option}")
        else:
            yield ok(subject, message)


def nearest_existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    folder = folder.expanduser().absolute()
    while not folder.exists():
        folder = folder.parent
    return folder


def check_clock(now: Sequence[float] | None = None) -> list[Finding]:
    """Whether the clock that trials are timed by is fine enough and never goes backwards.

    Args:
        now: Readings of the clock; None takes some.
    """
    readings = [time.perf_counter() for _ in range(10_000)] if now is None else now
    steps = [later - earlier for earlier, later in pairwise(readings)]
    if min(steps) < 0:
        remedy = "do not measure on this machine: its clock cannot be trusted"
        return [problem("clock", "went backwards between two readings", remedy)]
    smallest = min((step for step in steps if step > 0), default=float("inf"))
    if smallest > COARSE_CLOCK_S:
        what = f"moves in jumps of {smallest:.3g} s"
        return [
            warning("clock", what, "times of short steps will be rough: measure on another machine")
        ]
    return [ok("clock", f"moves in steps of {smallest * 1e9:.0f} ns")]
