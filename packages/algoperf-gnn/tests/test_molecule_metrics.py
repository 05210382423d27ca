import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from algoperf_gnn import MoleculeMetrics, average_precision_by_task

GOLDENS = Path(__file__).parent / "goldens"
ARRAYS = np.load(GOLDENS / "metrics.npz")
BATCH = tuple(ARRAYS[name] for name in ("logits", "targets", "weights"))
RECORD = json.loads((GOLDENS / "metrics.json").read_text())

TASKS = 3
logits = st.floats(-100, 100, width=32) | st.sampled_from([0.0, 1.0])


@st.composite
def batches(draw, max_graphs=8):
    """Draw logits, targets and weights of up to `max_graphs` graphs."""
    shape = (draw(st.integers(0, max_graphs)), TASKS)
    targets = draw(hnp.arrays(np.float32, shape, elements=st.sampled_from([0, 1, math.nan])))
    kept = draw(hnp.arrays(bool, shape))
    return draw(hnp.arrays(np.float32, shape, elements=logits)), targets, kept & ~np.isnan(targets)


def metrics_of(*batch):
    return MoleculeMetrics.from_batch(*batch).compute()


def assert_same(one, other):
    """Compare metrics: rankings and counts exactly, the loss up to rounding."""
    one, other = one.compute(), other.compute()
    assert one.pop("loss") == pytest.approx(other.pop("loss"), rel=1e-12, nan_ok=True)
    np.testing.assert_equal(one, other)


def assert_undefined(metrics):
    assert metrics.keys() == metrics_of(*BATCH).keys()
    assert all(math.isnan(value) for value in metrics.values())


def test_nothing_seen_gives_nan():
    assert_undefined(MoleculeMetrics().compute())


def test_empty_batch_gives_nan():
    assert_undefined(metrics_of(*[np.zeros((0, 128))] * 3))


def test_all_masked_batch_gives_nan():
    assert_undefined(metrics_of(np.ones((4, 128)), np.ones((4, 128)), np.zeros((4, 128))))


def test_golden_metrics_of_the_published_implementation():
    metrics = metrics_of(*BATCH)
    expected = RECORD["expected"]
    assert metrics["accuracy"] == pytest.approx(expected["accuracy"], rel=1e-6)
    assert metrics["loss"] == pytest.approx(expected["loss"], rel=1e-6)
    assert metrics["mean_average_precision"] == pytest.approx(
        expected["mean_average_precision"], rel=1e-14
    )
    assert metrics["mean_average_precision_ogb"] == pytest.approx(
        RECORD["official_ogb_rule_mean_for_comparison"], rel=1e-14
    )


def test_golden_average_precision_of_each_task():
    (kept,) = MoleculeMetrics.from_batch(*BATCH).scored
    precisions = average_precision_by_task(kept.scores, kept.positive, kept.labelled)
    np.testing.assert_allclose(precisions, ARRAYS["per_task_ap"], rtol=1e-14)


def test_golden_of_two_batches_and_raw_labels_with_nan():
    sizes = RECORD["batches_real_pad"]
    real = np.concatenate([[True] * rows + [False] * padding for rows, padding in sizes])
    labels = np.full(BATCH[1].shape, np.nan)
    labels[real] = ARRAYS["raw_labels"]
    first = sum(sizes[0])
    parts = [
        (BATCH[0][rows], labels[rows], ~np.isnan(labels[rows]))
        for rows in (slice(first), slice(first, None))
    ]
    merged = MoleculeMetrics.from_batch(*parts[0]).merge(MoleculeMetrics.from_batch(*parts[1]))
    assert_same(merged, MoleculeMetrics.from_batch(*BATCH))


def test_task_without_a_positive_is_left_out():
    metrics = metrics_of([[1.0, 1.0], [2.0, 2.0]], [[1, 0], [0, 0]], np.ones((2, 2)))
    assert metrics["mean_average_precision"] == 0.5
    assert metrics["mean_average_precision_ogb"] == 0.5


def test_task_without_a_negative_counts_in_the_published_mean_only():
    metrics = metrics_of([[1.0, 1.0], [2.0, 2.0]], [[1, 1], [0, 1]], np.ones((2, 2)))
    assert metrics["mean_average_precision"] == 0.75
    assert metrics["mean_average_precision_ogb"] == 0.5


def test_no_task_with_labels_of_both_kinds_leaves_the_official_mean_undefined():
    metrics = metrics_of([[1.0]], [[1]], [[1]])
    assert metrics["mean_average_precision"] == 1
    assert math.isnan(metrics["mean_average_precision_ogb"])


def test_large_logits_tie_as_float32_probabilities():
    metrics = metrics_of([[30.0], [40.0]], [[0], [1]], [[1], [1]])
    assert metrics["mean_average_precision"] == 0.5


def test_logit_of_zero_predicts_no():
    assert metrics_of([[0.0, 0.0]], [[0, 1]], [[1, 1]])["accuracy"] == 0.5


def test_diverged_model_has_no_mean_average_precision():
    metrics = metrics_of([[math.nan], [1.0], [2.0]], [[1], [1], [0]], [[1], [1], [1]])
    assert math.isnan(metrics["mean_average_precision"])
    assert math.isnan(metrics["loss"])


def test_what_an_unlabelled_entry_holds_does_not_matter():
    metrics = metrics_of([[1.0], [math.nan], [-math.inf]], [[1], [math.nan], [7]], [[1], [0], [0]])
    assert metrics["accuracy"] == metrics["mean_average_precision"] == 1


@given(batches(), st.data())
def test_any_division_into_batches_gives_the_same_metrics(batch, data):
    graphs = len(batch[0])
    cuts = sorted(data.draw(st.lists(st.integers(0, graphs), max_size=4)))
    total = MoleculeMetrics()
    for start, stop in itertools.pairwise([0, *cuts, graphs]):
        part = MoleculeMetrics.from_batch(*(array[start:stop] for array in batch))
        total = total.merge(part)
    assert_same(total, MoleculeMetrics.from_batch(*batch))


@given(batches(), batches())
def test_merging_commutes(one, other):
    one, other = MoleculeMetrics.from_batch(*one), MoleculeMetrics.from_batch(*other)
    assert_same(one.merge(other), other.merge(one))


@given(batches(), st.integers(0, 5))
def test_padding_changes_nothing(batch, padding):
    padded = (np.concatenate([array, np.zeros((padding, TASKS))]) for array in batch)
    assert_same(MoleculeMetrics.from_batch(*padded), MoleculeMetrics.from_batch(*batch))


@pytest.mark.parametrize("name", ["logits", "targets", "weights"])
def test_wrong_shapes_name_the_argument(name):
    arrays = {key: np.ones((4, 2)) for key in ("logits", "targets", "weights")}
    with pytest.raises(ValueError, match=f"{name} has shape"):
        MoleculeMetrics.from_batch(**(arrays | {name: np.ones(4)}))


def test_different_numbers_of_tasks_do_not_merge():
    one, other = (MoleculeMetrics.from_batch(*[np.ones((1, n))] * 3) for n in (2, 3))
    with pytest.raises(ValueError, match=r"number of tasks: found \[2, 3\]"):
        one.merge(other)
