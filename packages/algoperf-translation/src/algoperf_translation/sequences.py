"""Cut rows of token ids at the end of their sentence.

The step between decoding and the texts that BLEU compares.
"""

import numpy as np
from numpy.typing import ArrayLike


def sequences_until_eos(ids: ArrayLike, *, eos_id: int = 2) -> list[list[int]]:
    """Keep each row's ids up to the first end-of-sentence id, that one included.

    Of a row without an end of sentence only the **first id** is kept. A translation that ran into
    the length limit thus counts as a single token, by which all published BLEU scores of the
    workloads were computed.

    Args:
        ids: Token ids `(batch, length)`; whole numbers, of any dtype.
        eos_id: The end-of-sentence id; 2 in the tokenizer of the WMT workloads.

    Returns:
        One list of ids for each row, empty only where `length` is 0.

    Raises:
        ValueError: If `ids` is not of two dimensions.

    Example:
        >>> sequences_until_eos([[7, 5, 2, 9], [7, 5, 4, 9]])
        [[7, 5, 2], [7]]
    """
    tokens = np.asarray(ids)
    if tokens.ndim != 2:
        raise ValueError(f"ids has shape {tokens.shape}, expected (batch, length)")
    if tokens.shape[1] == 0:
        return [[] for _ in tokens]
    # argmax of a row without any True is 0, which is the rule above.
    last = (tokens == eos_id).argmax(axis=1)
    rows = zip(tokens, last, strict=True)
    return [row[: end + 1].astype(np.int64).tolist() for row, end in rows]
