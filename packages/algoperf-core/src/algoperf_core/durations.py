"""Stretches of time in words."""

from __future__ import annotations

MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86400


def in_words(seconds: float) -> str:
    """A duration to two units at most: `9.5 s`, `45 s`, `12 min`, `3 h 10 min`, `2 d 4 h`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 2 * MINUTE_S:
        return f"{seconds:.0f} s"
    if seconds < HOUR_S:
        return f"{seconds / MINUTE_S:.0f} min"
    larger, smaller, names = (
        (HOUR_S, MINUTE_S, ("h", "min")) if seconds < DAY_S else (DAY_S, HOUR_S, ("d", "h"))
    )
    whole, rest = divmod(round(seconds / smaller), larger // smaller)
    return f"{whole} {names[0]} {rest} {names[1]}" if rest else f"{whole} {names[0]}"
