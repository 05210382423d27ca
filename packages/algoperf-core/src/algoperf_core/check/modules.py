"""The Python files that a submission consists of, parsed, and how they import each other.

A folder counts whole, vendored code included. A single file counts with what it imports from its folder; so
does an installed submission with what it imports from its package. Nothing is imported here.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from algoperf_core.check.findings import Finding
from algoperf_core.errors import SubmissionError
from algoperf_core.registry import SUBMISSIONS, installed
from algoperf_core.spec import FRAMEWORKS, Framework
from algoperf_scoring import unknown_name

ENTRY_FILES = ("submission.py", *(f"submission_{framework}.py" for framework in FRAMEWORKS))
SKIPPED_FOLDERS = {"__pycache__", ".git", ".venv", ".ruff_cache", ".mypy_cache", ".pytest_cache"}
# Imports of these never mean a file of the submission, whatever its name.
FOREIGN = sys.stdlib_module_names | {
    *("algoperf_core", "algoperf", "algorithmic_efficiency", "jax", "jaxlib", "flax", "optax"),
    *("chex", "torch", "torchvision", "numpy", "scipy", "absl", "triton", "haiku", "einops"),
}


FRAMEWORK_OF: dict[str, Framework] = {
    "jax": "jax",
    "flax": "jax",
    "optax": "jax",
    "torch": "pytorch",
}


@dataclass(frozen=True, eq=False)
class Module:
    """A Python file.

    Args:
        name: Dotted name among the submission's files.
        path: The file.
        tree: Its syntax tree; empty where the file is not valid Python.
        is_package: Whether it is an `__init__.py`.
    """

    name: str
    path: Path
    tree: ast.Module
    is_package: bool


@dataclass(frozen=True, eq=False)
class SubmissionFiles:
    """Everything that a submission consists of.

    Args:
        name: Name of the submission.
        reference: What the user named it by.
        folder: Its folder.
        entries: The files that define its functions, one per framework.
        modules: All its Python files by dotted name.
        unreadable: Files that are not valid Python, as findings.
        whole_folder: Whether everything in the folder belongs to it.
    """

    name: str
    reference: str
    folder: Path
    entries: tuple[Module, ...]
    modules: dict[str, Module]
    unreadable: tuple[Finding, ...] = ()
    whole_folder: bool = True

    def resolve(self, importer: Module, target: str, level: int) -> str | None:
        """The module of the submission that an import means; None for anything foreign.

        Args:
            importer: Where the import stands.
            target: The dotted name that is imported.
            level: Number of leading dots.
        """
        return _resolve(self.modules.__contains__, importer, target, level)

    @property
    def frameworks(self) -> set[Framework]:
        """The frameworks that any of its files imports."""
        tops = {
            target.partition(".")[0]
            for module in self.modules.values()
            for target, level in _imports(module.tree)
            if level == 0
        }
        return {FRAMEWORK_OF[top] for top in tops & FRAMEWORK_OF.keys()}

    @property
    def paths(self) -> frozenset[Path]:
        """All its Python files."""
        return frozenset(module.path for module in self.modules.values())


def _resolve(
    exists: Callable[[str], bool], importer: Module, target: str, level: int
) -> str | None:
    parents = importer.name.split(".") if importer.is_package else importer.name.split(".")[:-1]
    parts = list(filter(None, target.split(".")))
    if level:
        candidates = [".".join([*parents[: len(parents) - level + 1], *parts])]
    elif not parts or parts[0] in FOREIGN:
        candidates = []
    else:
        # Archived submissions import themselves by the path that they once had.
        suffixes = [".".join(parts[start:]) for start in range(len(parts))]
        candidates = [".".join([*parents, *parts]), *suffixes]
    return next(filter(exists, candidates), None)


@dataclass
class _Reader:
    """Reads files as modules; those that are not Python become findings."""

    base: Path
    modules: dict[str, Module] = field(default_factory=dict)
    unreadable: list[Finding] = field(default_factory=list)

    def read(self, path: Path) -> Module:
        is_package = path.name == "__init__.py"
        inner = path.relative_to(self.base).with_suffix("")
        name = ".".join(inner.parts[:-1] if is_package else inner.parts)
        if name not in self.modules:
            self.modules[name] = Module(name, path, self._parse(path), is_package)
        return self.modules[name]

    def _parse(self, path: Path) -> ast.Module:
        try:
            return ast.parse(path.read_text(encoding="utf-8"), str(path))
        except SyntaxError as error:
            finding = Finding("api", path, error.lineno or 0, f"not valid Python: {error.msg}")
        except (UnicodeDecodeError, ValueError, RecursionError, OSError) as error:
            finding = Finding("api", path, 0, f"cannot be read as Python: {error}")
        self.unreadable.append(finding)
        return ast.Module([], [])

    def read_imported(self, start: Iterable[Module]) -> None:
        """Reads what modules import from below the base, and what that imports."""
        waiting = list(start)
        while waiting:
            module = waiting.pop()
            for target, level in _imports(module.tree):
                found = _resolve(lambda name: self._path(name) is not None, module, target, level)
                if found is not None and found not in self.modules:
                    waiting.append(self.read(self._path(found) or module.path))

    def _path(self, name: str) -> Path | None:
        inner = self.base.joinpath(*name.split("."))
        candidates = (inner.with_name(f"{inner.name}.py"), inner / "__init__.py")
        return next((path for path in candidates if name and path.is_file()), None)


def _imports(tree: ast.Module) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=aliases):
                for alias in aliases:
                    yield alias.name, 0
            case ast.ImportFrom(module=module, names=aliases, level=level):
                yield module or "", level
                for alias in aliases:
                    yield ".".join(filter(None, (module, alias.name))), level


def python_files(folder: Path) -> list[Path]:
    """All Python files below a folder."""
    return [path for path in all_files(folder) if path.suffix == ".py"]


def all_files(folder: Path) -> list[Path]:
    """All files below a folder, without caches."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and not SKIPPED_FOLDERS & set(path.relative_to(folder).parts)
    )


