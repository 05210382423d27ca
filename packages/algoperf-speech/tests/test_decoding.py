from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from algoperf_speech import greedy_decode, token_sequences

GOLDENS = Path(__file__).parent / "goldens"


def decode_path(path, paddings=None):
    """Decode one utterance whose best symbols are `path`; return its ids as a list."""
    logits = np.eye(10)[np.asarray([path], int)]
    paddings = [0] * len(path) if paddings is None else paddings
    return token_sequences(*greedy_decode(logits, np.asarray([paddings])))[0]


def collapse_by_definition(path):
    """Merge runs, then drop blanks, one symbol at a time."""
    merged = [symbol for i, symbol in enumerate(path) if i == 0 or symbol != path[i - 1]]
    return [symbol for symbol in merged if symbol != 0]


def test_empty_batch_decodes_to_nothing():
    ids, paddings = greedy_decode(np.zeros((0, 7, 4)), np.zeros((0, 7)))
    assert ids.shape == paddings.shape == (0, 7)
    assert token_sequences(ids, paddings) == []


def test_utterance_without_frames_decodes_to_nothing():
    ids, paddings = greedy_decode(np.zeros((2, 0, 4)), np.zeros((2, 0)))
    assert token_sequences(ids, paddings) == [[], []]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ([0, 0, 0], []),
        ([5], [5]),
        ([5, 5, 5], [5]),
        ([5, 0, 5], [5, 5]),
        ([0, 5, 5, 0, 0, 5, 2], [5, 5, 2]),
        ([1, 2, 1], [1, 2, 1]),
    ],
)
def test_runs_are_merged_before_blanks_are_dropped(path, expected):
    assert decode_path(path) == expected


def test_fully_padded_row_decodes_to_nothing():
    assert decode_path([5, 6, 7], [1, 1, 1]) == []


def test_padded_frames_are_ignored():
    assert decode_path([5, 6, 7, 8], [0, 0, 1, 1]) == [5, 6]


def test_padding_inside_an_utterance_does_not_separate_a_run():
    assert decode_path([5, 6, 5], [0, 1, 0]) == [5]


def test_empty_first_hypothesis_gets_no_token_of_the_next():
    ids, _ = greedy_decode(np.eye(4)[[[0, 0, 0], [3, 0, 2]]], np.zeros((2, 3)))
    assert ids.tolist() == [[0, 0, 0], [3, 2, 0]]


def test_lowest_id_wins_a_tie():
    ids, _ = greedy_decode(np.asarray([[[0.0, 1.0, 1.0]]]), np.zeros((1, 1)))
    assert ids.tolist() == [[1]]


def test_golden_of_the_published_implementation():
    golden = np.load(GOLDENS / "greedy_decode.npz")
    ids, paddings = greedy_decode(golden["logits"], golden["logit_paddings"])
    np.testing.assert_array_equal(ids, golden["decoded"], strict=True)
    np.testing.assert_array_equal(paddings, golden["decoded_paddings"], strict=True)


@given(st.lists(st.integers(0, 9), max_size=30))
def test_any_path_decodes_by_the_definition(path):
    assert decode_path(path) == collapse_by_definition(path)


@given(st.lists(st.integers(0, 9), max_size=15), st.lists(st.integers(0, 9), max_size=15))
def test_padding_behind_an_utterance_changes_nothing(path, padding):
    paddings = [0] * len(path) + [1] * len(padding)
    assert decode_path(path + padding, paddings) == decode_path(path)


def test_token_sequences_cuts_at_the_padding_and_keeps_inner_zeros():
    ids = np.asarray([[4, 0, 2, 9], [9, 9, 9, 9]], np.float32)
    rows = token_sequences(ids, np.asarray([[0, 0, 0, 1], [1, 1, 1, 1]], np.float32))
    assert rows == [[4, 0, 2], []]
    assert all(type(token) is int for token in rows[0])


@pytest.mark.parametrize(
    ("logits_shape", "paddings_shape", "named"),
    [
        ((3, 4), (3, 4), "logits has shape"),
        ((3, 4, 0), (3, 4), "logits has shape"),
        ((3, 4, 5), (3,), "logit_paddings has shape"),
        ((3, 4, 5), (3, 5), "logit_paddings has shape"),
    ],
)
def test_wrong_shapes_name_the_argument(logits_shape, paddings_shape, named):
    with pytest.raises(ValueError, match=named):
        greedy_decode(np.zeros(logits_shape), np.zeros(paddings_shape))


def test_wrong_ids_and_paddings_name_the_argument():
    with pytest.raises(ValueError, match=r"ids has shape \(3,\)"):
        token_sequences([1, 2, 3], [0, 0, 0])
    with pytest.raises(ValueError, match="paddings has shape"):
        token_sequences([[1, 2, 3]], [[0, 0]])
    with pytest.raises(ValueError, match="paddings holds values other than 0 and 1"):
        token_sequences([[1, 2, 3]], [[0, 0.5, 1]])
