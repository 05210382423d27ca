"""Entry points that cannot be loaded, and the workloads and data of a benchmark."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from algoperf_core.data_commands import DataProvider
from algoperf_core.doctor.findings import Finding, ok, problem, warning
from algoperf_core.doctor.frameworks import Run, run_code
from algoperf_core.registry import SUBMISSIONS, WORKLOADS, installed, package_of, workload_provider
from algoperf_scoring import AlgoperfError, available_benchmarks, load_benchmark

_LOAD = """
import json, sys
from importlib.metadata import entry_points
faults = {{}}
for entry in entry_points(group={group!r}):
    try:
        entry.load()
    except BaseException as error:
        faults[entry.name] = type(error).__name__ + ": " + str(error)
print("\\n" + json.dumps(faults))
"""


@runtime_checkable
class KnowsItsData(Protocol):
    """A provider of a workload that can tell whether its data are prepared."""

    def is_prepared(self, data_dir: Path) -> bool:
        """Whether the prepared data are in a folder; nothing is read or made."""
        ...


def check_entry_points(run: Run = run_code) -> Iterator[Finding]:
    """Workloads, submissions and benchmarks of installed packages that cannot be loaded."""
    for group, what in ((WORKLOADS, "workloads"), (SUBMISSIONS, "submissions")):
        names = installed(group)
        faults = _faults(run(_LOAD.format(group=group)).stdout)
        if faults is None:
            yield problem(
                what, "one of them ends the process on import", "uninstall packages one by one"
            )
            continue
        for name, fault in faults.items():
            package = package_of(names[name]) if name in names else name
            yield problem(
                what, f"{name} cannot be loaded: {fault}", f"reinstall or uninstall {package}"
            )
        loaded = [name for name in names if name not in faults]
        yield ok(what, ", ".join(loaded) or "none installed")
    yield from _check_benchmarks()


def _faults(output: str) -> dict[str, str] | None:
    lines = output.strip().splitlines()
    try:
        data = json.loads(lines[-1]) if lines else None
    except ValueError:
        return None
    return data if isinstance(data, dict) else None


def _check_benchmarks() -> Iterator[Finding]:
    loaded = []
    for name, package in available_benchmarks().items():
        try:
            load_benchmark(name)
        except AlgoperfError as error:
            yield problem("benchmarks", f"{name} cannot be read: {error}", f"reinstall {package}")
        else:
            loaded.append(name)
    yield ok("benchmarks", ", ".join(loaded) or "none installed")


def check_benchmark(
    name: str, data_dir: Path, provider: Callable[[str], Any] = workload_provider
) -> Iterator[Finding]:
    """Whether a benchmark's workloads are installed, have a budget, and their data are prepared.

    Args:
        name: Name or file of the benchmark.
        data_dir: Where prepared datasets are.
        provider: Finds an installed workload.
    """
    try:
        benchmark = load_benchmark(name)
    except AlgoperfError as error:
        yield problem(name, str(error), "algoperf list shows what is installed")
        return
    for workload in benchmark.scored:
        subject = f"{benchmark.name} / {workload}"
        try:
            found = provider(workload)
        except AlgoperfError as error:
            yield problem(subject, f"not installed: {error}", _install(workload))
            continue
        yield _check_workload(subject, found, data_dir)
        if benchmark.workload(workload).budget_s is None:
            yield problem(subject, "has no budget", "extend the definition and give budget_s")


# Which of our packages brings the workloads of the published benchmark.
_FAMILIES = {
    "criteo1tb": "recommendation",
    "fastmri": "vision",
    "imagenet": "vision",
    "librispeech": "speech",
    "ogbg": "gnn",
    "wmt": "translation",
}


def _install(workload: str) -> str:
    families = [family for start, family in _FAMILIES.items() if workload.startswith(start)]
    if not families:
        return "install the package that brings it, or leave it out with --workloads"
    return f"pip install algoperf-{families[0]}, or leave it out with --workloads"


def _check_workload(subject: str, provider: Any, data_dir: Path) -> Finding:
    if not isinstance(provider, KnowsItsData):
        return ok(subject, "installed; cannot tell whether its data are prepared")
    if provider.is_prepared(data_dir.expanduser()):
        return ok(subject, f"installed, data prepared in {data_dir}")
    if isinstance(provider, DataProvider):
        data = provider.describe_data(data_dir.expanduser())
        if not data.on_the_fly:
            return problem(
                subject,
                f"installed, data not prepared in {data_dir}",
                f"algoperf data prepare {data.dataset} --data-dir {data_dir}",
            )
    return warning(
        subject,
        f"installed, data not prepared in {data_dir}",
        "name the right folder with --data-dir; else the first trial prepares them, before its clock starts",
    )
