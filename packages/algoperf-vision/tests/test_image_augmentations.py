"""Augmentation of batches of small images."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from algoperf_vision.image_augmentations import (
    CIFAR_MEAN,
    CIFAR_PADDING,
    CIFAR_STANDARD_DEVIATION,
    normalise,
    pad_crop_flip,
)


def candidates(image, padding):
    """All that augmentation may make of an image, as the definition reads."""
    height, width, _ = image.shape
    padded = np.pad(image, ((padding, padding), (padding, padding), (0, 0)))
    for top in range(2 * padding + 1):
        for left in range(2 * padding + 1):
            cut = padded[top : top + height, left : left + width]
            yield from (cut, cut[:, ::-1])


@given(seed=st.integers(0, 2**32 - 1), padding=st.integers(0, 3))
@settings(max_examples=20, deadline=None)
def test_every_image_is_shifted_and_perhaps_mirrored(seed, padding):
    generator = np.random.default_rng(seed)
    images = generator.integers(1, 256, (5, 6, 7, 3), np.uint8)
    changed = pad_crop_flip(images, padding, generator)
    assert changed.shape == images.shape
    assert changed.dtype == images.dtype
    for before, after in zip(images, changed, strict=True):
        assert any(np.array_equal(after, one) for one in candidates(before, padding))


def test_all_outcomes_are_equally_likely():
    image = np.random.default_rng(0).integers(1, 256, (4, 4, 1), np.uint8)
    images = np.broadcast_to(image, (20_000, 4, 4, 1))
    changed = pad_crop_flip(images, 1, np.random.default_rng(1))
    outcomes, counts = np.unique(changed.reshape(20_000, -1), axis=0, return_counts=True)
    assert len(outcomes) == 18
    assert np.abs(counts / 20_000 - 1 / 18).max() < 0.01


def test_augmentation_follows_its_generator_and_leaves_its_input():
    images = np.random.default_rng(0).random((8, 32, 32, 3))
    before = images.copy()
    first, again, other = (
        pad_crop_flip(images, CIFAR_PADDING, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(images, before)
    assert not np.array_equal(first, other)


def test_normalising_is_by_channel():
    images = np.random.default_rng(0).integers(0, 256, (3, 5, 6, 3), np.uint8)
    mean, deviation = np.array(CIFAR_MEAN) * 255, np.array(CIFAR_STANDARD_DEVIATION) * 255
    result = normalise(images, mean, deviation)
    np.testing.assert_allclose(result, (images - mean) / deviation, rtol=1e-5, atol=1e-6)
    assert result.dtype == np.float32
    assert result.shape == images.shape


def test_nothing_becomes_nothing():
    empty = np.zeros((0, 32, 32, 3), np.uint8)
    assert pad_crop_flip(empty, 2, np.random.default_rng(0)).shape == empty.shape
    assert normalise(empty, CIFAR_MEAN, CIFAR_STANDARD_DEVIATION).shape == empty.shape
