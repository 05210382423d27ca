"""Greedy (best path) decoding of a CTC model: from frame scores to token ids.

The step between a model's forward pass and the word error rate.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

BLANK_ID = 0
"""The id of CTC's blank symbol; the same value fills the unused end of a decoded row."""


def greedy_decode(
    logits: ArrayLike, logit_paddings: ArrayLike
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Decode each utterance along its best path, without a language model or a beam.

    The most likely symbol is taken at every frame that is not padding, runs of the same symbol
    are merged into one, and blanks are dropped. Of symbols with equal scores the lowest id wins.

    Args:
        logits: Scores `(batch, frames, vocabulary)`, on any increasing scale: logits or log
            probabilities.
        logit_paddings: `(batch, frames)`, 1 where a frame is padding and 0 where it is speech.

    Returns:
        The ids `(batch, frames)`, int32, left-aligned and filled up with `BLANK_ID`; and their
        paddings `(batch, frames)`, int32, 1 where there is no id.

    Raises:
        ValueError: If the shapes are not as above, or a padding is neither 0 nor 1.

    References:
        Graves et al., "Connectionist Temporal Classification", ICML 2006 (best path decoding).

    Example:
        >>> frames = [0, 3, 3, 0, 3, 2, 0, 0]
        >>> ids, paddings = greedy_decode(np.eye(4)[[frames]], np.zeros((1, len(frames))))
        >>> ids
        array([[3, 3, 2, 0, 0, 0, 0, 0]], dtype=int32)
    """
    scores = np.asarray(logits)
    if scores.ndim != 3 or scores.shape[2] == 0:
        raise ValueError(f"logits has shape {scores.shape}, expected (batch, frames, vocabulary)")
    is_speech = ~_is_padding("logit_paddings", logit_paddings, scores.shape[:2])
    best = scores.argmax(axis=2).astype(np.int32)
    decoded = np.full_like(best, BLANK_ID)
    for row, (path, kept) in enumerate(zip(best, is_speech, strict=True)):
        hypothesis = _collapse(path[kept])
        decoded[row, : hypothesis.size] = hypothesis
    return decoded, (decoded == BLANK_ID).astype(np.int32)


def token_sequences(ids: ArrayLike, paddings: ArrayLike) -> list[list[int]]:
    """Cut padded rows of token ids to the lists that a tokenizer turns into text.

    Args:
        ids: Token ids `(batch, length)`, left-aligned; whole numbers, of any dtype.
        paddings: `(batch, length)`, 1 where a position is padding and 0 where it holds a token.

    Returns:
        One list of ids for each row: its first `length - sum(paddings)` ids.

    Raises:
        ValueError: If the shapes are not as above, or a padding is neither 0 nor 1.

    Example:
        >>> token_sequences([[7, 5, 2, 0], [2, 0, 0, 0]], [[0, 0, 0, 1], [0, 1, 1, 1]])
        [[7, 5, 2], [2]]
    """
    tokens = np.asarray(ids)
    if tokens.ndim != 2:
        raise ValueError(f"ids has shape {tokens.shape}, expected (batch, length)")
    lengths = (~_is_padding("paddings", paddings, tokens.shape)).sum(axis=1)
    rows = zip(tokens, lengths, strict=True)
    return [row[:length].astype(np.int64).tolist() for row, length in rows]


def _collapse(path: NDArray[np.int32]) -> NDArray[np.int32]:
    """Merge runs of the same symbol in `path`, `(frames,)`, then drop the blanks."""
    starts_run = np.ones(path.shape, bool)
    starts_run[1:] = path[1:] != path[:-1]
    return np.compress(starts_run & (path != BLANK_ID), path)


def _is_padding(name: str, paddings: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    values = np.asarray(paddings)
    if values.shape != shape:
        raise ValueError(f"{name} has shape {values.shape}, expected {shape}")
    if not np.isin(values, (0, 1)).all():
        raise ValueError(f"{name} holds values other than 0 and 1")
    return values.astype(bool)
