import itertools
import json
import math
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from algoperf_speech import WordErrorRate, word_edit_distance

GOLDEN = json.loads((Path(__file__).parent / "goldens" / "wer.json").read_text())
PAIRS = [(pair["hypothesis"], pair["reference"]) for pair in GOLDEN["pairs"]]

words = st.lists(st.sampled_from(["A", "B", "IT'S", "ÜBER", '"Q"']), max_size=6)
texts = words.map(" ".join) | st.text(max_size=12)
pairs = st.lists(st.tuples(texts, texts), max_size=8)


def rate_of(batch, weights=None):
    """Count a batch of `(hypothesis, reference)`."""
    return WordErrorRate.from_batch([h for h, _ in batch], [r for _, r in batch], weights)


def distance_by_definition(hypothesis, reference):
    """Compute the edit distance by its recursion, prefix by prefix."""

    @cache
    def distance(i, j):
        if i == 0 or j == 0:
            return i + j
        substitution = distance(i - 1, j - 1) + (hypothesis[i - 1] != reference[j - 1])
        return min(substitution, distance(i - 1, j) + 1, distance(i, j - 1) + 1)

    return distance(len(hypothesis), len(reference))


def test_empty_batch_counts_nothing():
    assert WordErrorRate.from_batch([], []) == WordErrorRate()


def test_rate_of_nothing_is_nan():
    assert all(math.isnan(rate) for rate in WordErrorRate().compute().values())


def test_batch_of_padding_only_counts_nothing():
    assert rate_of([("A", "B"), ("", "C")], weights=[0, 0]) == WordErrorRate()


def test_errors_without_a_reference_word_make_the_textbook_rate_infinite():
    rates = rate_of([("HELLO", "")]).compute()
    assert rates["wer"] == pytest.approx(1 / 3)
    assert rates["wer_plain"] == math.inf


@pytest.mark.parametrize("pair", GOLDEN["pairs"], ids=lambda pair: pair["hypothesis"][:20])
def test_golden_counts_of_each_pair(pair):
    counted = rate_of([(pair["hypothesis"], pair["reference"])])
    assert counted == WordErrorRate(
        errors=pair["word_errors"],
        words=pair["num_words"],
        plain_errors=pair["plain_word_errors"],
        plain_words=pair["plain_num_words"],
    )


def test_golden_rates_of_all_pairs():
    aggregate = GOLDEN["aggregate"]
    assert rate_of(PAIRS).compute() == {
        "wer": aggregate["wer"],
        "wer_plain": aggregate["plain_wer"],
    }


@pytest.mark.parametrize(
    ("words", "utterances", "published"),
    [(92_869, 5_348, 0.8967218654950997), (44_289, 2_472, 0.899579550301627)],
    ids=["validation", "test"],
)
def test_silent_model_gets_the_rate_of_the_public_logs(words, utterances, published):
    references = ["W"] * (utterances - 1) + [" ".join(["W"] * (words - utterances + 1))]
    rates = rate_of([("", reference) for reference in references]).compute()
    assert rates == {"wer": published, "wer_plain": 1.0}


def test_apostrophe_on_one_side_only_costs_first_and_last_word():
    assert rate_of([("HE DIDNT GO", "HE DIDN'T GO")]).errors == 3
    assert rate_of([("HE DIDN'T GO", "HE DIDN'T GO")]).errors == 0


def test_rate_may_exceed_one():
    assert rate_of([("A B C D E F G H I", "X")]).compute()["wer"] > 1


def test_rate_is_of_sums_and_not_a_mean_of_rates():
    rates = rate_of([("X", "A"), ("B C D", "B C D")]).compute()
    assert rates["wer_plain"] == 0.25


@given(pairs, st.data())
def test_any_division_into_batches_gives_the_same_counts(batch, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(batch)), max_size=4)))
    bounds = [0, *cuts, len(batch)]
    total = WordErrorRate()
    for start, stop in itertools.pairwise(bounds):
        total = total.merge(rate_of(batch[start:stop]))
    assert total == rate_of(batch)


@given(pairs, pairs)
def test_merging_commutes(one, other):
    assert rate_of(one).merge(rate_of(other)) == rate_of(other).merge(rate_of(one))


@given(pairs, pairs)
def test_rows_of_weight_zero_count_nothing(real, padding):
    weights = [1.0] * len(real) + [0.0] * len(padding)
    assert rate_of(real + padding, weights) == rate_of(real)


@given(words, words)
def test_distance_is_the_recursion_of_the_definition(hypothesis, reference):
    expected = distance_by_definition(hypothesis, reference)
    assert word_edit_distance(hypothesis, reference) == expected


@given(words, words)
def test_only_equal_words_count_no_errors(hypothesis, reference):
    counted = rate_of([(" ".join(hypothesis), " ".join(reference))])
    assert (counted.errors == 0) == (counted.plain_errors == 0) == (hypothesis == reference)


@given(texts, texts)
def test_published_count_adds_two_words_to_a_reference_of_words(hypothesis, reference):
    counted = rate_of([(hypothesis, " ".join(reference.split()))])
    assert counted.words == max(counted.plain_words, 1) + 2


def test_one_string_in_place_of_a_list_is_an_error():
    with pytest.raises(TypeError, match="hypotheses is one string"):
        WordErrorRate.from_batch("HELLO", ["HELLO"])
    with pytest.raises(TypeError, match="references is one string"):
        WordErrorRate.from_batch(["HELLO"], "HELLO")


def test_what_is_not_text_is_named_by_its_place():
    with pytest.raises(TypeError, match=r"references\[1\] is bytes, expected str"):
        WordErrorRate.from_batch(["A", "B"], ["A", b"B"])


def test_different_lengths_are_an_error():
    with pytest.raises(ValueError, match="hypotheses has 2 texts but references has 1"):
        WordErrorRate.from_batch(["A", "B"], ["A"])


@pytest.mark.parametrize(
    ("weights", "named"),
    [
        ([1], r"weights has shape \(1,\), expected \(2,\)"),
        ([[1, 1]], "weights has shape"),
        ([1, 0.5], "weights holds values other than 0 and 1"),
        ([1, math.nan], "weights holds values other than 0 and 1"),
    ],
)
def test_wrong_weights_are_an_error(weights, named):
    with pytest.raises(ValueError, match=named):
        rate_of([("A", "A"), ("B", "B")], weights)
