"""Seeds by name: each purpose of each trial has its own, whatever else runs and in whatever order."""

from __future__ import annotations

import hashlib


def derive_seed(root: int, *path: str | int) -> int:
    """A seed in [0, 2**31) for a path of names below a root seed.

    Args:
        root: The seed that the user gave, or that the logs recorded.
        path: Names from the general to the particular, such as
            `("algoperf-digits", "adamw", "digits", "study_0", "trial_1")`.
    """
    # A separator that no name contains keeps ("ab", "c") and ("a", "bc") apart.
    text = "\x1f".join(str(part) for part in (root, *path))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1
