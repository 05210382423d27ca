import itertools
import json
import math
import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu.metrics import BLEU

from algoperf_translation import CorpusBleu

GOLDEN = json.loads((Path(__file__).parent / "goldens" / "bleu.json").read_text())
HYPOTHESES, REFERENCES = GOLDEN["hypotheses"], GOLDEN["references"]
CASES = GOLDEN["cases"]

words = st.sampled_from(
    ["the", "The", "cat", "3,003", "2.5%", "U.S.", "12-13", "a-b", "&amp;", "<skipped>", "é", '"!"']
)
texts = st.lists(words, max_size=7).map(" ".join) | st.text(max_size=12)
corpora = st.lists(st.tuples(texts, texts), max_size=6)


def bleu_of(corpus, weights=None):
    """Count a batch of `(hypothesis, reference)`."""
    return CorpusBleu.from_batch([h for h, _ in corpus], [r for _, r in corpus], weights)


def texts_of(case):
    """Return hypotheses and references of a golden case."""
    if case["hyp"] == "hypotheses":
        return HYPOTHESES, REFERENCES
    return case["hyp"], case["ref"]


def tokens_13a(text):
    """Tokenise by the rules of mteval-v13a, one after the other."""
    text = text.rstrip().replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    for entity, character in [("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">")]:
        text = text.replace(entity, character)
    text = re.sub(r"([{|}~\[\\\]^_` !\"#$%&()*+:;<=>?@/])", r" \1 ", f" {text} ")
    text = re.sub(r"([^0-9])([.,])", r"\1 \2 ", text)
    text = re.sub(r"([.,])([^0-9])", r" \1 \2", text)
    return re.sub(r"([0-9])-", r"\1 - ", text).split()


def bleu_by_definition(corpus):
    """Compute BLEU without a library, each order from its own counts."""
    tokens = [(tokens_13a(hypothesis), tokens_13a(reference)) for hypothesis, reference in corpus]
    logs, unmatched = [], 0
    for order in range(1, 5):
        counted = [
            [Counter(zip(*(t[i:] for i in range(order)), strict=False)) for t in p] for p in tokens
        ]
        matched = sum((hypothesis & reference).total() for hypothesis, reference in counted)
        total = sum(hypothesis.total() for hypothesis, _ in counted)
        if total == 0:
            return 0.0
        unmatched += matched == 0
        logs.append(math.log(100 * (matched or 0.5**unmatched) / total))
    said, meant = (sum(len(pair[side]) for pair in tokens) for side in (0, 1))
    return (1 if said >= meant else math.exp(1 - meant / said)) * math.exp(sum(logs) / 4)


def test_empty_batch_counts_nothing_and_scores_zero():
    assert CorpusBleu.from_batch([], []) == CorpusBleu()
    assert CorpusBleu().compute() == {"bleu": 0.0}


def test_batch_of_padding_only_counts_nothing():
    assert bleu_of([("a", "b"), ("", "c")], weights=[0, 0]) == CorpusBleu()


def test_empty_hypotheses_score_zero():
    assert bleu_of([("", "the cat"), (" ", "sat")]).compute() == {"bleu": 0.0}


def test_empty_references_are_matched_by_nothing():
    corpus = [("a b c d e", "")]
    assert bleu_of(corpus).compute()["bleu"] == pytest.approx(bleu_by_definition(corpus))


@pytest.mark.parametrize("name", CASES)
def test_golden_counts(name):
    expected = CASES[name]["upstream"]
    assert CorpusBleu.from_batch(*texts_of(CASES[name])) == CorpusBleu(
        matches=tuple(expected["counts"]),
        totals=tuple(expected["totals"]),
        hypothesis_length=expected["sys_len"],
        reference_length=expected["ref_len"],
    )


@pytest.mark.parametrize("name", CASES)
def test_golden_score(name):
    score = CorpusBleu.from_batch(*texts_of(CASES[name])).compute()["bleu"]
    assert score == pytest.approx(CASES[name]["upstream"]["score"], rel=1e-13)


def test_golden_tokens_agree_with_the_definition():
    texts = HYPOTHESES + REFERENCES
    tokenized = GOLDEN["tokenized_13a_hypotheses"] + GOLDEN["tokenized_13a_references"]
    assert [" ".join(tokens_13a(text)) for text in texts] == tokenized


def test_corpus_without_a_match_is_smoothed():
    score = bleu_of([("a b c d e", "v w x y z")]).compute()["bleu"]
    assert score == pytest.approx(5.341087579952926, rel=1e-13)  # sacrebleu 1.3.1
    assert BLEU().corpus_score(["a b c d e"], [["v w x y z"]]).score == 0


def test_case_counts():
    assert bleu_of([("The Cat Sat Here", "the cat sat here")]).matches == (0, 0, 0, 0)


def test_repeated_words_are_clipped_to_the_reference():
    assert bleu_of([("the the the the", "the cat")]).matches == (1, 0, 0, 0)


def test_long_hypothesis_is_not_rewarded_and_short_one_is_penalised():
    exact = "a b c d e f"
    assert bleu_of([(exact, exact)]).compute()["bleu"] == pytest.approx(100)
    assert bleu_of([("a b c d", exact)]).compute()["bleu"] == pytest.approx(100 * math.exp(-0.5))


def test_score_is_of_sums_and_not_a_mean_of_scores():
    corpus = list(zip(HYPOTHESES, REFERENCES, strict=True))
    mean = sum(bleu_of([pair]).compute()["bleu"] for pair in corpus) / len(corpus)
    assert bleu_of(corpus).compute()["bleu"] != pytest.approx(mean, rel=0.01)


@given(corpora, st.data())
def test_any_division_into_batches_gives_the_same_counts(corpus, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(corpus)), max_size=4)))
    total = CorpusBleu()
    for start, stop in itertools.pairwise([0, *cuts, len(corpus)]):
        total = total.merge(bleu_of(corpus[start:stop]))
    assert total == bleu_of(corpus)


