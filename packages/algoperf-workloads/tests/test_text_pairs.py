"""Pairs of texts that metrics count on: checked, and without padding."""

import numpy as np
import pytest

from algoperf_workloads.text_pairs import text_pairs


def test_pairs_keep_their_order():
    assert text_pairs(["a", "b"], ["c", "d"], None) == [("a", "c"), ("b", "d")]


def test_batch_without_texts_has_no_pairs():
    assert text_pairs([], [], None) == []


@pytest.mark.parametrize("weights", [[1, 0, 1], [1.0, 0.0, 1.0], np.array([True, False, True])])
def test_rows_of_weight_zero_are_left_out(weights):
    assert text_pairs(["a", "b", "c"], ["x", "y", "z"], weights) == [("a", "x"), ("c", "z")]


@pytest.mark.parametrize(
    ("hypotheses", "references", "weights", "error", "said"),
    [
        ("ab", ["c", "d"], None, TypeError, "hypotheses is one string"),
        (["a"], "c", None, TypeError, "references is one string"),
        (["a", 3], ["b", "c"], None, TypeError, r"hypotheses\[1\] is int"),
        (["a"], [b"b"], None, TypeError, r"references\[0\] is bytes"),
        (["a"], ["b", "c"], None, ValueError, "hypotheses has 1 texts but references has 2"),
        (["a"], ["b"], [1, 1], ValueError, r"weights has shape \(2,\), expected \(1,\)"),
        (["a"], ["b"], [0.5], ValueError, "other than 0 and 1"),
    ],
)
def test_wrong_input_is_named(hypotheses, references, weights, error, said):
    with pytest.raises(error, match=said):
        text_pairs(hypotheses, references, weights)
