import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from algoperf_recommendation import ClickLoss, sigmoid_cross_entropy

GOLDENS = Path(__file__).parent / "goldens"

logits = st.floats(-100, 100)
labels = st.sampled_from([0, 1])
weights = st.sampled_from([0.0, 0.5, 1.0, 1.0])
batches = st.lists(st.tuples(logits, labels, weights), max_size=12)


def loss_of(batch):
    """Sum up a list of `(logit, target, weight)`."""
    return ClickLoss.from_batch(*np.asarray(batch, float).reshape(-1, 3).T)


def assert_same(one, other):
    assert one.loss_sum == pytest.approx(other.loss_sum, rel=1e-12, abs=1e-12)
    assert one.weight_sum == other.weight_sum


@pytest.fixture(params=["criteo1tb", "criteo1tb_layernorm"])
def golden(request):
    return np.load(GOLDENS / f"{request.param}.npz")


def test_empty_batch_adds_nothing():
    assert ClickLoss.from_batch([], []) == ClickLoss()
    assert ClickLoss.from_batch(np.zeros((0, 1)), np.zeros(0), np.zeros((0, 1))) == ClickLoss()


def test_loss_of_nothing_is_nan():
    assert math.isnan(ClickLoss().compute()["loss"])


def test_all_masked_batch_adds_nothing():
    assert ClickLoss.from_batch([3.0, -1.0], [0, 1], [0, 0]) == ClickLoss()


@pytest.mark.parametrize("padding", [math.nan, math.inf, -1.0])
def test_what_a_masked_row_holds_does_not_matter(padding):
    assert ClickLoss.from_batch([0.0, padding], [1, padding], [1, 0]).compute() == {
        "loss": math.log(2)
    }


@pytest.mark.parametrize(
    ("logit", "target", "expected"),
    [
        (0.0, 0, math.log(2)),
        (0.0, 1, math.log(2)),
        (1000.0, 0, 1000.0),
        (-1000.0, 1, 1000.0),
        (1000.0, 1, 0.0),
        (40.0, 1, math.exp(-40)),
        (-math.inf, 0, 0.0),
        (-math.inf, 1, math.inf),
    ],
)
def test_extreme_logits_neither_overflow_nor_lose_digits(logit, target, expected):
    (loss,) = sigmoid_cross_entropy([logit], [target])
    assert loss == pytest.approx(expected, rel=1e-15, abs=0)


def test_diverged_model_has_a_loss_of_nan():
    assert math.isnan(ClickLoss.from_batch([math.nan, 0.0], [1, 0]).compute()["loss"])


def test_golden_losses_of_the_published_implementation(golden):
    losses = sigmoid_cross_entropy(golden["eval_logits"], golden["targets"])
    np.testing.assert_allclose(losses, golden["loss_nomask_per_example"], rtol=1e-6)
    masked = losses * golden["weights"].reshape(-1)
    np.testing.assert_allclose(masked, golden["loss_per_example"], rtol=1e-6)


def test_golden_sums_of_the_published_implementation(golden):
    arguments = [golden[name] for name in ("eval_logits", "targets", "weights")]
    total = ClickLoss.from_batch(*arguments)
    assert total.loss_sum == pytest.approx(golden["loss_summed"].item(), rel=1e-6)
    assert total.weight_sum == golden["loss_n_valid_examples"]


def test_golden_sums_without_weights(golden):
    total = ClickLoss.from_batch(golden["eval_logits"], golden["targets"])
    assert total.loss_sum == pytest.approx(golden["loss_nomask_summed"].item(), rel=1e-6)
    assert total.weight_sum == golden["loss_nomask_n_valid_examples"]


def test_trailing_axis_of_one_changes_nothing():
    x, y, w = np.asarray([1.0, -2.0]), np.asarray([1, 0]), np.asarray([1.0, 0.5])
    expected = ClickLoss.from_batch(x, y, w)
    assert ClickLoss.from_batch(x[:, None], y[:, None], w[:, None]) == expected
    assert ClickLoss.from_batch(x[:, None], y, w) == expected


def test_float32_logits_are_summed_in_float64():
    many = ClickLoss.from_batch(np.zeros(1_000_003, np.float32), np.zeros(1_000_003, np.float32))
    assert many.compute()["loss"] == pytest.approx(math.log(2), rel=1e-13)


def test_mean_is_of_sums_and_not_of_batch_means():
    large = ClickLoss.from_batch([0.0] * 3, [0] * 3)
    small = ClickLoss.from_batch([1000.0], [0])
    expected = (3 * math.log(2) + 1000) / 4
    assert large.merge(small).compute()["loss"] == pytest.approx(expected)


@given(logits, labels)
def test_loss_is_the_negative_log_likelihood(logit, target):
    expected = float(np.logaddexp(0, -logit if target else logit))
    assert sigmoid_cross_entropy([logit], [target])[0] == pytest.approx(expected, rel=1e-12)


@given(batches, st.data())
def test_any_division_into_batches_gives_the_same_sums(batch, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(batch)), max_size=4)))
    total = ClickLoss()
    for start, stop in itertools.pairwise([0, *cuts, len(batch)]):
        total = total.merge(loss_of(batch[start:stop]))
    assert_same(total, loss_of(batch))


@given(batches, batches)
def test_merging_commutes(one, other):
    assert loss_of(one).merge(loss_of(other)) == loss_of(other).merge(loss_of(one))


@given(batches, batches)
def test_rows_of_weight_zero_add_nothing(real, padding):
    padded = real + [(logit, label, 0.0) for logit, label, _ in padding]
    assert_same(loss_of(padded), loss_of(real))


@given(batches)
def test_weights_scale_each_loss(batch):
    total = loss_of(batch)
    expected = sum(w * sigmoid_cross_entropy([x], [y])[0] for x, y, w in batch)
    assert total.loss_sum == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((np.zeros((2, 2)), np.zeros(2)), r"logits has shape \(2, 2\), expected \(batch,\) or"),
        ((np.zeros(()), np.zeros(1)), r"logits has shape \(\)"),
        ((np.zeros(2), np.zeros((1, 2))), r"targets has shape \(1, 2\)"),
        ((np.zeros(2), np.zeros(3)), "targets has 3 examples but logits has 2"),
        ((np.zeros(2), np.zeros(2), np.ones(1)), "weights has 1 examples but logits has 2"),
        ((np.zeros(2), np.zeros(2), np.ones((2, 2))), r"weights has shape \(2, 2\)"),
        ((np.zeros(2), np.full(2, 0.5)), "targets holds values other than 0 and 1"),
        ((np.zeros(1), [math.nan]), "targets holds values other than 0 and 1"),
        ((np.zeros(1), [1], [-1.0]), "weights holds values that are negative"),
        ((np.zeros(1), [1], [math.inf]), "weights holds values that are negative or not finite"),
    ],
)
def test_wrong_arguments_are_named(arguments, named):
    with pytest.raises(ValueError, match=named):
        ClickLoss.from_batch(*arguments)
