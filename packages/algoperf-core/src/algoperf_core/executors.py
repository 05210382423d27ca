"""Where trial processes run. Here: this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Protocol

from algoperf_core.machine import usable_cpus
from algoperf_core.trial_spec import CONSOLE_FILE, read_spec

GRACE_S = 10.0


class TrialProcess(Protocol):
    """A trial that was started."""

    def poll(self) -> int | None:
        """Its exit status; None while it runs."""
        ...

    def stop(self) -> None:
        """Asks it to end and waits until it has."""
        ...


class Executor(Protocol):
    """Starts trial processes; `slots` of them at a time."""

    @property
    def slots(self) -> int:
        """How many trials may run at once."""
        ...

    def start(self, trial_dir: Path, slot: int) -> TrialProcess:
        """Starts the trial that a folder specifies, in one of the slots."""
        ...


class LocalProcess:
    """A trial on this machine, all its processes in a process group of its own."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def poll(self) -> int | None:
        """Its exit status; None while it runs."""
        return self._process.poll()

    def stop(self) -> None:
        """Interrupts it; kills its whole group when it does not end within seconds."""
        if self._process.poll() is not None:
            return
        os.killpg(self._process.pid, signal.SIGINT)
        try:
            self._process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


class LocalExecutor:
    """Runs trials on this machine.

    Trials that run side by side get processors of their own, in equal shares, so that none slows another's
    clock; one at a time gets them all.

    Args:
        jobs: How many trials run at once.
    """

    def __init__(self, jobs: int = 1) -> None:
        self._slots = jobs
        cpus = usable_cpus()
        share = max(len(cpus) // jobs, 1)
        self._cpus = [
            [cpus[(slot * share + n) % len(cpus)] for n in range(share)] for slot in range(jobs)
        ]

    @property
    def slots(self) -> int:
        """How many trials may run at once."""
        return self._slots

    def start(self, trial_dir: Path, slot: int) -> LocalProcess:
        """Starts a trial process; what it prints goes to `console.log` in the trial's folder."""
        processes = read_spec(trial_dir).processes
        module = "algoperf_core.trial" if processes == 1 else "algoperf_core.launcher"
        command = [sys.executable, "-m", module, str(trial_dir), "--parent", str(os.getpid())]
        if processes > 1:
            command += ["--processes", str(processes)]
        if self._slots > 1:
            command += ["--cpus", ",".join(map(str, self._cpus[slot]))]
        with (trial_dir / CONSOLE_FILE).open("ab") as console:
            # A session of its own: Ctrl-C reaches the campaign, which then stops its trials one by one.
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )
        return LocalProcess(process)
