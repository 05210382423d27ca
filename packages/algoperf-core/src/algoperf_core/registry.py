"""What is installed: workloads, submissions and benchmarks found through entry points.

Groups: `algoperf.workloads` (a `WorkloadProvider`), `algoperf.submissions` (a Python package that is a
submission folder), `algoperf.benchmarks` (a Python package that holds `<name>.toml`). Anybody's package
appears here by being installed.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import cast

from algoperf_core.errors import WorkloadError
from algoperf_core.spec import WorkloadProvider
from algoperf_scoring import available_benchmarks, load_benchmark, unknown_name

WORKLOADS = "algoperf.workloads"
SUBMISSIONS = "algoperf.submissions"


@dataclass(frozen=True)
class Listed:
    """An installed thing: its name, the distribution it comes from, and one line on what it is."""

    name: str
    package: str
    summary: str


def installed(group: str) -> dict[str, EntryPoint]:
    """Entry points of a group by name."""
    return {
        entry.name: entry
        for entry in sorted(entry_points(group=group), key=lambda entry: entry.name)
    }


@cache
def workload_provider(name: str) -> WorkloadProvider:
    """The installed workload of a name.

    Raises:
        UnknownNameError: No installed package provides it; the message names the nearest.
        WorkloadError: The package that provides it cannot be imported.
    """
    known = installed(WORKLOADS)
    if name not in known:
        raise unknown_name("workload", name, known)
    try:
        return cast("WorkloadProvider", known[name].load())
    except ImportError as error:
        raise WorkloadError(
            f"workload {name!r} ({package_of(known[name])}) cannot be loaded: {error}"
        ) from error


def package_of(entry: EntryPoint) -> str:
    """Name of the distribution that brings an entry point."""
    return entry.dist.name if entry.dist else entry.value


def list_workloads() -> list[Listed]:
    """Installed workloads."""
    return [
        Listed(name, package_of(entry), workload_provider(name).summary)
        for name, entry in installed(WORKLOADS).items()
    ]


def list_submissions() -> list[Listed]:
    """Installed submissions; the summary is the first line of the package's docstring."""
    return [
        Listed(name, package_of(entry), (entry.load().__doc__ or "").strip().partition("\n")[0])
        for name, entry in installed(SUBMISSIONS).items()
    ]


def list_benchmarks() -> list[Listed]:
    """Installed benchmarks."""
    return [
        Listed(name, package, load_benchmark(name).summary)
        for name, package in available_benchmarks().items()
    ]


def catalogue() -> dict[str, list[dict[str, str]]]:
    """Everything installed, as JSON-able data: `benchmarks`, `workloads`, `submissions`, `trackers`."""
    from algoperf_core.trackers.catalogue import list_trackers

    groups = {
        "benchmarks": list_benchmarks(),
        "workloads": list_workloads(),
        "submissions": list_submissions(),
        "trackers": list_trackers(),
    }
    return {group: [asdict(entry) for entry in entries] for group, entries in groups.items()}
