"""Mixup: one weight per batch, images and labels mixed alike."""

import numpy as np

from algoperf_vision.mixup import mixup, one_hot


def test_inputs_and_targets_are_mixed_with_the_example_before_by_one_weight():
    inputs = np.random.default_rng(0).random((4, 3, 3, 2)).astype(np.float32)
    targets = one_hot(np.array([2, 0, 1, 1]), 3)
    mixed, labels = mixup(inputs, targets, 0.2, np.random.default_rng(1))
    weight = np.random.default_rng(1).beta(0.2, 0.2)
    np.testing.assert_allclose(
        mixed, weight * inputs + (1 - weight) * np.roll(inputs, 1, 0), rtol=1e-5
    )
    np.testing.assert_allclose(
        labels, weight * targets + (1 - weight) * np.roll(targets, 1, 0), rtol=1e-5, atol=1e-7
    )
    np.testing.assert_allclose(labels.sum(1), 1, rtol=1e-6)
    assert mixed.dtype == labels.dtype == np.float32


def test_mixing_leaves_its_input_alone():
    inputs, targets = np.ones((3, 2), np.float32), one_hot(np.arange(3), 3)
    mixup(inputs, targets, 0.2, np.random.default_rng(0))
    np.testing.assert_array_equal(inputs, np.ones((3, 2)))
    np.testing.assert_array_equal(targets, np.eye(3))


def test_a_single_example_is_mixed_with_itself():
    inputs = np.arange(4, dtype=np.float32)[np.newaxis]
    mixed, _ = mixup(inputs, one_hot(np.array([0]), 2), 0.2, np.random.default_rng(0))
    np.testing.assert_allclose(mixed, inputs, rtol=1e-6)


def test_small_alpha_gives_weights_near_the_ends():
    generator = np.random.default_rng(0)
    weights = [
        mixup(np.zeros((1, 1), np.float32), np.eye(2, dtype=np.float32), 0.2, generator)[1][0, 0]
        for _ in range(400)
    ]
    assert np.mean([min(weight, 1 - weight) < 0.1 for weight in weights]) > 0.6
    assert abs(np.mean(weights) - 0.5) < 0.08
