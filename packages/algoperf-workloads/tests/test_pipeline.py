"""Batches: deterministic for a seed, reshuffled every epoch, resumable, padded without loss."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from algoperf_core.errors import WorkloadError
from algoperf_workloads import ArraySpec, DatasetDefinition
from algoperf_workloads.columns import Examples
from algoperf_workloads.pipeline import (
    TrainingBatches,
    evaluation_batches,
    pad_batch,
    seed_words,
    training_queue,
)


@pytest.fixture
def splits(dataset, tmp_path):
    return dataset.open(tmp_path).splits


@pytest.fixture
def examples(dataset, splits):
    return dataset.examples(splits, "train")


@pytest.fixture
def columns(splits):
    return splits["train"]


PLAIN = DatasetDefinition(
    name="plain",
    num_train_examples=46,
    num_eval_train_examples=46,
    num_validation_examples=46,
    num_test_examples=None,
    make=lambda raw_dir: {},
    preprocess=lambda columns: {"inputs": columns["x"]},
    arrays={"inputs": ArraySpec((1,), "float64")},
)


def identity(batch):
    return batch


def batches(definition, examples, count, *, seed=(1, 2), batch_size=8, workers=0):
    source = TrainingBatches(definition, examples, batch_size=batch_size, seed=seed)
    queue = training_queue(source, identity, workers=workers)
    return [next(queue) for _ in range(count)]


def same(first, second):
    return all(
        a.keys() == b.keys() and all(np.array_equal(a[key], b[key]) for key in a)
        for a, b in zip(first, second, strict=True)
    )


def test_one_seed_gives_the_same_batches_and_another_gives_others(augmented, examples):
    first = batches(augmented, examples, 10)
    assert same(first, batches(augmented, examples, 10))
    assert not same(first, batches(augmented, examples, 10, seed=(1, 3)))


def test_epoch_shows_every_example_at_most_once_and_drops_the_remainder(dataset, examples, columns):
    images = {image.tobytes() for image in (columns["images"] / np.float32(255))}
    for epoch in (slice(0, 6), slice(6, 12)):
        shown = [
            image.tobytes()
            for batch in batches(dataset, examples, 12)[epoch]
            for image in batch["inputs"]
        ]
        assert len(set(shown)) == len(shown) == 48
        assert set(shown) <= images


def test_epochs_are_shuffled_anew(dataset, examples):
    taken = batches(dataset, examples, 12)
    assert not same(taken[:6], taken[6:])


def test_inputs_and_targets_stay_together(dataset, examples, columns):
    label_of = {
        (image / np.float32(255)).tobytes(): label
        for image, label in zip(columns["images"], columns["labels"], strict=True)
    }
    for batch in batches(dataset, examples, 6):
        for image, label in zip(batch["inputs"], batch["targets"], strict=True):
            assert label_of[image.tobytes()] == label


def test_augmentation_differs_between_batches_and_epochs(augmented, dataset, examples):
    plain, bright = batches(dataset, examples, 12), batches(augmented, examples, 12)
    added = {
        round(float((b["inputs"] - p["inputs"]).mean()), 5)
        for p, b in zip(plain, bright, strict=True)
    }
    assert len(added) == 12


@pytest.mark.parametrize("position", [0, 1, 5, 6, 13])
def test_position_is_json_and_restores_the_next_batch(augmented, examples, position):
    expected = batches(augmented, examples, position + 3)[position:]
    source = TrainingBatches(augmented, examples, batch_size=8, seed=(1, 2))
    queue = training_queue(source, identity)
    for _ in range(position):
        next(queue)
    state = json.loads(json.dumps(queue.get_state()))
    fresh = training_queue(
        TrainingBatches(augmented, examples, batch_size=8, seed=(1, 2)), identity
    )
    fresh.set_state(state)
    assert same([next(fresh) for _ in range(3)], expected)


def test_number_of_batches_ends_the_queue(dataset, examples):
    source = TrainingBatches(dataset, examples, batch_size=8, seed=(1,))
    assert len(list(training_queue(source, identity, num_batches=9))) == 9


def test_batch_larger_than_the_data_is_said(dataset, examples):
    with pytest.raises(WorkloadError, match="batch size is 51, but there are only 50"):
        TrainingBatches(dataset, examples, batch_size=51, seed=(1,))


@settings(max_examples=25)
@given(batch_size=st.integers(1, 60), devices=st.integers(1, 8))
def test_every_example_is_evaluated_once_in_order(batch_size, devices):
    columns = {"x": np.arange(1.0, 47.0)[:, np.newaxis]}
    found = list(
        evaluation_batches(PLAIN, Examples(columns), batch_size=batch_size, multiple_of=devices)
    )
    weights = np.concatenate([batch["weights"] for batch in found])
    inputs = np.concatenate([batch["inputs"] for batch in found])
    assert all(len(batch["weights"]) % devices == 0 for batch in found)
    assert len({len(batch["weights"]) for batch in found}) == 1
    np.testing.assert_array_equal(inputs[weights == 1], columns["x"])
    assert not inputs[weights == 0].any()


def test_padding_adds_weights_even_where_nothing_is_missing():
    padded = pad_batch({"inputs": np.ones((2, 3), np.float32)}, 2)
    np.testing.assert_array_equal(padded["weights"], [1, 1])
    assert padded["weights"].dtype == np.float32


def test_keys_of_both_frameworks_are_seeds():
    jax = pytest.importorskip("jax")
    typed = jax.random.key(5)
    assert seed_words(typed) == tuple(int(word) for word in jax.random.key_data(typed))
    assert seed_words(np.array([3, 4], np.int32)) == (3, 4)
    assert seed_words(7) == (7,)
    assert seed_words(-1) == (2**32 - 1,)
