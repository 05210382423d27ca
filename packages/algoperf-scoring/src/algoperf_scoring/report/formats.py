"""How numbers are written: in the tables of the report for people, in its data for the script."""

import math
from collections.abc import Iterable

from algoperf_scoring.tables import format_seconds

UNKNOWN = "unknown"
MISSED = "—"
TIMES = "\N{MULTIPLICATION SIGN}"


def seconds(value: float) -> str:
    """Returns a time: ``"70,197"``, a dash for infinity, nothing for NaN."""
    if math.isnan(value):
        return ""
    return format_seconds(value) if math.isfinite(value) else MISSED


def seconds_between(low: float, high: float) -> str:
    """Returns ``"200 to 240"``, ``"200 to missed"`` where the upper end is infinite."""
    if math.isnan(low) or math.isnan(high):
        return ""
    ends = (format_seconds(end) if math.isfinite(end) else "missed" for end in (low, high))
    low_text, high_text = ends
    return low_text if low_text == high_text else f"{low_text} to {high_text}"


def score(value: float) -> str:
    """Returns a score with four decimals."""
    return f"{value:.4f}"


def percent(share: float) -> str:
    """Returns a probability: ``"93 %"``; what is rare or nearly sure is not rounded away."""
    if 0.0 < share < 0.01:
        return "<1 %"
    if 0.99 < share < 1.0:
        return ">99 %"
    return f"{share:.0%}".replace("%", " %")


def tenths(share: float) -> str:
    """Returns a share with at most one decimal: ``"62.5 %"``, ``"75 %"``."""
    return f"{100.0 * share:.1f}".removesuffix(".0") + " %"


def times_fastest(ratio: float) -> str:
    """Returns a ratio: ``"1.52×"``."""
    return f"{ratio:.2f}{TIMES}"


def plain(value: float, digits: int = 5) -> float | int | None:
    """Returns a number for JSON in few characters; None for infinity and NaN.

    Args:
      value: Any number.
      digits: Significant digits that are kept.
    """
    if not math.isfinite(value):
        return None
    short = float(f"{value:.{digits}g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short


def plain_list(values: Iterable[float]) -> list[float | int | None]:
    """Returns `plain` of each."""
    return [plain(value) for value in values]


def counted(number: int, one: str, many: str) -> str:
    """Returns a number and its noun: ``"1 study"``, ``"5 studies"``."""
    return f"{number:,} {one if number == 1 else many}"


def listed(names: Iterable[str]) -> str:
    """Returns ``"a"``, ``"a and b"`` or ``"a, b and c"``."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
