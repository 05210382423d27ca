"""`algoperf new`: writes the folder of a new submission, complete and ready to run."""

from __future__ import annotations

import re
import shlex
from importlib.resources import files
from pathlib import Path
from typing import Literal, get_args

from algoperf_core.errors import SubmissionError
from algoperf_core.registry import SUBMISSIONS, installed
from algoperf_core.sources import SEARCH_SPACE_FILE
from algoperf_core.spec import Framework

Style = Literal["optimizer", "full"]
STYLES: tuple[Style, ...] = get_args(Style)
MAX_NAME_LENGTH = 64

_SHORT_NAMES: dict[Framework, str] = {"jax": "jax", "pytorch": "torch"}
_LONG_NAMES: dict[Framework, str] = {"jax": "JAX", "pytorch": "PyTorch"}


def write_submission(name: str, framework: Framework, style: Style, parent: Path) -> Path:
    """Writes `PARENT/NAME/` with `submission.py`, `tuning_search_space.json` and `README.md`.

    Args:
        name: Name of the folder, and of the submission in runs and on leaderboards.
        framework: `jax` or `pytorch`.
        style: `optimizer`: a factory for `from_optax` or `from_torch`; `full`: the published functions.
        parent: Folder to create it in.

    Returns:
        The new folder.

    Raises:
        SubmissionError: The name cannot be one, the folder exists, or it cannot be written.
    """
    _check_name(name)
    folder = parent / name
    contents = _contents(folder, framework, style)
    try:
        parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir()
        for file, text in contents.items():
            (folder / file).write_text(text, encoding="utf-8")
    except FileExistsError:
        raise SubmissionError(
            f"{folder} exists, and nothing is overwritten; choose another name or another --folder"
        ) from None
    except OSError as error:
        raise SubmissionError(f"{folder}: cannot be written: {error.strerror}") from None
    return folder


def _check_name(name: str) -> None:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name) or len(name) > MAX_NAME_LENGTH:
        raise SubmissionError(
            f"{name!r} cannot be the name of a submission: it begins with a letter, goes on with letters, "
            f"digits, _ and -, and has at most {MAX_NAME_LENGTH} characters"
        )
    if name in installed(SUBMISSIONS):
        raise SubmissionError(
            f"a submission {name!r} is installed already; choose another name, so that their runs "
            "can be told apart"
        )


def _contents(folder: Path, framework: Framework, style: Style) -> dict[str, str]:
    templates = files("algoperf_core") / "templates"

    def read(file: str) -> str:
        return (templates / file).read_text(encoding="utf-8")

    builder = {"jax": "from_optax", "pytorch": "from_torch"}[framework]
    readme = read("README.md.template").format(
        name=folder.name,
        folder=shlex.quote(str(folder)),
        framework=_LONG_NAMES[framework],
        self_tuning=f"; give `{builder}` its `defaults`" if style == "optimizer" else "",
    )
    return {
        "submission.py": read(f"{style}_{_SHORT_NAMES[framework]}.py"),
        SEARCH_SPACE_FILE: read(f"{style}_search_space.json"),
        "README.md": readme,
    }
