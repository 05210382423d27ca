import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from algoperf_gnn import masked_sigmoid_cross_entropy

GOLDEN = np.load(Path(__file__).parent / "goldens" / "loss.npz")


def loss_of(logit, target, weight=1):
    """Compute the loss of a single entry."""
    return masked_sigmoid_cross_entropy([[logit]], [[target]], [[weight]]).item()


def test_empty_batch_has_no_losses():
    nothing = np.zeros((0, 128))
    assert masked_sigmoid_cross_entropy(nothing, nothing, nothing).shape == (0, 128)


def test_all_masked_batch_has_losses_of_zero():
    losses = masked_sigmoid_cross_entropy(np.ones((2, 3)), np.ones((2, 3)), np.zeros((2, 3)))
    np.testing.assert_array_equal(losses, np.zeros((2, 3)))


@pytest.mark.parametrize("unlabelled", [math.nan, math.inf, -1.0])
def test_entry_without_a_label_costs_nothing_whatever_it_holds(unlabelled):
    assert loss_of(3.0, unlabelled, weight=0) == 0
    assert loss_of(unlabelled, 1, weight=0) == 0


@pytest.mark.parametrize(
    ("logit", "target", "expected"),
    [
        (0.0, 0, math.log(2)),
        (0.0, 1, math.log(2)),
        (1000.0, 0, 1000.0),
        (-1000.0, 1, 1000.0),
        (1000.0, 1, 0.0),
        (40.0, 1, math.exp(-40)),
        (math.inf, 1, 0.0),
        (math.inf, 0, math.inf),
    ],
)
def test_extreme_logits_neither_overflow_nor_lose_digits(logit, target, expected):
    assert loss_of(logit, target) == pytest.approx(expected, rel=1e-15, abs=0)


@given(st.floats(-30, 30), st.sampled_from([0, 1]))
def test_loss_is_the_negative_log_likelihood(logit, target):
    probability = 1 / (1 + math.exp(-logit if target else logit))
    assert loss_of(logit, target) == pytest.approx(-math.log(probability), abs=1e-12)


def test_golden_losses_of_the_published_implementation():
    arguments = (GOLDEN[name] for name in ("eval_logits", "targets", "weights"))
    losses = masked_sigmoid_cross_entropy(*arguments)
    np.testing.assert_allclose(losses, GOLDEN["loss_per_example"], rtol=1e-5, atol=1e-7)
    assert losses.sum() == pytest.approx(GOLDEN["loss_summed"].item(), rel=1e-6)


@pytest.mark.parametrize(
    ("logits", "targets", "weights", "named"),
    [
        ((4,), (4,), (4,), r"logits has shape \(4,\), expected \(graphs, tasks\)"),
        ((4, 2), (4,), (4, 2), r"targets has shape \(4,\), expected that of logits, \(4, 2\)"),
        ((4, 2), (4, 2), (4, 1), r"weights has shape \(4, 1\)"),
    ],
)
def test_wrong_shapes_name_the_argument(logits, targets, weights, named):
    with pytest.raises(ValueError, match=named):
        masked_sigmoid_cross_entropy(np.zeros(logits), np.zeros(targets), np.ones(weights))


def test_wrong_values_name_the_argument():
    with pytest.raises(ValueError, match="targets holds values other than 0 and 1"):
        loss_of(0.0, math.nan)
    with pytest.raises(ValueError, match="weights holds values other than 0 and 1"):
        loss_of(0.0, 1, weight=0.5)
