"""Several processes of one trial on this machine: `python -m algoperf_core.launcher TRIAL_DIR --processes N`.

Starts them, and ends with the exit status of rank 0. All are in the launcher's own process group, so that
whoever kills the group leaves none behind; a launcher whose parent is gone ends them. When one ends with an
error, the others have seconds to follow. PyTorch processes get the environment that `torchrun` would give.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from algoperf_core.machine import usable_cpus
from algoperf_core.spec import Framework
from algoperf_core.trial_spec import read_spec
from algoperf_scoring import AlgoperfError

POLL_S = 0.1
# How long the others may go on once a process has failed, before they are asked to end, and then killed.
FOLLOW_S = 12.0
END_S = 5.0
EXIT_BAD_INPUT = 2


def commands(
    trial_dir: Path, framework: Framework, count: int, cpus: Sequence[int], port: int
) -> list[tuple[list[str], dict[str, str]]]:
    """Command line and additional environment of every process.

    Args:
        trial_dir: Folder of the trial.
        framework: Its framework.
        count: Number of processes.
        cpus: Processors, which they get equal shares of.
        port: A free port.
    """
    started = []
    share = max(len(cpus) // count, 1)
    for rank in range(count):
        mine = [cpus[(rank * share + n) % len(cpus)] for n in range(share)]
        command = [sys.executable, "-m", "algoperf_core.trial", str(trial_dir)]
        command += ["--parent", str(os.getpid()), "--cpus", ",".join(map(str, mine))]
        if framework == "jax":
            command += ["--coordinator", f"127.0.0.1:{port}", "--processes", str(count)]
            command += ["--process-id", str(rank)]
            # One GPU each, as in PyTorch; JAX reads this.
            started.append((command, {"JAX_LOCAL_DEVICE_IDS": str(rank)}))
        else:
            started.append((command, torchrun_environment(rank, count, port)))
    return started


def torchrun_environment(rank: int, count: int, port: int) -> dict[str, str]:
    """The variables that `torchrun` sets for one of several processes on one machine."""
    return {
        "RANK": str(rank),
        "WORLD_SIZE": str(count),
        "LOCAL_RANK": str(rank),
        "LOCAL_WORLD_SIZE": str(count),
        "GROUP_RANK": "0",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }


class Group:
    """Processes that belong together.

    Args:
        processes: By rank.
        now: Monotonic clock, in seconds.
    """

    def __init__(
        self, processes: Sequence[subprocess.Popen[bytes]], now: Callable[[], float]
    ) -> None:
        self._processes = processes
        self._now = now
        self._failed_at: float | None = None

    def watch(self) -> bool:
        """Ends what is left over; whether any process is left."""
        statuses = [process.poll() for process in self._processes]
        if self._failed_at is None and any(statuses):
            self._failed_at = self._now()
        elapsed_s = 0.0 if self._failed_at is None else self._now() - self._failed_at
        if elapsed_s > FOLLOW_S + END_S:
            self.send(signal.SIGKILL)
        elif elapsed_s > FOLLOW_S:
            self.send(signal.SIGTERM)
        return None in statuses

    def send(self, number: signal.Signals) -> None:
        """Sends a signal to every process that is left."""
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(number)

    def status(self) -> int:
        """Exit status of rank 0; of the first that failed if rank 0 did not."""
        statuses = [process.returncode for process in self._processes]
        return next((status for status in statuses if status), 0)


def launch(trial_dir: Path, count: int, orphaned: Callable[[], bool]) -> int:
    """Runs a trial in several processes and returns the exit status; negative for a signal."""
    spec = read_spec(trial_dir)
    processes = [
        subprocess.Popen(command, env=os.environ | extra)
        for command, extra in commands(
            trial_dir, spec.framework, count, usable_cpus(), _free_port()
        )
    ]
    group = Group(processes, time.monotonic)

    def pass_on(number: int, frame: FrameType | None) -> None:
        group.send(signal.Signals(number))

    # Ctrl-C in a terminal, and the campaign, reach all of the group themselves.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, pass_on)
    while group.watch():
        if orphaned():
            group.send(signal.SIGTERM)
        time.sleep(POLL_S)
    return group.status()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line of the launcher."""
    parser = argparse.ArgumentParser(
        prog="python -m algoperf_core.launcher",
        description="Run one trial in several processes of this machine.",
    )
    parser.add_argument("trial_dir", type=Path, help="folder that holds trial.json")
    parser.add_argument("--processes", type=int, required=True, help="number of processes")
    parser.add_argument("--cpus", help="processors to run on, as 0,1,2")
    parser.add_argument("--parent", type=int, help="process to end with")
    options = parser.parse_args(arguments)
    if options.cpus and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {int(cpu) for cpu in options.cpus.split(",")})
    try:
        status = launch(
            options.trial_dir,
            options.processes,
            lambda: options.parent is not None and os.getppid() != options.parent,
        )
    except AlgoperfError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return EXIT_BAD_INPUT
    if status < 0:
        # A trial that was killed looks the same with one process and with several.
        signal.signal(-status, signal.SIG_DFL) if -status != signal.SIGKILL else None
        os.kill(os.getpid(), -status)
    return status


if __name__ == "__main__":
    raise SystemExit(main())
