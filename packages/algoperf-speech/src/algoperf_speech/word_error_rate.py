"""Word error rate, the target metric of the speech workloads, accumulated over batches.

Two rates are kept side by side. `wer` is the published one, which targets and leaderboards
depend on; `wer_plain` is the textbook one. `WordErrorRate` says how they differ and why.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from numpy.typing import ArrayLike

from algoperf_workloads.text_pairs import text_pairs


def word_edit_distance(hypothesis: Sequence[str], reference: Sequence[str]) -> int:
    """Count the fewest insertions, deletions and substitutions between two lists of words.

    Args:
        hypothesis: Recognised words.
        reference: Spoken words.

    Returns:
        The Levenshtein distance in words; every edit costs 1.

    References:
        Levenshtein, "Binary codes capable of correcting deletions, insertions, and reversals",
        1966.

    Example:
        >>> word_edit_distance("the cat sat".split(), "a cat sat down".split())
        2
    """
    previous = list(range(len(reference) + 1))
    for deletions, spoken in enumerate(hypothesis, start=1):
        current = [deletions]
        for column, expected in enumerate(reference):
            substituted = previous[column] + (spoken != expected)
            current.append(min(substituted, previous[column + 1] + 1, current[column] + 1))
        previous = current
    return previous[-1]


@dataclass(frozen=True)
class WordErrorRate:
    """Word errors and reference words of the utterances seen so far.

    The rate of a split is the quotient of the two sums over all of its utterances, not a mean of
    rates, so that any division into batches gives the same value, to the last bit. Rates are
    fractions, not percentages, and exceed 1 where a hypothesis is much longer than its reference.

    **Why there are two rates.** The published AlgoPerf implementation computed the edit distance
    on the printed form of a TensorFlow string tensor in place of the string. The text
    `HELLO WORLD` was compared as `tf.Tensor(b'HELLO WORLD', shape=(), dtype=string)`, bytes
    literal included. Hence

    * each reference counts two words more than it has (an empty one counts three);
    * the first and last word carry the decoration, so that an error at an edge of the text may
      cost one more;
    * the literal's quotes change with an apostrophe in the text: where only one side has one,
      first and last word both count as errors.

    All published targets and results are in this rate, which is therefore `wer`. It is the
    lower one, by about a tenth at the targets: compare `wer_plain` with rates published elsewhere.

    `WordErrorRate()` is the rate of nothing: the neutral element of `merge`.

    Attributes:
        errors: Word errors by the published count.
        words: Reference words by the published count.
        plain_errors: Word errors between the texts themselves.
        plain_words: Words of the references themselves.

    References:
        Dahl et al., "Benchmarking Neural Network Training Algorithms", 2023 (arXiv:2306.07179),
        for the workloads and their targets.

    Example:
        >>> first = WordErrorRate.from_batch(["THE CAT SAT"], ["THE CAT SAT DOWN"])
        >>> second = WordErrorRate.from_batch(["HELLO", ""], ["HELLO", ""], weights=[1, 0])
        >>> first.merge(second).compute()
        {'wer': 0.2222222222222222, 'wer_plain': 0.2}
    """

    errors: int = 0
    words: int = 0
    plain_errors: int = 0
    plain_words: int = 0

    @classmethod
    def from_batch(
        cls,
        hypotheses: Sequence[str],
        references: Sequence[str],
        weights: ArrayLike | None = None,
    ) -> Self:
        """Count the errors of one batch.

        Args:
            hypotheses: `batch` texts, the recognised ones.
            references: `batch` texts, the spoken ones.
            weights: `(batch,)`, 1 for an utterance and 0 for a row of padding, which counts
                nothing; None for all ones.

        Returns:
            The counts of this batch.

        Raises:
            TypeError: If `hypotheses` or `references` is one string or holds anything but strings.
            ValueError: If the lengths differ, or a weight is neither 0 nor 1.
        """
        pairs = text_pairs(hypotheses, references, weights)
        errors, words = _count([(_printed(said), _printed(meant)) for said, meant in pairs])
        plain_errors, plain_words = _count(pairs)
        return cls(errors, words, plain_errors, plain_words)

    def merge(self, other: Self) -> Self:
        """Return the counts over the utterances of both."""
        return type(self)(
            self.errors + other.errors,
            self.words + other.words,
            self.plain_errors + other.plain_errors,
            self.plain_words + other.plain_words,
        )

    def compute(self) -> dict[str, float]:
        """Return the rates `wer` (published) and `wer_plain` (textbook).

        A rate over no reference words is NaN where there are no errors either, else infinite.
        """
        return {
            "wer": _rate(self.errors, self.words),
            "wer_plain": _rate(self.plain_errors, self.plain_words),
        }


def _printed(text: str) -> str:
    """Return `text` as the published implementation saw it: a printed TensorFlow scalar."""
    return f"tf.Tensor({text.encode()!r}, shape=(), dtype=string)"


def _count(pairs: Sequence[tuple[str, str]]) -> tuple[int, int]:
    """Sum errors and reference words over pairs `(hypothesis, reference)`."""
    split = [(hypothesis.split(), reference.split()) for hypothesis, reference in pairs]
    errors = sum(word_edit_distance(hypothesis, reference) for hypothesis, reference in split)
    return errors, sum(len(reference) for _, reference in split)


def _rate(errors: int, words: int) -> float:
    if words == 0:
        return float("inf") if errors else float("nan")
    return errors / words
