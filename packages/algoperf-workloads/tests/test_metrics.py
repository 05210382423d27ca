"""Metrics as sums: exact under padding and any split into batches."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from algoperf_workloads import CLASSIFICATION, Metrics
from algoperf_workloads.metrics import add_compensated, classification_sums, zero_totals


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
    assert CLASSIFICATION.compute({"accuracy": 3.0, "loss": 6.0}, 4) == {
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


def ones(count):
    return np.full(1, count, np.float32)


def test_counts_far_above_single_precision_stay_exact():
    totals = zero_totals(["examples"])
    for _ in range(3000):
        totals = np.stack(add_compensated(totals, ones(2**24 - 1)))
    metrics = Metrics(names=("examples",), sums=classification_sums)
    assert metrics.total(totals) == {"examples": 3000.0 * (2**24 - 1)}


def test_counts_stay_exact_when_compiled():
    jax = pytest.importorskip("jax")
    add = jax.jit(lambda totals, added: jax.numpy.stack(add_compensated(totals, added)))
    totals = zero_totals(["examples"])
    for _ in range(3):
        totals = add(totals, ones(2**24 - 1))
        for _ in range(5):
            totals = add(totals, ones(1))
    assert float(np.asarray(totals, np.float64).sum()) == 3 * (2**24 + 4)


def test_a_metric_may_be_divided_by_another_sum():
    metrics = Metrics(names=("loss",), sums=classification_sums, divisors={"loss": "tokens"})
    assert metrics.sum_names == ("loss", "tokens")
    assert metrics.compute({"loss": 6.0, "tokens": 12.0}, 3) == {"loss": 0.5}
    assert np.isnan(metrics.compute({"loss": 0.0, "tokens": 0.0}, 3)["loss"])


class Ranked:
    """The share of examples with positive target that score highest: no sum over batches."""

    def __init__(self, scores=(), targets=()):
        self.scores, self.targets = scores, targets

    @classmethod
    def from_batch(cls, scores, targets, weights):
        kept = weights > 0
        return cls(tuple(scores[kept]), tuple(targets[kept]))

    def merge(self, other):
        return Ranked(self.scores + other.scores, self.targets + other.targets)

    def compute(self):
        return {"top": float(self.targets[int(np.argmax(self.scores))])}


def test_what_is_no_sum_is_accumulated_from_what_was_collected():
    metrics = Metrics(
        names=("top", "loss"),
        sums=classification_sums,
        accumulate=Ranked.from_batch,
        accumulated=("top",),
    )
    parts = [
        {
            "scores": np.array([1.0, 9.0]),
            "targets": np.array([0, 7]),
            "weights": np.array([1.0, 0.0]),
        },
        {
            "scores": np.array([2.0, 0.0]),
            "targets": np.array([3, 0]),
            "weights": np.array([1.0, 1.0]),
        },
    ]
    assert metrics.sum_names == ("loss",)
    assert metrics.compute({"loss": 6.0}, 3, parts) == {"top": 3.0, "loss": 2.0}
