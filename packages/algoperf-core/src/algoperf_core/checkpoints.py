"""The folder of a trial's checkpoints: `checkpoints/step_<n>/`, each there as a whole or not at all.

A checkpoint is written under another name, its files are listed with their SHA-256 in a manifest, all is
brought to the disk, and only then does the folder take its name. What is inside is up to the caller.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from algoperf_core.durable import sync, write_durable
from algoperf_core.errors import CheckpointError

FOLDER = "checkpoints"
MANIFEST = "manifest.json"
FORMAT = 1
KEPT = 2
_BLOCK = 2**20
_NAME = re.compile(r"step_(\d+)")


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint whose files are as they were written.

    Args:
        path: Its folder.
        global_step: Steps that were done.
    """

    path: Path
    global_step: int


@dataclass(frozen=True)
class Found:
    """What a folder of checkpoints holds.

    Args:
        newest: The newest checkpoint that is whole; None without any.
        damaged: What is wrong with those that are newer, newest first.
    """

    newest: Checkpoint | None
    damaged: tuple[str, ...] = ()


class CheckpointFolder:
    """The checkpoints of one trial.

    Args:
        trial_dir: Folder of the trial.
        kept: How many of the newest are kept.
    """

    def __init__(self, trial_dir: Path, kept: int = KEPT) -> None:
        self.path = trial_dir / FOLDER
        self._kept = kept

    def save(self, global_step: int, write: Callable[[Path], None]) -> Checkpoint:
        """Adds a checkpoint and removes those that are too many.

        Args:
            global_step: Steps that were done.
            write: Writes the files into the folder that it is given.

        Raises:
            OSError: The disk is full, or the folder cannot be written; older checkpoints are untouched.
        """
        target = self.path_of(global_step)
        with self._temporary(target.name) as folder:
            write(folder)
            _seal(folder)
            shutil.rmtree(target, ignore_errors=True)
            folder.rename(target)
        sync(self.path)
        for old in self._by_age()[self._kept :]:
            shutil.rmtree(old, ignore_errors=True)
        return Checkpoint(target, global_step)

    def path_of(self, global_step: int) -> Path:
        """Folder of the checkpoint after so many steps."""
        return self.path / f"step_{global_step}"

    def find(self) -> Found:
        """Looks for the newest checkpoint that is whole; changes nothing."""
        damaged: list[str] = []
        for path in self._by_age():
            problem = damage(path)
            if problem is None:
                return Found(Checkpoint(path, _step(path)), tuple(damaged))
            damaged.append(f"{path.name}: {problem}")
        return Found(None, tuple(damaged))

    def set_aside(self, found: Found) -> None:
        """Gives damaged checkpoints another name, for whoever wants to look at them."""
        for path in self._by_age()[: len(found.damaged)]:
            aside = path.with_name(f"damaged_{path.name}")
            shutil.rmtree(aside, ignore_errors=True)
            path.rename(aside)

    def clear(self) -> None:
        """Removes all checkpoints: a trial that is done needs none."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _by_age(self) -> list[Path]:
        if not self.path.is_dir():
            return []
        named = [path for path in self.path.iterdir() if _NAME.fullmatch(path.name)]
        return sorted(named, key=_step, reverse=True)

    @contextmanager
    def _temporary(self, name: str) -> Iterator[Path]:
        self.path.mkdir(exist_ok=True)
        # A process that was killed while it wrote left its folder behind.
        for leftover in self.path.glob(".*.tmp"):
            shutil.rmtree(leftover, ignore_errors=True)
        folder = self.path / f".{name}.{os.getpid()}.tmp"
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def damage(path: Path) -> str | None:
    """What is wrong with a checkpoint; None if it is whole."""
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        if manifest["format"] != FORMAT:
            return f"is of format {manifest['format']}, not {FORMAT}"
        expected: dict[str, str] = manifest["files"]
        for name, digest in expected.items():
            if sha256(path / name) != digest:
                return f"{name} is not as it was written"
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"cannot be read: {error}"
    return None


def sha256(path: Path) -> str:
    """Digest of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _seal(folder: Path) -> None:
    """Brings all files to the disk, and then a manifest that lists them."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    if not files:
        raise CheckpointError(f"{folder}: nothing was written")
    for path in [*files, *(path for path in folder.rglob("*") if path.is_dir())]:
        sync(path)
    listed = {path.relative_to(folder).as_posix(): sha256(path) for path in files}
    manifest = json.dumps({"format": FORMAT, "files": listed}, indent=1)
    write_durable(folder / MANIFEST, manifest.encode())


def _step(path: Path) -> int:
    return int(path.name.removeprefix("step_"))
