"""Arguments that several commands of `algoperf` share."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from algoperf_core.spec import Framework


def framework(text: str) -> Framework:
    """Reads `jax`, `torch` or `pytorch`."""
    names: dict[str, Framework] = {"jax": "jax", "torch": "pytorch", "pytorch": "pytorch"}
    if text not in names:
        raise argparse.ArgumentTypeError(f"{text!r} is not jax or torch")
    return names[text]


def count(text: str) -> int:
    """Reads a number above 0."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return int(text)


def period(text: str) -> float | None:
    """Reads seconds from 0, or `never`."""
    if text == "never":
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 0, nor never")
    return seconds


def default_data_dir() -> Path:
    """Where prepared datasets are kept unless the user says otherwise: the user's cache folder."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "algoperf" / "data"
