"""Which files make up a submission: what its digest covers and what the copy in a trial's folder holds."""

from __future__ import annotations

import ast
import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

# Neither changes what a submission computes.
_LEFT_OUT_SUFFIXES = {".pyc", ".pyo", ".md", ".rst"}


def folder_files(root: Path) -> dict[str, Path]:
    """Files of a folder by their path below it, with `/`, in the order of the names.

    Left out are hidden files, caches, documentation, virtual environments and folders of runs: a submission
    may well be run from its own folder.
    """
    return dict(sorted((path.relative_to(root).as_posix(), path) for path in _walk(root)))


def _walk(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        here = Path(folder)
        folders[:] = [name for name in folders if _is_source_folder(here / name)]
        for name in names:
            path = here / name
            if not name.startswith(".") and path.suffix not in _LEFT_OUT_SUFFIXES:
                yield path


def _is_source_folder(path: Path) -> bool:
    if path.name.startswith(".") or path.name == "__pycache__":
        return False
    if (path / "pyvenv.cfg").is_file():
        return False
    return not ((path / "benchmark.toml").is_file() and any(path.glob("study_*")))


def file_and_its_imports(path: Path) -> dict[str, Path]:
    """A file and the modules that it imports relatively, and those that these import, by name."""
    root = path.parent
    found: dict[str, Path] = {}
    waiting = [path]
    while waiting:
        current = waiting.pop()
        name = current.relative_to(root).as_posix()
        if name not in found:
            found[name] = current
            waiting += [
                module for module in _relative_imports(current) if module.is_relative_to(root)
            ]
    return dict(sorted(found.items()))


def _relative_imports(path: Path) -> Iterator[Path]:
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    except (SyntaxError, UnicodeDecodeError, ValueError):
        return
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom) or not 0 < node.level <= len(path.parents):
            continue
        package = path.parents[node.level - 1]
        base = package.joinpath(*node.module.split(".")) if node.module else package
        candidates = [base, *(base / alias.name for alias in node.names)]
        for candidate in candidates:
            for module in (candidate.with_suffix(".py"), candidate / "__init__.py"):
                if module.is_file():
                    yield module


def digest(files: Mapping[str, Path]) -> str:
    """SHA-256 over names and bytes."""
    total = hashlib.sha256()
    for name, path in files.items():
        total.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()
