"""Corpus BLEU, the target metric of the translation workloads, accumulated over batches.

sacrebleu tokenises and counts n-grams. The score is computed from the counts here, because
sacrebleu 2 scores one case otherwise than published results do; see `CorpusBleu`.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from numpy.typing import ArrayLike
from sacrebleu.metrics.bleu import BLEU

from algoperf_workloads.text_pairs import text_pairs

MAX_ORDER = 4

# Without `force`, sacrebleu logs advice about hypotheses that look tokenised already.
_COUNTER = BLEU(tokenize="13a", lowercase=False, max_ngram_order=MAX_ORDER, force=True)


@dataclass(frozen=True)
class CorpusBleu:
    """N-gram counts and lengths of the sentences seen so far, for one BLEU over all of them.

    BLEU of a split is computed from sums over all of its sentences, so that any division into
    batches gives the same value, to the last bit. The published definition is BLEU-4 on a scale of
    0 to 100 with one reference, case-sensitive, tokenised by `13a` (mteval-v13a):

        BLEU = BP * exp((log p_1 + log p_2 + log p_3 + log p_4) / 4)
        BP   = 1 if h >= r, exp(1 - r / h) if 0 < h < r, 0 if h = 0

    with `h` and `r` the tokens of hypotheses and references, and `p_n` the percentage of the
    hypotheses' n-grams that match. Smoothing is `exp`: the first order without a match counts as
    half a match, the second as a quarter, and so on. If the hypotheses have no n-gram of some order
    at all, BLEU is 0.

    This is sacrebleu's BLEU of the signature `nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp`, except
    where not even one word matches: sacrebleu 2 returns 0, while published results, like sacrebleu
    1.3.1, are smoothed there as anywhere else (below 8, and near 0 over many sentences).

    `CorpusBleu()` is the score of nothing: the neutral element of `merge`.

    Attributes:
        matches: Clipped n-gram matches, for orders 1 to 4.
        totals: N-grams in the hypotheses, for orders 1 to 4.
        hypothesis_length: Tokens in the hypotheses.
        reference_length: Tokens in the references.

    References:
        Papineni et al., "BLEU: a Method for Automatic Evaluation of Machine Translation", ACL 2002.
        Chen and Cherry, "A Systematic Comparison of Smoothing Techniques for Sentence-Level BLEU",
        WMT 2014 (method 3). Post, "A Call for Clarity in Reporting BLEU Scores", WMT 2018.
        Dahl et al., "Benchmarking Neural Network Training Algorithms", 2023 (arXiv:2306.07179).

    Example:
        >>> first = CorpusBleu.from_batch(["The cat sat on the mat."], ["The cat sat on a mat."])
        >>> second = CorpusBleu.from_batch(["It is late.", ""], ["It is late.", ""], weights=[1, 0])
        >>> {name: round(value, 4) for name, value in first.merge(second).compute().items()}
        {'bleu': 63.4047}
    """

    matches: tuple[int, ...] = (0,) * MAX_ORDER
    totals: tuple[int, ...] = (0,) * MAX_ORDER
    hypothesis_length: int = 0
    reference_length: int = 0

    @classmethod
    def from_batch(
        cls,
        hypotheses: Sequence[str],
        references: Sequence[str],
        weights: ArrayLike | None = None,
    ) -> Self:
        """Count the n-grams of one batch.

        Args:
            hypotheses: `batch` texts, the model's translations, detokenised.
            references: `batch` texts, the human translations. Published scores take the text that
                the tokenizer gives back for the reference's ids, not the raw text.
            weights: `(batch,)`, 1 for a sentence and 0 for a row of padding, which counts nothing;
                None for all ones.

        Returns:
            The counts of this batch.

        Raises:
            TypeError: If `hypotheses` or `references` is one string or holds anything but strings.
            ValueError: If the lengths differ, or a weight is neither 0 nor 1.
        """
        pairs = text_pairs(hypotheses, references, weights)
        if not pairs:
            return cls()
        counted = _COUNTER.corpus_score(
            [said for said, _ in pairs], [[meant for _, meant in pairs]]
        )
        return cls(tuple(counted.counts), tuple(counted.totals), counted.sys_len, counted.ref_len)

    def merge(self, other: Self) -> Self:
        """Return the counts over the sentences of both."""
        return type(self)(
            _add(self.matches, other.matches),
            _add(self.totals, other.totals),
            self.hypothesis_length + other.hypothesis_length,
            self.reference_length + other.reference_length,
        )

    def compute(self) -> dict[str, float]:
        """Return `bleu`, between 0 and 100 up to rounding; 0 where nothing was counted."""
        if 0 in self.totals:
            return {"bleu": 0.0}
        log_precisions = map(math.log, _smoothed_percentages(self.matches, self.totals))
        penalty = _brevity_penalty(self.hypothesis_length, self.reference_length)
        return {"bleu": penalty * math.exp(sum(log_precisions) / MAX_ORDER)}


def _add(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(a + b for a, b in zip(one, other, strict=True))


def _smoothed_percentages(matches: Iterable[int], totals: Iterable[int]) -> list[float]:
    """Compute `p_n` of each order; the k-th order without a match counts 1 / 2^k matches."""
    divisor = 1
    percentages = []
    for matched, total in zip(matches, totals, strict=True):
        if matched == 0:
            divisor *= 2
        percentages.append(100 * matched / total if matched else 100 / (divisor * total))
    return percentages


def _brevity_penalty(hypothesis_length: int, reference_length: int) -> float:
    """Compute BP for `hypothesis_length` of at least 1."""
    return math.exp(min(0.0, 1 - reference_length / hypothesis_length))
