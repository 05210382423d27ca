"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Grade = Literal["ok", "warning", "problem"]


@dataclass(frozen=True)
class Finding:
    """A line of a diagnosis.

    Args:
        grade: `ok`; `warning`: runs work but may be slow or unfair; `problem`: something will not work.
        subject: What was looked at.
        message: What was found.
        remedy: What to do; empty where nothing is to be done.
    """

    grade: Grade
    subject: str
    message: str
    remedy: str = ""


def ok(subject: str, message: str) -> Finding:
    """Nothing is wrong."""
    return Finding("ok", subject, message)


def warning(subject: str, message: str, remedy: str) -> Finding:
    """Runs work, but may be slow or unfair."""
    return Finding("warning", subject, message, remedy)


def problem(subject: str, message: str, remedy: str) -> Finding:
    """Something will not work."""
    return Finding("problem", subject, message, remedy)
