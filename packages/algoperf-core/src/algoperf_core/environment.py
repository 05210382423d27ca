"""What a trial ran with, `environment.json`: command line, packages, and the variables that frameworks read.

`meta_data_0.json` holds the versions and the hardware under their published names; this is what it takes to
build the same environment again.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from algoperf_core.source_files import digest, folder_files

ENVIRONMENT_FILE = "environment.json"
# Variables that change what a framework computes, or on what; none of them holds a secret.
_PREFIXES = tuple(
    f"{name}_"
    for name in (
        *("CUBLAS", "CUDA", "GOMP", "HIP", "JAX", "KMP", "LIBTPU", "MKL", "NCCL", "NVIDIA", "OMP"),
        *("OPENBLAS", "PYTORCH", "ROCR", "TF32", "TORCH", "XLA"),
    )
)


def describe_environment() -> dict[str, Any]:
    """The environment of this process.

    Returns:
        `command` and `working_directory`; `python`; `packages`, every installed one as `name==version`;
        `editable`, a digest of the sources of packages that are installed in place, by name; and
        `variables`.
    """
    found = _installed()
    return {
        "command": sys.orig_argv,
        "working_directory": str(Path.cwd()),
        "python": platform.python_version(),
        "packages": [f"{name}=={package.version}" for name, package in found.items()],
        "editable": dict(_editable(found)),
        "variables": {
            name: value for name, value in sorted(os.environ.items()) if name.startswith(_PREFIXES)
        },
    }


def _installed() -> dict[str, Distribution]:
    found: dict[str, Distribution] = {}
    for package in distributions():
        # A damaged installation has no name; of two of one name, the first is imported.
        if name := package.metadata["Name"]:
            found.setdefault(name, package)
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def _editable(found: Mapping[str, Distribution]) -> Iterator[tuple[str, str]]:
    for name, package in found.items():
        if (folder := editable_folder(package)) is not None:
            yield name, digest(folder_files(folder))


def editable_folder(package: Distribution) -> Path | None:
    """Where the sources of a package lie that is installed in place; None for ordinary ones (PEP 610)."""
    text = package.read_text("direct_url.json")
    if text is None:
        return None
    try:
        origin = json.loads(text)
        editable = origin.get("dir_info", {}).get("editable", False)
        folder = Path(unquote(urlparse(origin["url"]).path))
    except (ValueError, KeyError, AttributeError, TypeError):
        return None
    if not editable or not folder.is_dir():
        return None
    return folder / "src" if (folder / "src").is_dir() else folder


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs between two environments, one line each, for people; commands are left out.

    Args:
        then: What a trial recorded.
        now: What `describe_environment` says.
    """
    lines = _changed({"Python": then.get("python")}, {"Python": now.get("python")})
    lines += _changed(_versions(then), _versions(now), absent="not installed")
    lines += [
        f"{name}: its sources, which are installed in place, were edited"
        for name, before in then.get("editable", {}).items()
        if (after := now.get("editable", {}).get(name)) is not None and after != before
    ]
    return lines + _changed(then.get("variables", {}), now.get("variables", {}), absent="not set")


def _versions(environment: Mapping[str, Any]) -> dict[str, str]:
    pairs = (line.partition("==") for line in environment.get("packages", []))
    return {name: version for name, _, version in pairs}


def _changed(then: Mapping[str, Any], now: Mapping[str, Any], absent: str = "unknown") -> list[str]:
    return [
        f"{name}: {then.get(name, absent)} then, {now.get(name, absent)} now"
        for name in sorted(then.keys() | now.keys(), key=str.lower)
        if then.get(name) != now.get(name)
    ]
