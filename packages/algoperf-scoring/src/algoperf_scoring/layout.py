"""The folders of a log tree: which of them are submissions, studies, workloads and trials.

The layout is ``<submission>/<study>/<workload>_<jax|pytorch>/trial_<n>/eval_measurements.csv``.
All listings are sorted, so that nothing depends on the order of the file system.
"""

import os
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from algoperf_scoring.errors import LogError
from algoperf_scoring.findings import Finding

LAYOUT = "<submission>/<study>/<workload>_<jax|pytorch>/trial_<n>/eval_measurements.csv"

_TRIAL = re.compile(r"trial_(\d{1,18})(?!\d)", re.ASCII)
_TIME_STAMP = re.compile(r"(?<=.)-\d{4}(-\d{2}){5}$", re.ASCII)
_FRAMEWORKS = ("_jax", "_pytorch")


class Folder(NamedTuple):
    """A folder of the tree.

    Attributes:
      name: Its own name.
      path: Where it is.
      link: Whether it is a symbolic link.
    """

    name: str
    path: str
    link: bool


def check_folder(root: Path) -> None:
    """Refuses a root that is no folder.

    Raises:
      LogError: If it is not there, or a file.
    """
    try:
        found = root.is_dir()
    except (OSError, ValueError):
        found = False
    if not found:
        raise LogError(f"{root}: no such folder; give the folder that holds {LAYOUT}.")


def subfolders(folder: str) -> list[Folder]:
    """Returns the folders in a folder, hidden ones left out, sorted by name.

    Raises:
      LogError: If the folder cannot be listed.
    """
    try:
        with os.scandir(folder) as entries:
            found = [
                Folder(entry.name, entry.path, entry.is_symlink())
                for entry in entries
                if not entry.name.startswith(".") and _is_folder(entry)
            ]
    except OSError as error:
        raise LogError(f"{folder}: cannot list this folder: {error.strerror}.") from error
    return sorted(found)


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:
        # A link to itself.
        return False


def trial_number(name: str) -> int | None:
    """Returns the number of a trial folder ``trial_<n>…``, None for any other folder."""
    match = _TRIAL.match(name)
    return int(match[1]) if match else None


def trial_folders(
    workload_folder: str,
) -> tuple[list[tuple[int, Folder]], list[tuple[str, Folder]]]:
    """Returns the trials of a workload folder.

    Returns:
      Trials with their numbers, in order of number; and the folders left out with the kind of
      finding: they are no trials, or another one has their number. ``trial_1`` goes before
      ``trial_01`` and ``trial_1_old``.
    """
    chosen: dict[int, Folder] = {}
    others: list[tuple[str, Folder]] = []
    for folder in sorted(subfolders(workload_folder), key=lambda folder: len(folder.name)):
        number = trial_number(folder.name)
        if number is None:
            others.append(("no_trial", folder))
        elif number in chosen:
            others.append(("same_trial", folder))
        else:
            chosen[number] = folder
    return sorted(chosen.items()), others


def workload_and_framework(folder_name: str) -> tuple[str, str]:
    """Splits ``"<workload>_<framework>"``; the framework is empty if there is none."""
    for ending in _FRAMEWORKS:
        if folder_name.endswith(ending):
            return folder_name.removesuffix(ending), ending[1:]
    return folder_name, ""


def ruleset_folder(root: Path, ruleset: str | None) -> Path:
    """Returns the folder of a ruleset in an archive that has one for each, else the root itself.

    Published archives hold ``external_tuning`` and ``self_tuning`` side by side.
    """
    folder = root / f"{ruleset}_tuning"
    return folder if ruleset is not None and folder.is_dir() else root


def find_submissions(root: Path) -> tuple[dict[str, list[Folder]], tuple[Finding, ...]]:
    """Finds the submissions of a log tree.

    Args:
      root: A folder of submissions, or the folder of one submission.

    Returns:
      Folders of each submission by its name, sorted, and findings. Time-stamped folders
      ``<submission>-YYYY-MM-DD-HH-MM-SS`` belong to ``<submission>``.

    Raises:
      LogError: If there are no trials where they are expected; says the layout.
    """
    check_folder(root)
    if _has_trials_at(root, depth=4):
        return _by_submission(subfolders(str(root)))
    if _has_trials_at(root, depth=3):
        name = Path(os.path.realpath(root)).name
        return {name: [Folder(name, str(root), False)]}, ()
    raise LogError(f"{root}: no trials found; the expected layout is {LAYOUT}.{_hint(root)}")


def _by_submission(
    folders: list[Folder],
) -> tuple[dict[str, list[Folder]], tuple[Finding, ...]]:
    submissions: dict[str, list[Folder]] = {}
    findings = []
    for folder in folders:
        name = _TIME_STAMP.sub("", folder.name)
        submissions.setdefault(name, []).append(folder)
        if name != folder.name:
            findings.append(Finding("time_stamped", name, "", folder.name, f"counts as {name}"))
    return dict(sorted(submissions.items())), tuple(findings)


def _at_depth(root: Path, depth: int) -> Iterator[Folder]:
    level: Iterator[Folder] = iter((Folder(root.name, str(root), False),))
    for _ in range(depth):
        level = chain.from_iterable(subfolders(folder.path) for folder in level)
    return level


def _has_trials_at(root: Path, depth: int) -> bool:
    return any(trial_number(folder.name) is not None for folder in _at_depth(root, depth))


def _hint(root: Path) -> str:
    for folder in _at_depth(root, 5):
        if trial_number(folder.name) is not None:
            return f" There are trials one level further down: try {Path(folder.path).parents[3]}."
    for depth in (1, 2):
        if _has_trials_at(root, depth):
            above = Path(os.path.realpath(root))
            for _ in range(3 - depth):
                above = above.parent
            return f" The trials are too close: try {above}."
    return ""
