"""Writes files that outlast a loss of power: on the disk before they take their name."""

from __future__ import annotations

import os
from pathlib import Path

from algoperf_core.errors import RecordError


def write_durable(path: Path, data: bytes) -> None:
    """Writes a file in one step; afterwards it holds the new content whatever happens to the machine.

    Args:
        path: The file; its folder exists.
        data: The content.

    Raises:
        RecordError: The file cannot be written; the old one, if any, is untouched.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync(path.parent)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        discard(temporary)


def append_durable(path: Path, data: bytes) -> None:
    """Appends to a file, all or nothing.

    Raises:
        RecordError: The data cannot be written; the file is as it was before.
    """
    try:
        with path.open("ab", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            try:
                if file.write(data) != len(data):
                    raise OSError("the disk took a part of it only")
                os.fsync(file.fileno())
            except OSError:
                os.ftruncate(file.fileno(), size)
                raise
    except OSError as error:
        raise cannot_write(path, error) from error


def sync(path: Path) -> None:
    """Waits until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def discard(path: Path) -> None:
    """Removes a file if it is there and can be removed."""
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return  # a leftover that does no harm must not hide the error that led here


def cannot_write(path: Path, error: OSError) -> RecordError:
    """The error that says what to do."""
    return RecordError(
        f"{path}: cannot be written: {error.strerror or error}; free some space, or make the folder "
        "writable, and run the same command again"
    )
