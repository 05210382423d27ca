"""Metrics as sums: exact under padding and any split into batches."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from algoperf_workloads import CLASSIFICATION
from algoperf_workloads.metrics import classification_sums


def sums(logits, targets, weights, losses):
    batch = {"targets": targets, "weights": weights}
    return classification_sums(logits, batch, {"summed": (losses * weights).sum()})


def test_right_predictions_are_counted_by_weight():
    logits = np.array([[2.0, 1.0], [0.0, 1.0], [3.0, 1.0]])
    found = sums(logits, np.array([0, 1, 1]), np.array([1.0, 1.0, 1.0]), np.array([0.1, 0.2, 0.3]))
    assert found["accuracy"] == 2
    assert found["loss"] == pytest.approx(0.6)


def test_padding_adds_nothing():
    logits = np.array([[2.0, 1.0], [9.0, 0.0]])
    found = sums(logits, np.array([0, 0]), np.array([1.0, 0.0]), np.array([0.5, 99.0]))
    assert found == {"accuracy": 1.0, "loss": 0.5}


def test_dense_targets_are_compared_by_their_largest_entry():
    dense = np.array([[0.9, 0.1], [0.2, 0.8]])
    logits = np.array([[1.0, 0.0], [1.0, 0.0]])
    assert sums(logits, dense, np.ones(2), np.zeros(2))["accuracy"] == 1


def test_means_divide_by_the_number_of_examples():
    assert CLASSIFICATION.means({"accuracy": 3.0, "loss": 6.0}, 4) == {
        "accuracy": 0.75,
        "loss": 1.5,
    }


@given(st.integers(0, 1000), st.integers(1, 12), st.integers(1, 12))
def test_sums_do_not_depend_on_how_examples_are_batched(seed, examples, batch_size):
    rng = np.random.default_rng(seed)
    logits, targets = rng.normal(size=(examples, 3)), rng.integers(0, 3, examples)
    losses = rng.random(examples)
    whole = sums(logits, targets, np.ones(examples), losses)
    parts = [
        sums(
            *(
                array[start : start + batch_size]
                for array in (logits, targets, np.ones(examples), losses)
            )
        )
        for start in range(0, examples, batch_size)
    ]
    for name, value in whole.items():
        assert sum(part[name] for part in parts) == pytest.approx(value)
