"""The digits: scikit-learn's, split once and for all, shifted only in training."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from algoperf_vision.digits_data import DIGITS, SPLIT_SIZES, make_digits, preprocess, shift, train


@pytest.fixture(scope="module")
def splits(tmp_path_factory):
    return make_digits(tmp_path_factory.mktemp("raw"))


def test_splits_have_the_declared_sizes(splits):
    assert {split: len(columns["labels"]) for split, columns in splits.items()} == SPLIT_SIZES
    assert sum(SPLIT_SIZES.values()) == 1797


def test_splits_together_are_all_digits_each_once(splits):
    digits = load_digits()
    expected = sorted(
        (image.astype(np.uint8).tobytes(), label)
        for image, label in zip(digits.images, digits.target, strict=True)
    )
    found = sorted(
        (image.tobytes(), label)
        for columns in splits.values()
        for image, label in zip(columns["images"], columns["labels"], strict=True)
    )
    assert found == expected


def test_every_split_has_every_digit_about_equally_often(splits):
    for columns in splits.values():
        shares = np.bincount(columns["labels"], minlength=10) / len(columns["labels"])
        assert shares.min() > 0.06
        assert shares.max() < 0.14


def test_the_data_are_those_the_workload_is_defined_on(tmp_path):
    assert DIGITS.open(tmp_path).content_hash == DIGITS.content_hash


def test_images_are_scaled_to_the_unit_interval(splits):
    batch = preprocess(splits["train"])
    assert batch["inputs"].dtype == np.float32
    assert batch["inputs"].min() == 0
    assert batch["inputs"].max() == 1
    assert batch["inputs"].shape == (SPLIT_SIZES["train"], 8, 8, 1)
    assert batch["targets"].dtype == np.int32


def shifted(image, rows, columns):
    """The image moved down by `rows` and right by `columns`, as the definition reads."""
    result = np.zeros_like(image)
    for row in range(image.shape[0]):
        for column in range(image.shape[1]):
            if 0 <= row - rows < image.shape[0] and 0 <= column - columns < image.shape[1]:
                result[row, column] = image[row - rows, column - columns]
    return result


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_every_image_moves_by_at_most_a_pixel(seed):
    images = np.random.default_rng(seed).random((6, 5, 7, 2)).astype(np.float32)
    moved = shift(images, np.random.default_rng(seed))
    for before, after in zip(images, moved, strict=True):
        candidates = [shifted(before, row, column) for row in (-1, 0, 1) for column in (-1, 0, 1)]
        assert any(np.array_equal(after, candidate) for candidate in candidates)


def test_all_nine_shifts_occur_equally_often():
    image = np.zeros((9000, 3, 3, 1), np.float32)
    image[:, 1, 1] = 1
    moved = shift(image, np.random.default_rng(0))
    assert np.abs(moved.mean(0) - 1 / 9).max() < 0.02


def test_a_shift_leaves_its_input_alone_and_follows_its_generator(splits):
    images = preprocess(splits["test"])["inputs"]
    before = images.copy()
    first, again, other = (shift(images, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(images, before)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first.dtype == np.float32


def test_training_shifts_what_evaluation_sees(splits):
    batch = train(splits["test"], np.random.default_rng(4))
    plain = preprocess(splits["test"])
    np.testing.assert_array_equal(batch["targets"], plain["targets"])
    expected = shift(plain["inputs"], np.random.default_rng(4))
    np.testing.assert_array_equal(batch["inputs"], expected)
