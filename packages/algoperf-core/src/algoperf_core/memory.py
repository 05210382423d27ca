"""How much memory a process has used at most, on the host and on accelerators, and how much there is."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from algoperf_core.spec import Framework

_KIB = 1024


def peak_host_bytes() -> int:
    """Peak resident memory of this process so far."""
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * _KIB
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * _KIB


def host_bytes() -> int:
    """Memory of this machine, or less where the control group of this process is limited (containers)."""
    limits = [psutil.virtual_memory().total]
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            text = Path(path).read_text(encoding="ascii").strip()
        except OSError:
            continue
        limits += [int(text)] if text.isdecimal() else []
    return min(limits)


def available_host_bytes() -> int:
    """Memory that is free now, as far as the machine and the limit of this process's group go."""
    return min(psutil.virtual_memory().available, host_bytes())


def peak_device_bytes(framework: Framework) -> int | None:
    """Peak memory in use so far on the accelerator that used most; None without accelerators."""
    if framework == "jax":
        return _largest("peak_bytes_in_use")
    import torch

    devices = range(torch.cuda.device_count())
    return max((int(torch.cuda.max_memory_allocated(device)) for device in devices), default=None)


def device_bytes(framework: Framework) -> int | None:
    """Memory that a framework may use on its smallest accelerator; None without accelerators."""
    if framework == "jax":
        return _largest("bytes_limit")
    import torch

    devices = range(torch.cuda.device_count())
    sizes = (int(torch.cuda.get_device_properties(device).total_memory) for device in devices)
    return min(sizes, default=None)


def _largest(statistic: str) -> int | None:
    import jax

    found = [device.memory_stats() for device in jax.local_devices()]
    return max(
        (int(stats[statistic]) for stats in found if stats and statistic in stats), default=None
    )


def tree_bytes(tree: Any, framework: Framework) -> int:
    """Bytes of all arrays in parameters, model state or optimizer state, each counted once.

    Args:
        tree: In JAX any pytree; in PyTorch modules, optimizers and tensors in dicts, lists and tuples.
        framework: Whose arrays they are.
    """
    if framework == "jax":
        import jax

        leaves = {id(leaf): leaf for leaf in jax.tree.leaves(tree)}
        return sum(int(getattr(leaf, "nbytes", 0)) for leaf in leaves.values())
    return sum(_torch_arrays(tree).values())


def _torch_arrays(tree: Any) -> dict[int, int]:
    if callable(getattr(tree, "state_dict", None)):
        return _torch_arrays(tree.state_dict())
    if isinstance(tree, Mapping):
        tree = list(tree.values())
    if isinstance(tree, list | tuple):
        return {key: size for branch in tree for key, size in _torch_arrays(branch).items()}
    size = getattr(tree, "nbytes", None)
    # Tensors of a `state_dict` are new objects over the same memory.
    return {_address(tree): size} if isinstance(size, int) else {}


def _address(array: Any) -> int:
    return int(array.data_ptr()) or id(array) if hasattr(array, "data_ptr") else id(array)


def readable(size: float | None) -> str:
    """A number of bytes for people, in powers of 1024.

    >>> readable(1536), readable(3 * 2**30), readable(None)
    ('1.5 KiB', '3.0 GiB', '-')
    """
    if size is None:
        return "-"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(size) < 1024 or unit == "TiB":
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    raise AssertionError
