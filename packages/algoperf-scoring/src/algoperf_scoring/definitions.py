"""Where benchmark definitions are found, and how one extends another.

A definition is TOML text with a source. Names come from the entry points of the group
``algoperf.benchmarks``, whose values are packages that hold ``<name>.toml``. Definitions may come
with logs from anybody, so reading one is bounded in size, time and what it can reach.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from algoperf_scoring.errors import DefinitionError, LogError
from algoperf_scoring.measurements import read_bytes
from algoperf_scoring.names import unknown_name

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

ENTRY_POINT_GROUP = "algoperf.benchmarks"
MAX_BYTES = 2**20
"""Largest definition that is read; the built-in ones have a hundredth of it."""
MAX_DOTS = 16
"""Most dots in a key: the time to parse a dotted key grows with the square of its length."""

_QUOTED = re.compile(r""""(?:\\.|[^"\\])*+"|'[^']*+'""")
_KEY = re.compile(rf"""(?:[^"'=#]|{_QUOTED.pattern})*+""")
_BUILT_IN = Path(__file__).with_name("benchmarks")


@dataclass(frozen=True)
class Definition:
    """The text of one TOML file.

    Attributes:
      source: Where the text came from, for messages.
      text: The TOML.
      folder: Where relative paths in ``extends`` start.
      trusted: Whether ``extends`` may name a file; else it may only name an installed benchmark.
    """

    source: str
    text: str
    folder: "Traversable"
    trusted: bool = True

    @property
    def identity(self) -> str:
        """The source as one path, the same from wherever it was reached."""
        return os.path.realpath(self.source)

    def table(self) -> dict[str, Any]:
        """Parses the text.

        Raises:
          DefinitionError: If it is not TOML, too large or nested too deeply.
        """
        import tomllib

        self._check_size()
        try:
            return tomllib.loads(self.text)
        except RecursionError:
            raise DefinitionError(
                f"{self.source}: nested too deeply; a definition has tables in tables, no more."
            ) from None
        except ValueError as error:
            # Besides its own errors, that of an integer with thousands of digits.
            raise DefinitionError(f"{self.source}: not valid TOML: {error}.") from error

    def _check_size(self) -> None:
        if len(self.text) > MAX_BYTES:
            raise DefinitionError(
                f"{self.source}: larger than {MAX_BYTES >> 20} MiB, the most that is read of a "
                "benchmark definition; make it smaller."
            )
        for number, line in enumerate(self.text.split("\n"), start=1):
            if line.count(".") > MAX_DOTS and _dots_of_key(line) > MAX_DOTS:
                raise DefinitionError(
                    f"{self.source}: line {number}: a key of more than {MAX_DOTS} parts; a "
                    "definition has tables in tables, no more."
                )


def _dots_of_key(line: str) -> int:
    """Returns how many dots a line has outside quotes before its first equals sign."""
    key = _KEY.match(line)
    return _QUOTED.sub("", key.group()).count(".") if key else 0


def available_benchmarks() -> dict[str, str]:
    """Returns the installed benchmarks: name to the distribution that brings it, by name.

    Only entry points are looked at; no definition is read. Where several distributions bring the
    same name, all are named, and the benchmark cannot be loaded.
    """
    return {name: ", ".join(brought.values()) for name, brought in _entry_points().items()}


def find_definition(
    name_or_path: str | Path, folder: "Traversable | None" = None, *, trusted: bool = True
) -> Definition:
    """Reads the definition behind a name or a path.

    Args:
      name_or_path: A path that ends in ``.toml`` or names a file, else an installed name.
      folder: Where a relative path starts; None for the working directory.
      trusted: Whether the ``extends`` of a file may name further files.

    Returns:
      The definition, not yet checked.

    Raises:
      DefinitionError: If the file cannot be read.
      UnknownNameError: If no such benchmark is installed.
    """
    text = str(name_or_path)
    folder = folder if folder is not None else Path()
    path = folder.joinpath(text)
    if isinstance(name_or_path, Path) or text.endswith(".toml") or _is_file(path):
        return _read(path, folder, trusted=trusted)
    return installed_definition(text)


def installed_definition(name: str) -> Definition:
    """Reads the definition of an installed benchmark.

    The built-in ones are found without a look at what else is installed; a distribution that
    brings a benchmark of the same name is not noticed.

    Raises:
      DefinitionError: If it cannot be read, or several distributions bring it.
      UnknownNameError: If no such benchmark is installed.
    """
    path = _BUILT_IN / f"{name}.toml"
    if os.path.basename(name) == name and _is_file(path):
        return _read(path, _BUILT_IN)
    found = _entry_points()
    if name not in found:
        raise unknown_name("benchmark", name, found)
    package, *others = found[name]
    if others:
        distributions = " and by ".join(map(repr, found[name].values()))
        raise DefinitionError(
            f"benchmark {name!r} is brought by {distributions}; uninstall one of them, or load the "
            "file by its path."
        )
    return _read_packaged(name, package)


def extend(table: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Returns ``table`` with ``changes``: tables merge, everything else is replaced."""
    merged = dict(table)
    for key, value in changes.items():
        old = merged.get(key)
        both_tables = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[key] = extend(old, value) if both_tables and old is not None else value
    return merged


def _is_file(path: "Traversable") -> bool:
    # Path.is_file raises for names that are too long.
    return os.path.isfile(path) if isinstance(path, Path) else path.is_file()


def _read(path: "Traversable", folder: "Traversable", *, trusted: bool = True) -> Definition:
    try:
        data = read_bytes(path, MAX_BYTES) if isinstance(path, Path) else path.read_bytes()
        text = data.decode("utf-8-sig")
    except LogError as error:
        raise DefinitionError(f"{error} It should be a benchmark definition.") from error
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise DefinitionError(
            f"{path}: cannot read this benchmark definition: {reason}."
        ) from error
    return Definition(str(path), text, path.parent if isinstance(path, Path) else folder, trusted)


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


def _entry_points() -> dict[str, dict[str, str]]:
    """Returns by the name of a benchmark which package holds it, with its distribution."""
    from importlib.metadata import entry_points

    found: dict[str, dict[str, str]] = {}
    for point in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda point: point.name):
        distribution = point.dist.name if point.dist is not None else ""
        found.setdefault(point.name, {}).setdefault(point.value, distribution)
    return found
