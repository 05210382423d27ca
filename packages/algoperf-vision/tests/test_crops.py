"""Crops: within the image and the rules, distributed as published."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from algoperf_vision.crops import (
    PUBLISHED_CROPS,
    Crop,
    CropRules,
    centre_crop,
    crop_draws,
    random_crop,
)


def crops(height, width, count, rules=PUBLISHED_CROPS):
    draws = crop_draws(count, np.random.default_rng(3))
    return [random_crop(height, width, one, rules) for one in draws]


@given(height=st.integers(1, 700), width=st.integers(1, 700), seed=st.integers(0, 1000))
@settings(max_examples=200, deadline=None)
def test_a_crop_lies_in_the_image_and_keeps_the_rules(height, width, seed):
    rules = CropRules()
    crop = random_crop(height, width, crop_draws(1, np.random.default_rng(seed))[0], rules)
    if crop is None:
        return
    assert crop.top >= 0
    assert crop.left >= 0
    assert crop.top + crop.height <= height
    assert crop.left + crop.width <= width
    assert rules.min_covered <= crop.height * crop.width / (height * width) <= 1
    # The width is rounded to a whole pixel.
    assert (crop.width - 0.5) / crop.height <= 4 / 3 + 1e-9
    assert (crop.width + 0.5) / crop.height >= 3 / 4 - 1e-9


def test_the_aspect_ratio_is_uniform_where_every_attempt_succeeds():
    rules = CropRules(area=(0.1, 0.12))
    found = crops(1000, 1000, 4000, rules)
    aspects = np.array([crop.width / crop.height for crop in found])
    quarters = np.histogram(aspects, np.linspace(3 / 4, 4 / 3, 5))[0] / len(aspects)
    # Uniform, not log-uniform: that would put 0.30 into the first quarter.
    np.testing.assert_allclose(quarters, 0.25, atol=0.025)


def test_the_height_is_uniform_between_the_areas():
    rules = CropRules(area=(0.16, 0.64), aspect=(1.0, 1.0))
    heights = np.array([crop.height for crop in crops(1000, 1000, 4000, rules)])
    assert heights.min() >= 400
    assert heights.max() <= 800
    np.testing.assert_allclose(
        np.histogram(heights, [400, 500, 600, 700, 801])[0] / 4000, 0.25, atol=0.025
    )


def test_the_place_is_uniform():
    rules = CropRules(area=(0.24, 0.26), aspect=(1.0, 1.0))
    found = crops(400, 600, 4000, rules)
    tops = np.array([crop.top / (400 - crop.height) for crop in found])
    lefts = np.array([crop.left / (600 - crop.width) for crop in found])
    for places in (tops, lefts):
        assert places.max() < 1
        np.testing.assert_allclose(np.histogram(places, 4, (0, 1))[0] / 4000, 0.25, atol=0.025)


def test_no_crop_covers_less_than_a_tenth():
    shares = [crop.height * crop.width / 250_000 for crop in crops(500, 500, 3000) if crop]
    assert min(shares) >= 0.1
    assert min(shares) < 0.13


def test_an_image_too_narrow_for_any_aspect_has_no_crop():
    assert crops(10, 600, 50) == [None] * 50


def test_a_crop_of_the_whole_image_is_none():
    assert crops(50, 50, 5, CropRules(area=(1.0, 1.0), aspect=(1.0, 1.0))) == [None] * 5


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [
        (256, 256, Crop(16, 16, 224, 224)),
        (375, 500, Crop(24, 86, 328, 328)),
        (81, 40, Crop(23, 3, 35, 35)),
        (500, 333, Crop(105, 21, 291, 291)),
    ],
)
def test_the_centre_is_seven_eighths_of_the_shorter_side(height, width, expected):
    assert centre_crop(height, width, 224, 256) == expected


def test_a_crop_is_a_view():
    image = np.arange(5 * 6 * 3, dtype=np.uint8).reshape(5, 6, 3)
    part = Crop(1, 2, 3, 4).of(image)
    assert part.base is not None
    np.testing.assert_array_equal(part, image[1:4, 2:6])
