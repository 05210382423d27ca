"""What a trial ran on and with: utilisation, software and hardware, for `meta_data_0.json`."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

RECORDED_PACKAGES = (
    "algoperf-scoring",
    "algoperf-core",
    "algoperf-workloads",
    "algoperf-baselines",
    "numpy",
    "jax",
    "jaxlib",
    "flax",
    "optax",
    "torch",
)


def utilisation() -> dict[str, float]:
    """Load of CPU, memory, disk and network at this moment; bytes, MHz and percent."""
    memory, frequency = psutil.virtual_memory(), psutil.cpu_freq()
    disk, network = psutil.disk_io_counters(), psutil.net_io_counters()
    return {
        "cpu.util.avg_percent_since_last": psutil.cpu_percent(),
        "cpu.freq.current": frequency.current if frequency else 0.0,
        "mem.total": memory.total,
        "mem.available": memory.available,
        "mem.used": memory.used,
        "mem.percent_used": memory.percent,
        # The published names say memory; the published figures are those of the disk.
        "mem.read_bytes_since_boot": disk.read_bytes if disk else 0,
        "mem.write_bytes_since_boot": disk.write_bytes if disk else 0,
        "net.bytes_sent_since_boot": network.bytes_sent if network else 0,
        "net.bytes_recv_since_boot": network.bytes_recv if network else 0,
    }


def software() -> dict[str, str]:
    """Platform, Python, and the versions of the packages that decide what a trial does."""
    facts = {
        "os_platform": platform.platform(),
        "python_version": platform.python_version(),
        "python_compiler": platform.python_compiler(),
    }
    for name in RECORDED_PACKAGES:
        try:
            facts[f"package.{name}"] = version(name)
        except PackageNotFoundError:
            continue
    return facts


def hardware() -> dict[str, Any]:
    """Model and number of processors that this process may use."""
    return {"cpu_model_name": _cpu_model_name(), "cpu_count": len(usable_cpus())}


def usable_cpus() -> list[int]:
    """Numbers of the processors that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _cpu_model_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