def read_submission(reference: str) -> SubmissionFiles:
    """Reads the files of a submission, faulty ones included.

    Raises:
        SubmissionError: The path does not exist or is no submission.
        UnknownNameError: Nothing of that name is installed.
    """
    path = Path(reference)
    if path.is_dir():
        return _from_folder(reference, path.resolve())
    if path.exists():
        return _from_file(reference, path.resolve())
    known = installed(SUBMISSIONS)
    if reference in known:
        return _from_package(reference, known[reference].value)
    if path.suffix == ".py" or len(path.parts) > 1:
        raise SubmissionError(f"{reference}: no such file or folder")
    raise unknown_name("submission", reference, known)


def _from_folder(reference: str, folder: Path) -> SubmissionFiles:
    reader = _Reader(folder)
    entries = tuple(reader.read(path) for path in _entry_paths(folder))
    for path in python_files(folder):
        reader.read(path)
    return SubmissionFiles(
        folder.name, reference, folder, entries, reader.modules, tuple(reader.unreadable)
    )


def _entry_paths(folder: Path) -> list[Path]:
    paths = [folder / name for name in ENTRY_FILES if (folder / name).is_file()]
    if not paths:
        raise SubmissionError(f"{folder}: holds none of {', '.join(ENTRY_FILES)}")
    # As in a campaign, a file per framework goes before the one for both.
    return paths[1:] if len(paths) > 1 and paths[0].name == ENTRY_FILES[0] else paths


def _from_file(reference: str, path: Path) -> SubmissionFiles:
    if path.suffix != ".py":
        raise SubmissionError(f"{reference}: a submission is a .py file or a folder that holds one")
    reader = _Reader(path.parent)
    entry = reader.read(path)
    reader.read_imported([entry])
    name = path.parent.name if path.stem == "submission" else path.stem
    return SubmissionFiles(
        name, reference, path.parent, (entry,), reader.modules, tuple(reader.unreadable), False
    )


def _from_package(reference: str, package: str) -> SubmissionFiles:
    folder = Path(str(files(package)))
    base = folder.parents[package.count(".")]
    reader = _Reader(base)
    entries = tuple(reader.read(path) for path in _entry_paths(folder))
    for path in python_files(folder):
        reader.read(path)
    reader.read_imported(list(reader.modules.values()))
    return SubmissionFiles(
        reference, reference, folder, entries, reader.modules, tuple(reader.unreadable)
    )
