"""Reads ``hparams.json``: the hyperparameters a trial was run with.

The files lie in log trees and come from strangers, so they are refused rather than guessed at.
"""

import json
import math
from pathlib import Path

from algoperf_scoring.errors import LogError
from algoperf_scoring.logs import Trial
from algoperf_scoring.measurements import read_bytes

HYPERPARAMETERS_FILE = "hparams.json"
MAX_BYTES = 2**20
"""Largest file that is read; published ones have less than 1 kB."""

Hyperparameter = float | int | bool | str


def read_hyperparameters(trial: Trial) -> dict[str, Hyperparameter]:
    """Reads the hyperparameters of a trial, from the file beside its measurements.

    Args:
      trial: Says where its measurement file is.

    Returns:
      Values by name, in the order of the file; numbers are finite. What is null is left out, and
      a trial without the file has none.

    Raises:
      LogError: If the file is not a JSON object of numbers, texts and truth values, or is too
        large; names it.
    """
    path = trial.path.with_name(HYPERPARAMETERS_FILE)
    try:
        data = read_bytes(path, limit=MAX_BYTES)
    except FileNotFoundError:
        return {}
    table = _parsed(path, data)
    if not isinstance(table, dict):
        raise LogError(
            f"{path}: expected a JSON object with a value for each hyperparameter, found "
            f"{_kind(table)}; repair or remove the file."
        )
    for name, value in table.items():
        _check_value(path, name, value)
    return {name: value for name, value in table.items() if value is not None}


def _parsed(path: Path, data: bytes) -> object:
    try:
        parsed: object = json.loads(data.decode("utf-8-sig"))
    except RecursionError as error:
        raise LogError(f"{path}: nested too deeply; repair or remove the file.") from error
    except ValueError as error:
        raise LogError(f"{path}: not JSON: {error}; repair or remove the file.") from error
    return parsed


def _check_value(path: Path, name: str, value: object) -> None:
    if value is None or isinstance(value, str | bool):
        return
    if not isinstance(value, float | int):
        raise LogError(
            f"{path}: hyperparameter {name!r}: expected a number, a text, true, false or null, "
            f"found {_kind(value)}; give each value a name of its own."
        )
    if not _is_finite(value):
        raise LogError(
            f"{path}: hyperparameter {name!r}: expected a finite number that a float can hold; "
            "repair or remove the file."
        )


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _kind(value: object) -> str:
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    return "a text" if isinstance(value, str) else f"{value}"
