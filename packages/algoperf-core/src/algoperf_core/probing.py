"""Measures trials by probes: one process per workload, so that none sees another's memory or caches.

Nothing here imports a framework. Workloads that cannot be measured are results like others: they never stop
the rest.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from algoperf_core.campaign import Campaign
from algoperf_core.errors import CampaignError
from algoperf_core.machine import usable_cpus
from algoperf_core.out_of_memory import MOMENTS, Shortage
from algoperf_core.probe import PROBE_FILE, Measurement
from algoperf_core.registry import WORKLOADS, installed, workload_provider
from algoperf_core.sources import find_submission
from algoperf_core.trial_spec import BENCHMARK_FILE, TrialSpec, write_spec
from algoperf_scoring import AlgoperfError, Benchmark, available_benchmarks, load_benchmark

_POLL_S = 0.2
_LAST_LINES = 3


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How much of a trial to run.

    Args:
        warm_up: Steps before those that are timed.
        steps: Steps that are timed.
        repeat: Whether a quick evaluation is repeated, to tell its compilation apart.
        jobs: How many trials share the machine: the probe gets the processors that each of them would get.
        timeout_s: Ends a probe that takes longer; None for no limit.
    """

    warm_up: int
    steps: int
    repeat: bool
    jobs: int = 1
    timeout_s: float | None = None

    def options(self) -> list[str]:
        """The same as arguments of `python -m algoperf_core.probe`."""
        arguments = ["--warm-up", str(self.warm_up), "--steps", str(self.steps)]
        if not self.repeat:
            arguments.append("--once")
        if self.jobs > 1:
            cpus = usable_cpus()
            share = cpus[: max(len(cpus) // self.jobs, 1)]
            arguments += ["--cpus", ",".join(map(str, share))]
        return arguments


TWO_STEPS = Effort(warm_up=1, steps=1, repeat=False)
"""Two steps and one evaluation: enough to know the memory that a trial needs."""


@dataclass(frozen=True, kw_only=True)
class Probed:
    """A measured workload of a submission.

    Args:
        submission: Name of the submission.
        workload: Name of the workload.
        framework: Its framework; None where the workload could not be measured.
        measurement: What was found.
    """

    submission: str
    workload: str
    framework: str | None
    measurement: Measurement

    @property
    def remedy(self) -> str | None:
        """What to do about a lack of memory; None where there is none."""
        return remedy(self.measurement) if self.measurement.status == "out_of_memory" else None


def probe_campaign(
    campaign: Campaign, effort: Effort, watch: Callable[[str], None] = lambda text: None
) -> list[Probed]:
    """Measures every workload of a campaign with every submission, at the point of its first trial.

    Args:
        campaign: Its studies and trials do not matter.
        effort: How much of a trial to run.
        watch: Told what is being measured.

    Raises:
        AlgoperfError: A submission, search space or the name of a workload is wrong.
    """
    probed = []
    for workload in campaign.workload_names():
        if (fault := _unavailable(campaign, workload)) is not None:
            missing = Measurement(status="unavailable", message=fault)
            probed += [
                Probed(
                    submission=find_submission(name).name,
                    workload=workload,
                    framework=None,
                    measurement=missing,
                )
                for name in campaign.submissions
            ]
            continue
        first = replace(campaign, workloads=(workload,), studies=1, trials=1, points=None)
        for spec in first.expand():
            watch(f"measuring {spec.submission_name} on {workload}")
            probed.append(_probed(spec, probe_trial(spec, campaign.benchmark.to_toml(), effort)))
    return probed


def covering_campaigns(campaign: Campaign, benchmark: Benchmark | None) -> list[Campaign]:
    """The campaign on a benchmark; without one, on every installed workload.

    Each installed workload is then taken from the first installed benchmark that scores it.

    Raises:
        CampaignError: There is no such workload.
    """
    if benchmark is not None:
        return [replace(campaign, benchmark=benchmark)]
    left = dict.fromkeys(campaign.workloads or installed(WORKLOADS))
    campaigns = []
    for name in available_benchmarks():
        found = load_benchmark(name)
        workloads = tuple(workload for workload in left if workload in found.scored)
        for workload in workloads:
            del left[workload]
        if workloads:
            campaigns.append(replace(campaign, benchmark=found, workloads=workloads))
    if not campaigns or (left and campaign.workloads):
        raise CampaignError(
            f"no installed benchmark scores {', '.join(left) or 'an installed workload'}: name one with "
            "--benchmark, or install a package of workloads; algoperf list shows what is there"
        )
    return campaigns


def _probed(spec: TrialSpec, measurement: Measurement) -> Probed:
    return Probed(
        submission=spec.submission_name,
        workload=spec.workload,
        framework=spec.framework,
        measurement=measurement,
    )


def _unavailable(campaign: Campaign, workload: str) -> str | None:
    try:
        workload_provider(workload)
        campaign.benchmark.budget_s(workload, campaign.ruleset)
    except AlgoperfError as error:
        return str(error)
    return None


def probe_trial(spec: TrialSpec, benchmark: str, effort: Effort) -> Measurement:
    """Measures a trial in a process of its own.

    Args:
        spec: The trial.
        benchmark: Text of the benchmark's definition.
        effort: How much of it to run.
    """
    with tempfile.TemporaryDirectory(prefix="algoperf-probe-") as name:
        folder = Path(name)
        write_spec(folder, spec)
        (folder / BENCHMARK_FILE).write_text(benchmark, encoding="utf-8")
        console = folder / "console.log"
        with console.open("wb") as output:
            command = [sys.executable, "-m", "algoperf_core.probe", name, *effort.options()]
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
            peak, timed_out = _wait(process, effort.timeout_s)
        return _conclude(folder, process.returncode, timed_out, peak)


def _wait(process: subprocess.Popen[bytes], timeout_s: float | None) -> tuple[int, bool]:
    """Waits; returns the peak memory of the process with its children, and whether it took too long."""
    peak, waited_s = 0, 0.0
    with _ended_with_us(process):
        while True:
            try:
                process.wait(_POLL_S)
            except subprocess.TimeoutExpired:
                peak = max(peak, _tree_bytes(process.pid))
                waited_s += _POLL_S
                if timeout_s is not None and waited_s >= timeout_s:
                    return peak, True
            else:
                return peak, False


@contextmanager
def _ended_with_us(process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _tree_bytes(pid: int) -> int:
    total = 0
    try:
        root = psutil.Process(pid)
        for process in (root, *root.children(recursive=True)):
            total += process.memory_info().rss
    except psutil.Error:
        pass  # it ended meanwhile
    return total


def _conclude(folder: Path, status: int | None, timed_out: bool, peak: int) -> Measurement:
    found = _read(folder / PROBE_FILE)
    if peak > 0:
        found.host_peak_bytes[found.phase] = max(peak, found.host_peak_bytes.get(found.phase, 0))
    if timed_out:
        found.status, found.message = "failed", f"took too long, during: {MOMENTS[found.phase]}"
    elif found.status == "running" and status == -signal.SIGKILL:
        found.status = "out_of_memory"
        found.message = (
            "the process was killed from outside, most likely by the system for want of memory"
        )
    elif found.status == "running":
        found.status = "failed"
        found.message = (
            f"the process ended with status {status}: {_last_lines(folder / 'console.log')}"
        )
    return found


def _read(path: Path) -> Measurement:
    try:
        return Measurement(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return Measurement()


def _last_lines(console: Path) -> str:
    lines = console.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return " / ".join(lines[-_LAST_LINES:]) or "it said nothing"


def remedy(found: Measurement) -> str:
    """What to do when memory ran out, by what was going on."""
    return Shortage(
        moment=found.phase,
        peak_bytes=found.device_peak or found.host_peak,
        device=found.device_peak is not None,
        batch_size=found.batch_size,
        eval_batch_size=found.eval_batch_size,
        device_count=found.device_count,
    ).remedy()
