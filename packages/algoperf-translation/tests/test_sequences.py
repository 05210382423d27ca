import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from algoperf_translation import sequences_until_eos

EOS = 2
content = st.lists(st.sampled_from([0, 1, 3, 4, 500]), max_size=10)


def test_empty_batch_gives_no_sequences():
    assert sequences_until_eos(np.zeros((0, 5), int)) == []


def test_rows_without_length_give_empty_sequences():
    assert sequences_until_eos(np.zeros((2, 0), int)) == [[], []]


def test_end_of_sentence_is_kept_and_what_follows_is_not():
    assert sequences_until_eos([[5, 6, EOS, 7, EOS]]) == [[5, 6, EOS]]


def test_row_that_begins_with_the_end_keeps_only_that():
    assert sequences_until_eos([[EOS, 6, 7]]) == [[EOS]]


def test_row_without_an_end_keeps_only_its_first_id():
    assert sequences_until_eos([[5, 6, 7], [0, 0, 0]]) == [[5], [0]]


def test_other_end_of_sentence_id():
    assert sequences_until_eos([[5, 2, 1, 9]], eos_id=1) == [[5, 2, 1]]


def test_float_ids_become_integers():
    (row,) = sequences_until_eos(np.asarray([[5, 2, 0]], np.float32))
    assert row == [5, 2]
    assert all(type(token) is int for token in row)


@given(content, content)
def test_any_sentence_is_cut_behind_its_first_end(sentence, tail):
    assert sequences_until_eos([[*sentence, EOS, *tail]]) == [[*sentence, EOS]]


@pytest.mark.parametrize("shape", [(), (3,), (2, 3, 4)])
def test_wrong_shape_names_the_argument(shape):
    with pytest.raises(ValueError, match="ids has shape"):
        sequences_until_eos(np.zeros(shape))
