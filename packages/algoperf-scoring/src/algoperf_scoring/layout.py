"""The folders of a log tree: which of them are submissions, studies, workloads and trials.

The layout is ``<submission>/<study>/<workload>_<jax|pytorch>/trial_<n>/eval_measurements.csv``.
All listings are sorted, so that nothing depends on the order of the file system.
"""

import os
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from algoperf_scoring.errors import LogError
from algoperf_scoring.notes import TIME_STAMPED, note

LAYOUT = "<submission>/<study>/<workload>_<jax|pytorch>/trial_<n>/eval_measurements.csv"

_TRIAL = re.compile(r"trial_(\d+)")
_TIME_STAMP = re.compile(r"-\d{4}(-\d{2}){5}$")
_FRAMEWORK = re.compile(r"_(jax|pytorch)$")


def check_folder(root: Path) -> None:
    """Refuses a root that is no folder.

    Raises:
      LogError: If it is not there, or a file.
    """
    if not root.is_dir():
        raise LogError(f"{root}: no such folder; give the folder that holds {LAYOUT}.")


def subfolders(folder: Path) -> list[Path]:
    """Returns the folders in a folder, hidden ones left out, sorted by name.

    Raises:
      LogError: If the folder cannot be listed.
    """
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.is_dir()]
    except OSError as error:
        raise LogError(f"{folder}: cannot list this folder: {error.strerror}.") from error
    return [folder / name for name in sorted(names) if not name.startswith(".")]


def trial_number(folder: Path) -> int | None:
    """Returns the number of a trial folder ``trial_<n>…``, None for any other folder."""
    match = _TRIAL.match(folder.name)
    return int(match[1]) if match else None


def trial_folders(workload_folder: Path) -> list[tuple[int, Path]]:
    """Returns the trials of a workload folder with their numbers, in order of number."""
    numbered = [(trial_number(folder), folder) for folder in subfolders(workload_folder)]
    return sorted((number, folder) for number, folder in numbered if number is not None)


def workload_and_framework(folder_name: str) -> tuple[str, str]:
    """Splits ``"<workload>_<framework>"``; the framework is empty if there is none."""
    match = _FRAMEWORK.search(folder_name)
    return (folder_name[: match.start()], match[1]) if match else (folder_name, "")


def ruleset_folder(root: Path, ruleset: str | None) -> Path:
    """Returns the folder of a ruleset in an archive that has one for each, else the root itself.

    Published archives hold ``external_tuning`` and ``self_tuning`` side by side.
    """
    folder = root / f"{ruleset}_tuning"
    return folder if ruleset is not None and folder.is_dir() else root


def find_submissions(root: Path) -> tuple[dict[str, list[Path]], tuple[str, ...]]:
    """Finds the submissions of a log tree.

    Args:
      root: A folder of submissions, or the folder of one submission.

    Returns:
      Folders of each submission by its name, sorted, and notes. Time-stamped folders
      ``<submission>-YYYY-MM-DD-HH-MM-SS`` belong to ``<submission>``.

    Raises:
      LogError: If there are no trials where they are expected; says the layout.
    """
    check_folder(root)
    if _has_trials_at(root, depth=4):
        return _by_submission(subfolders(root))
    if _has_trials_at(root, depth=3):
        return {root.resolve().name: [root]}, ()
    raise LogError(f"{root}: no trials found; the expected layout is {LAYOUT}.{_hint(root)}")


def _by_submission(folders: list[Path]) -> tuple[dict[str, list[Path]], tuple[str, ...]]:
    submissions: dict[str, list[Path]] = {}
    notes = []
    for folder in folders:
        name = _TIME_STAMP.sub("", folder.name)
        submissions.setdefault(name, []).append(folder)
        if name != folder.name:
            notes.append(note(TIME_STAMPED, f"{folder.name} counts as {name}"))
    return dict(sorted(submissions.items())), tuple(notes)


def _at_depth(root: Path, depth: int) -> Iterator[Path]:
    level: Iterator[Path] = iter((root,))
    for _ in range(depth):
        level = chain.from_iterable(map(subfolders, level))
    return level


def _has_trials_at(root: Path, depth: int) -> bool:
    return any(trial_number(folder) is not None for folder in _at_depth(root, depth))


def _hint(root: Path) -> str:
    for folder in _at_depth(root, 5):
        if trial_number(folder) is not None:
            return f" There are trials one level further down: try {folder.parents[3]}."
    for depth in (1, 2):
        if _has_trials_at(root, depth):
            above = root.resolve()
            for _ in range(3 - depth):
                above = above.parent
            return f" The trials are too close: try {above}."
    return ""
