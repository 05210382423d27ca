"""Bicubic resizing: equal to the published one, and to the definition read literally."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from algoperf_vision.resize import cubic_kernel, cubic_weights, resize_bicubic

GOLDENS = np.load(Path(__file__).parent / "goldens" / "imagenet_randaugment.npz")


def literal_matrix(in_size, out_size):
    matrix = np.zeros((out_size, in_size))
    for row, (positions, weights) in enumerate(zip(*cubic_weights(in_size, out_size), strict=True)):
        for position, weight in zip(positions, weights, strict=True):
            matrix[row, position] += weight
    return matrix


@pytest.mark.parametrize("size", [20, 45])
def test_resizing_equals_the_published_one(size):
    resized = resize_bicubic(GOLDENS["image_smooth"], (size, size))
    expected = GOLDENS[f"resize_bicubic_{size}"]
    assert resized.dtype == np.float32
    np.testing.assert_allclose(resized, expected, rtol=0, atol=2e-4)


@given(
    height=st.integers(1, 60),
    width=st.integers(1, 60),
    out_height=st.integers(1, 50),
    out_width=st.integers(1, 50),
    mirror=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_blocks_equal_the_whole_matrices(height, width, out_height, out_width, mirror):
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    scale = np.array((1.0, 0.5, -2.0))
    expected = np.einsum(
        "ij,jkc,lk->ilc",
        literal_matrix(height, out_height),
        image.astype(np.float64),
        literal_matrix(width, out_width),
    )
    expected = (expected[:, ::-1] if mirror else expected) * scale
    resized = resize_bicubic(image, (out_height, out_width), scale=scale, mirror=mirror)
    np.testing.assert_allclose(resized, expected, rtol=0, atol=3e-3)


@pytest.mark.parametrize(("in_size", "out_size"), [(1, 5), (3, 224), (500, 224), (224, 224)])
def test_weights_sum_to_one_and_stay_inside(in_size, out_size):
    positions, weights = cubic_weights(in_size, out_size)
    assert positions.shape == weights.shape == (out_size, 4)
    assert positions.min() >= 0
    assert positions.max() < in_size
    np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-6)


def test_the_kernel_is_keys_with_a_of_one_half():
    # Keys (1981): interpolating, zero from 2 on, and -1/16 half-way between the first and second neighbours.
    np.testing.assert_array_equal(
        cubic_kernel(np.array([0.0, 1.0, 2.0, 5.0, -1.0])), [1, 0, 0, 0, 0]
    )
    np.testing.assert_allclose(cubic_kernel(np.array([0.5, 1.5, -1.5])), [9 / 16, -1 / 16, -1 / 16])


def test_a_size_that_stays_leaves_the_image():
    image = GOLDENS["image"]
    np.testing.assert_allclose(resize_bicubic(image, image.shape[:2]), image, atol=1e-4)


def test_a_uniform_image_stays_uniform():
    image = np.full((37, 53, 3), 200, np.uint8)
    np.testing.assert_allclose(resize_bicubic(image, (224, 64)), 200, atol=1e-3)


def test_values_may_leave_the_range_of_the_input():
    image = np.zeros((8, 8, 3), np.uint8)
    image[:, 4:] = 255
    resized = resize_bicubic(image, (32, 32))
    assert resized.min() < -5
    assert resized.max() > 260


def test_the_result_is_written_where_it_is_asked_for():
    out = np.empty((10, 12, 3), np.float32)
    result = resize_bicubic(GOLDENS["image"], (10, 12), out=out)
    assert result is out
    np.testing.assert_array_equal(out, resize_bicubic(GOLDENS["image"], (10, 12)))
