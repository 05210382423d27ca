"""Checked pairs of hypothesis and reference, one for each text of a batch.

What word error rate and BLEU count on: rows that only fill up a batch are left out here.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike


def text_pairs(
    hypotheses: Sequence[str], references: Sequence[str], weights: ArrayLike | None
) -> list[tuple[str, str]]:
    """Pair the texts of a batch, without the rows whose weight is 0.

    Args:
        hypotheses: `batch` texts, the model's.
        references: `batch` texts, the true ones.
        weights: `(batch,)`, 1 for a text and 0 for a row of padding; None for all ones.

    Returns:
        The pairs `(hypothesis, reference)` in their order.

    Raises:
        TypeError: If `hypotheses` or `references` is one string or holds anything but strings.
        ValueError: If the lengths differ, or a weight is neither 0 nor 1.
    """
    _check_texts("hypotheses", hypotheses)
    _check_texts("references", references)
    if len(hypotheses) != len(references):
        raise ValueError(
            f"hypotheses has {len(hypotheses)} texts but references has {len(references)}"
        )
    pairs = list(zip(hypotheses, references, strict=True))
    if weights is None:
        return pairs
    kept = np.asarray(weights)
    if kept.shape != (len(pairs),):
        raise ValueError(f"weights has shape {kept.shape}, expected ({len(pairs)},)")
    if not np.isin(kept, (0, 1)).all():
        raise ValueError("weights holds values other than 0 and 1")
    return [pair for pair, weight in zip(pairs, kept, strict=True) if weight]


def _check_texts(name: str, texts: Sequence[str]) -> None:
    if isinstance(texts, str):
        raise TypeError(f"{name} is one string, expected a list of strings, one per example")
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"{name}[{index}] is {type(text).__name__}, expected str")
