"""Writes files so that nobody ever sees half of one."""

import os
from pathlib import Path

from algoperf_scoring.errors import OutputError


def write_text_atomic(path: Path | str, text: str) -> None:
    """Writes UTF-8 text; see `write_bytes_atomic`."""
    write_bytes_atomic(path, text.encode("utf-8", errors="backslashreplace"))


def write_bytes_atomic(path: Path | str, data: bytes) -> None:
    """Writes a file in one step: a reader finds the old content or the new, never a part.

    The data goes to a temporary file in the same folder, which then takes the place of `path`.
    A symbolic link stays one, and what is not a file, such as ``/dev/stdout``, is written to
    directly.

    Args:
      path: The file to write; its folder must exist.
      data: The content.

    Raises:
      OutputError: If the folder is missing or cannot be written; names it.
    """
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise OutputError(f"{path}: cannot write a file here: this is a folder; give a file name.")
    try:
        if target.exists() and not target.is_file():
            Path(path).write_bytes(data)
        else:
            _replace(target, data)
    except OSError as error:
        raise OutputError(
            f"{path}: cannot write into the folder {target.parent}: {error.strerror}; create the "
            "folder or choose another one."
        ) from error


def _replace(target: Path, data: bytes) -> None:
    temporary = target.with_name(f".{target.name}.{os.urandom(6).hex()}.tmp")
    try:
        # Not tempfile: its files are private, while a result is as readable as others.
        with open(temporary, "xb") as file:
            file.write(data)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
