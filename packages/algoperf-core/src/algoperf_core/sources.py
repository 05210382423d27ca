"""Where submissions come from: installed packages, folders and files.

A submission folder holds `submission.py` (or one file per framework, `submission_jax.py` and
`submission_pytorch.py`) and, for the external ruleset, `tuning_search_space.json`. Finding a submission
reads its text and imports nothing, so that the campaign process stays free of frameworks; `load` imports.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import json
import sys
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from types import ModuleType

from algoperf_core.errors import SubmissionError
from algoperf_core.published import install_aliases
from algoperf_core.registry import SUBMISSIONS, installed
from algoperf_core.source_files import digest, file_and_its_imports, folder_files
from algoperf_core.spec import FRAMEWORKS, Framework
from algoperf_core.submission import (
    REQUIRED_FUNCTIONS,
    Submission,
    missing_functions,
    submission_from_module,
)
from algoperf_scoring import unknown_name

SEARCH_SPACE_FILE = "tuning_search_space.json"
# A folder with this file is the copy of a submission, as `submission_copy` unpacks it.
COPY_MANIFEST = "submission.json"
COPY_FILES = "files"
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
        alone: Whether it is a single file, whose neighbours count only if it imports them.
        import_path: Where the package of a copy is imported from; None for what is installed.
    """

    reference: str
    name: str
    folder: Path
    files: dict[Framework, Path]
    module: str | None = None
    alone: bool = False
    import_path: Path | None = None

    @property
    def search_space(self) -> Path:
        """Where its tuning search space would be."""
        return self.folder / SEARCH_SPACE_FILE

    @property
    def root(self) -> Path:
        """The folder that holds all of it: of an installed submission, its whole package."""
        if self.module is None:
            return self.folder
        package = self.module.partition(".")[0]
        if self.import_path is not None:
            return self.import_path / package
        return Path(str(files(package)))

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

    def source_files(self, framework: Framework) -> dict[str, Path]:
        """The files that it consists of, by their path below `root`.

        A single file counts with the modules that it imports relatively; a folder counts whole, since its
        modules may import each other, and so does the package that an installed submission belongs to.
        """
        if self.alone:
            return file_and_its_imports(self.files[framework])
        return folder_files(self.root)

    def own_files(self, framework: Framework) -> frozenset[str]:
        """Absolute paths of the files in its folder, of which a package may have others besides."""
        paths = self.source_files(framework).values()
        return frozenset(str(path.absolute()) for path in paths if path.is_relative_to(self.folder))

    def sha256(self, framework: Framework) -> str:
        """Digest over the names and bytes of its files, the same wherever it lies."""
        return digest(self.source_files(framework))


def find_submission(reference: str) -> SubmissionSource:
    """Finds a submission by path or by the name it is installed under; a path may be an unpacked copy.

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
    if (path / COPY_MANIFEST).is_file():
        return _from_copy(reference, path)
    if path.is_dir():
        return SubmissionSource(reference, path.name, path, _folder_files(path))
    if path.suffix != ".py":
        raise SubmissionError(f"{reference}: a submission is a .py file or a folder that holds one")
    name = path.parent.name if path.stem == "submission" else path.stem
    return SubmissionSource(reference, name, path.parent, _file_by_framework(path), alone=True)


def _from_copy(reference: str, path: Path) -> SubmissionSource:
    manifest = path / COPY_MANIFEST
    top = path / COPY_FILES
    try:
        data = json.loads(manifest.read_text(encoding="utf-8"))
        by_framework = {name: top / data["files"][name] for name in data["files"]}
        module = data["module"]
        return SubmissionSource(
            reference=reference,
            name=data["name"],
            folder=top / data["folder"],
            files=by_framework,
            module=module,
            alone=data["alone"],
            import_path=None if module is None else top,
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SubmissionError(
            f"{manifest}: not the description of a copied submission: {error!r}"
        ) from None


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
        if source.import_path is not None:
            _import_from(source.import_path, source)
        module = importlib.import_module(f"{source.module}.{path.stem}")
    else:
        module = _import_file(path)
    submission = submission_from_module(module)
    if submission.framework not in (None, framework):
        raise SubmissionError(
            f"{path}: written for {submission.framework}, asked to run in {framework}"
        )
    return submission


def _import_from(folder: Path, source: SubmissionSource) -> None:
    package = source.root.name
    imported = sys.modules.get(package)
    if imported is not None and imported.__file__ is not None:
        # Some package brings its workload and its submission together, and the workload came first.
        where = Path(imported.__file__).parent
        if where != source.root and digest(folder_files(where)) != digest(
            folder_files(source.root)
        ):
            raise SubmissionError(
                f"{source.root}: the package {package} is already imported from {where}, which differs from "
                "the copy; install the version that ran"
            )
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _import_file(path: Path) -> ModuleType:
    # The folder becomes a package of its own, so that `from .helpers import ...` works in it without
    # its modules being able to shadow anybody else's.
    package = f"algoperf_submission_{hashlib.sha256(str(path.parent).encode()).hexdigest()[:12]}"
    if package not in sys.modules:
        parent = ModuleType(package)
        parent.__path__ = [str(path.parent)]
        sys.modules[package] = parent
    return importlib.import_module(f"{package}.{path.stem}")
