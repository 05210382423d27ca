"""What is wrong with an installation and its machine: `algoperf doctor`.

Every check is a function that returns findings and raises nothing; whatever may be broken is looked at in a
process of its own, with a time limit.
"""

from __future__ import annotations

from pathlib import Path

from algoperf_core.doctor.findings import Finding
from algoperf_core.doctor.frameworks import check_frameworks
from algoperf_core.doctor.host import (
    check_clock,
    check_load,
    check_memory,
    check_processors,
    check_space,
)
from algoperf_core.doctor.plugins import check_benchmark, check_entry_points
from algoperf_core.doctor.versions import check_versions

__all__ = ["Finding", "diagnose"]


def diagnose(*, benchmark: str | None, data_dir: Path, runs: Path) -> list[Finding]:
    """Looks at everything, in the order in which it should be mended.

    Args:
        benchmark: Name or file of a benchmark whose workloads and data are looked for; None for none.
        data_dir: Where prepared datasets are.
        runs: Where runs would go.
    """
    return [
        *check_versions(),
        *check_frameworks(),
        *check_entry_points(),
        *(check_benchmark(benchmark, data_dir) if benchmark is not None else ()),
        *check_processors(),
        *check_load(),
        *check_memory(),
        *check_space(data_dir, runs),
        *check_clock(),
    ]
