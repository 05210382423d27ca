"""Where benchmark definitions are found, and how one extends another.

A definition is TOML text with a source. Names come from the entry points of the group
``algoperf.benchmarks``, whose values are packages that hold ``<name>.toml``.
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from algoperf_scoring.errors import DefinitionError
from algoperf_scoring.names import unknown_name

ENTRY_POINT_GROUP = "algoperf.benchmarks"


@dataclass(frozen=True)
class Definition:
    """The text of one TOML file.

    Attributes:
      source: Where the text came from, for messages.
      text: The TOML.
      folder: Where relative paths in ``extends`` start.
    """

    source: str
    text: str
    folder: Traversable

    @property
    def identity(self) -> str:
        """The source as one path, the same from wherever it was reached."""
        return os.path.realpath(self.source)

    def table(self) -> dict[str, Any]:
        """Parses the text.

        Raises:
          DefinitionError: If it is not TOML.
        """
        try:
            return tomllib.loads(self.text)
        except tomllib.TOMLDecodeError as error:
            raise DefinitionError(f"{self.source}: not valid TOML: {error}.") from error


def available_benchmarks() -> dict[str, str]:
    """Returns the installed benchmarks: name to the distribution that brings it, by name.

    Only entry points are looked at; no definition is read.
    """
    return {name: distribution for name, (_, distribution) in _entry_points().items()}


def find_definition(name_or_path: str | Path, folder: Traversable | None = None) -> Definition:
    """Reads the definition behind a name or a path.

    Args:
      name_or_path: A path that ends in ``.toml`` or names a file, else an installed name.
      folder: Where a relative path starts; None for the working directory.

    Returns:
      The definition, not yet checked.

    Raises:
      DefinitionError: If the file cannot be read.
      UnknownNameError: If no such benchmark is installed.
    """
    text = str(name_or_path)
    folder = folder if folder is not None else Path()
    path = folder.joinpath(text)
    if isinstance(name_or_path, Path) or text.endswith(".toml") or path.is_file():
        return _read(path, folder)
    found = _entry_points()
    if text not in found:
        raise unknown_name("benchmark", text, found)
    return _read_packaged(text, found[text][0])


def extend(table: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Returns ``table`` with ``changes``: tables merge, everything else is replaced."""
    merged = dict(table)
    for key, value in changes.items():
        old = merged.get(key)
        both_tables = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[key] = extend(old, value) if both_tables and old is not None else value
    return merged


def _read(path: Traversable, folder: Traversable) -> Definition:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise DefinitionError(
            f"{path}: cannot read this benchmark definition: {reason}."
        ) from error
    return Definition(str(path), text, path.parent if isinstance(path, Path) else folder)


def _read_packaged(name: str, package: str) -> Definition:
    from importlib.resources import files

    try:
        folder = files(package)
    except ModuleNotFoundError as error:
        raise DefinitionError(
            f"benchmark {name!r}: its entry point names the package {package!r}, which cannot be "
            f"imported ({error}); reinstall the distribution that brings it."
        ) from error
    return _read(folder.joinpath(f"{name}.toml"), folder)


def _entry_points() -> dict[str, tuple[str, str]]:
    from importlib.metadata import entry_points

    found: dict[str, tuple[str, str]] = {}
    for point in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda point: point.name):
        distribution = point.dist.name if point.dist is not None else ""
        earlier = found.setdefault(point.name, (point.value, distribution))
        if earlier[0] != point.value:
            raise DefinitionError(
                f"benchmark {point.name!r} is brought by {earlier[1]!r} and by {distribution!r}; "
                "uninstall one of them, or load the file by its path."
            )
    return found
