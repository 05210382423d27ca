"""Where submissions come from: installed packages, folders and files.

A submission folder holds `submission.py` (or one file per framework, `submission_jax.py` and
`submission_pytorch.py`) and, for the external ruleset, `tuning_search_space.json`. Finding a submission
reads its text and imports nothing, so that the campaign process stays free of frameworks; `load` imports.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import sys
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from types import ModuleType

from algoperf_core.errors import SubmissionError
from algoperf_core.published import install_aliases
from algoperf_core.registry import SUBMISSIONS, installed
from algoperf_core.spec import FRAMEWORKS, Framework
from algoperf_core.submission import (
    REQUIRED_FUNCTIONS,
    Submission,
    missing_functions,
    submission_from_module,
)
from algoperf_scoring import unknown_name

SEARCH_SPACE_FILE = "tuning_search_space.json"
_FRAMEWORK_MODULES: dict[str, Framework] = {
    "jax": "jax",
    "flax": "jax",
    "optax": "jax",
    "from_optax": "jax",
    "torch": "pytorch",
    "from_torch": "pytorch",
}


@dataclass(frozen=True)
class SubmissionSource:
    """A submission before it is imported.

    Args:
        reference: What the user named it by; finds it again in another process.
        name: Name of its folder in the runs.
        folder: Where its files are.
        files: Its module by framework.
        module: Its importable package, where it is installed; None for files and folders.
    """

    reference: str
    name: str
    folder: Path
    files: dict[Framework, Path]
    module: str | None = None

    @property
    def search_space(self) -> Path:
        """Where its tuning search space would be."""
        return self.folder / SEARCH_SPACE_FILE

    def choose_framework(self, wanted: Framework | None) -> Framework:
        """The framework to run in: the wanted one, else its only one, else JAX.

        Raises:
            SubmissionError: It has no file for the wanted framework.
        """
        if wanted is None:
            return next(framework for framework in FRAMEWORKS if framework in self.files)
        if wanted not in self.files:
            raise SubmissionError(
                f"submission {self.reference!r} is written for {' and '.join(self.files)}, not for {wanted}"
            )
        return wanted

    def sha256(self, framework: Framework) -> str:
        """Digest over the names and bytes of its Python and JSON files.

        A single file counts alone; a folder counts whole, since its modules may import each other, and so
        does the package that an installed submission belongs to.
        """
        digest = hashlib.sha256()
        root = self.folder
        if self.module is not None:
            root = Path(str(files(self.module.partition(".")[0])))
        alone = Path(self.reference).is_file()
        paths = [self.files[framework]] if alone else sorted(root.rglob("*"))
        for path in paths:
            if path.suffix in (".py", ".json") and path.is_file():
                digest.update(path.relative_to(root).as_posix().encode() + b"\0")
                digest.update(path.read_bytes() + b"\0")
        return digest.hexdigest()


def find_submission(reference: str) -> SubmissionSource:
    """Finds a submission by path or by the name it is installed under.

    Raises:
        SubmissionError: The path does not exist, or holds no complete submission; the message names file,
            missing functions and fix.
        UnknownNameError: Nothing of that name is installed.
    """
    path = Path(reference)
    if path.exists():
        return _from_path(reference, path)
    known = installed(SUBMISSIONS)
    if reference in known:
        module = known[reference].value
        folder = Path(str(files(module)))
        return SubmissionSource(reference, reference, folder, _folder_files(folder), module)
    if path.suffix == ".py" or len(path.parts) > 1:
        raise SubmissionError(f"{reference}: no such file or folder")
    raise unknown_name("submission", reference, known)


def _from_path(reference: str, path: Path) -> SubmissionSource:
    path = path.resolve()
    if path.is_dir():
        return SubmissionSource(reference, path.name, path, _folder_files(path))
    if path.suffix != ".py":
        raise SubmissionError(f"{reference}: a submission is a .py file or a folder that holds one")
    name = path.parent.name if path.stem == "submission" else path.stem
    return SubmissionSource(reference, name, path.parent, _file_by_framework(path))


def _folder_files(folder: Path) -> dict[Framework, Path]:
    by_framework = {
        framework: path
        for framework in FRAMEWORKS
        if (path := folder / f"submission_{framework}.py").exists()
    }
    for path in by_framework.values():
        check_source(path)
    if by_framework:
        return by_framework
    if (folder / "submission.py").exists():
        return _file_by_framework(folder / "submission.py")
    raise SubmissionError(
        f"{folder}: holds none of submission.py, "
        + ", ".join(f"submission_{framework}.py" for framework in FRAMEWORKS)
    )


def _file_by_framework(path: Path) -> dict[Framework, Path]:
    imported = check_source(path)
    frameworks = {_FRAMEWORK_MODULES[name] for name in imported if name in _FRAMEWORK_MODULES}
    # A file that imports neither may still run with either: the user chooses.
    return {framework: path for framework in FRAMEWORKS if framework in (frameworks or FRAMEWORKS)}


def check_source(path: Path) -> set[str]:
    """Reads a submission's text and checks that it defines what a submission must.

    Returns:
        The names that it imports: top-level packages and names imported from them.

    Raises:
        SubmissionError: It is not valid Python, or lacks required functions.
    """
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    except (SyntaxError, UnicodeDecodeError, ValueError) as error:
        raise SubmissionError(f"{path}: not valid Python: {error}") from None
    defined = _defined_names(tree)
    missing = [name for name in REQUIRED_FUNCTIONS if name not in defined]
    if missing and not defined & {"submission", "*"}:
        raise missing_functions(str(path), missing)
    return _imported_names(tree)


def _defined_names(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.Name(id=name, ctx=ast.Store()):
                names.add(name)
            case ast.ImportFrom(names=aliases):
                names |= {alias.asname or alias.name for alias in aliases}
    return names


def _imported_names(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=aliases):
                names |= {alias.name.partition(".")[0] for alias in aliases}
            case ast.ImportFrom(module=str(module), names=aliases, level=0):
                names |= {module.partition(".")[0], *(alias.name for alias in aliases)}
    return names


def load(source: SubmissionSource, framework: Framework) -> Submission:
    """Imports a submission.

    Raises:
        SubmissionError: It lacks a required function, has a wrong signature, or is written for the other
            framework.
    """
    path = source.files[framework]
    install_aliases()
    if source.module is not None:
        module = importlib.import_module(f"{source.module}.{path.stem}")
    else:
        module = _import_file(path)
    submission = submission_from_module(module)
    if submission.framework not in (None, framework):
        raise SubmissionError(
            f"{path}: written for {submission.framework}, asked to run in {framework}"
        )
    return submission


def _import_file(path: Path) -> ModuleType:
    # The folder becomes a package of its own, so that `from .helpers import ...` works in it without
    # its modules being able to shadow anybody else's.
    package = f"algoperf_submission_{hashlib.sha256(str(path.parent).encode()).hexdigest()[:12]}"
    if package not in sys.modules:
        parent = ModuleType(package)
        parent.__path__ = [str(path.parent)]
        sys.modules[package] = parent
    return importlib.import_module(f"{package}.{path.stem}")
