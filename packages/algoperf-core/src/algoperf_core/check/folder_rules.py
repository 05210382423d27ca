"""Rules on the folder of a submission: one search space, readable code, no weights, no other frameworks."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from pathlib import Path

from algoperf_core.check.findings import Finding
from algoperf_core.check.modules import SubmissionFiles, all_files
from algoperf_core.errors import SearchSpaceError
from algoperf_core.sources import SEARCH_SPACE_FILE
from algoperf_core.tuning import parse_search_space

COMPILED = {".so", ".pyd", ".pyc", ".pyo", ".dll", ".dylib", ".o", ".a", ".cubin", ".ptx"}
KERNELS = {".cu", ".cuh", ".cpp", ".cc", ".c", ".pyx"}
NUMBERS = {
    *(".npy", ".npz", ".pt", ".pth", ".bin", ".safetensors", ".ckpt", ".pkl", ".pickle"),
    *(".h5", ".hdf5", ".msgpack", ".onnx", ".state", ".parquet", ".csv", ".db"),
}
_FRAMEWORKS = re.compile(
    r"\s*(torch|jax|jaxlib|flax|nvidia-[\w-]+|triton|jax-cuda[\w-]*|apache-tvm)\b", re.IGNORECASE
)
_SPACES = re.compile(r"tuning_search_space.*\.json\Z")


def folder_rules(files: SubmissionFiles, workloads: Collection[str]) -> Iterator[Finding]:
    """Findings on the files beside the code.

    Args:
        files: The submission.
        workloads: All names of workloads, which a search space may not be keyed by.
    """
    yield from _search_space(files.folder / SEARCH_SPACE_FILE, workloads)
    if not files.whole_folder:
        return
    paths = all_files(files.folder)
    for path in paths:
        yield from _file(path)
    spaces = [path for path in paths if _SPACES.match(path.name)]
    for path in spaces:
        if path != files.folder / SEARCH_SPACE_FILE and len(spaces) > 1:
            yield Finding("search-space", path, 0, "is a second search space")


def _file(path: Path) -> Iterator[Finding]:
    suffix = path.suffix.lower()
    if suffix in COMPILED:
        yield Finding("opaque-code", path, 0, "is compiled code")
    if suffix in KERNELS:
        yield Finding("custom-kernels", path, 0, "is the source of a kernel")
    if suffix in NUMBERS:
        yield Finding("data-file", path, 0, "holds numbers")
    if path.name.startswith("requirements") and suffix == ".txt":
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        for number, line in enumerate(lines, 1):
            if _FRAMEWORKS.match(line):
                yield Finding("framework-versions", path, number, f"asks for {line.strip()}")


def _search_space(path: Path, workloads: Collection[str]) -> Iterator[Finding]:
    if not path.is_file():
        return
    text = path.read_text(encoding="utf-8", errors="replace")
    try:
        data = json.loads(text)
        keyed = _workload_key(data, workloads)
        if keyed is None:
            parse_search_space(data, path.name)
    except json.JSONDecodeError as error:
        yield Finding("search-space", path, error.lineno, f"is not valid JSON: {error.msg}")
    except SearchSpaceError as error:
        yield Finding("search-space", path, 0, f"cannot be used: {error}")
    else:
        if keyed is not None:
            yield Finding("search-space", path, _line_of(text, keyed), f"is keyed by {keyed!r}")


def _workload_key(data: object, workloads: Collection[str]) -> str | None:
    """The first key, at any depth, that is the name of a workload."""
    if isinstance(data, list):
        found = (_workload_key(item, workloads) for item in data)
    elif isinstance(data, dict):
        if named := next((str(key) for key in data if key in {*workloads, "workload"}), None):
            return named
        found = (_workload_key(item, workloads) for item in data.values())
    else:
        return None
    return next((key for key in found if key is not None), None)


def _line_of(text: str, key: str) -> int:
    return next((n for n, line in enumerate(text.splitlines(), 1) if f'"{key}"' in line), 0)