@given(corpora, corpora)
def test_merging_commutes(one, other):
    assert bleu_of(one).merge(bleu_of(other)) == bleu_of(other).merge(bleu_of(one))


@given(corpora, corpora)
def test_rows_of_weight_zero_count_nothing(real, padding):
    weights = [1.0] * len(real) + [0.0] * len(padding)
    assert bleu_of(real + padding, weights) == bleu_of(real)


@given(corpora)
def test_any_corpus_scores_by_the_definition(corpus):
    assert bleu_of(corpus).compute()["bleu"] == pytest.approx(bleu_by_definition(corpus), rel=1e-12)


@given(corpora.filter(lambda corpus: any(bleu_of(corpus).matches)))
def test_any_corpus_with_a_match_scores_as_sacrebleu(corpus):
    hypotheses, references = zip(*corpus, strict=True)
    expected = BLEU(force=True).corpus_score(hypotheses, [references]).score
    assert bleu_of(corpus).compute()["bleu"] == pytest.approx(expected, rel=1e-12)


def test_one_string_in_place_of_a_list_is_an_error():
    with pytest.raises(TypeError, match="hypotheses is one string"):
        CorpusBleu.from_batch("hello", ["hello"])
    with pytest.raises(TypeError, match="references is one string"):
        CorpusBleu.from_batch(["hello"], "hello")


def test_what_is_not_text_is_named_by_its_place():
    with pytest.raises(TypeError, match=r"references\[1\] is NoneType, expected str"):
        CorpusBleu.from_batch(["a", "b"], ["a", None])


def test_different_lengths_are_an_error():
    with pytest.raises(ValueError, match="hypotheses has 2 texts but references has 1"):
        CorpusBleu.from_batch(["a", "b"], ["a"])


@pytest.mark.parametrize(
    ("weights", "named"),
    [
        ([1], r"weights has shape \(1,\), expected \(2,\)"),
        ([[1, 1]], "weights has shape"),
        ([1, 0.5], "weights holds values other than 0 and 1"),
    ],
)
def test_wrong_weights_are_an_error(weights, named):
    with pytest.raises(ValueError, match=named):
        bleu_of([("a", "a"), ("b", "b")], weights)
