"""Names that users type, and what to answer when nobody knows them."""

from collections.abc import Iterable

from algoperf_scoring.errors import AlgoperfError


class UnknownNameError(AlgoperfError):
    """A name that is not among the known ones; the message suggests the nearest."""


def nearest_names(name: str, known: Iterable[str], limit: int = 3) -> list[str]:
    """Returns up to ``limit`` known names that look like ``name``, best first."""
    import difflib

    by_lower = {candidate.lower(): candidate for candidate in sorted(known)}
    close = difflib.get_close_matches(name.lower(), by_lower, n=limit, cutoff=0.6)
    return [by_lower[match] for match in close]


def unknown_name(kind: str, name: str, known: Iterable[str]) -> UnknownNameError:
    """Returns the error for a name nobody knows, ready to raise.

    Args:
      kind: What is named, in the singular, for example ``"workload"``.
      name: What was given.
      known: The names that exist.

    Returns:
      An error such as ``unknown workload 'digit': did you mean 'digits'? Known: digits, wine.``
    """
    names = sorted(known)
    listed = f"Known: {', '.join(names)}." if names else f"No {kind} is known."
    close = nearest_names(name, names)
    if not close:
        return UnknownNameError(f"unknown {kind} {name!r}. {listed}")
    suggestion = " or ".join(repr(match) for match in close)
    return UnknownNameError(f"unknown {kind} {name!r}: did you mean {suggestion}? {listed}")
