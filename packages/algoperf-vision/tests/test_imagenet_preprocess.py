"""Batches of ImageNet: evaluation as published, training by chance alone."""

import dataclasses
import io
import pickle
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from algoperf_vision.imagenet_preprocess import (
    MEAN,
    STANDARD_DEVIATION,
    ImagenetPreprocessing,
)
from algoperf_vision.jpeg import ImageError
from algoperf_vision.randaugment import RandAugment
from algoperf_vision.resize import resize_bicubic

GOLDENS = np.load(Path(__file__).parent / "goldens" / "imagenet_randaugment.npz")
JPEG = GOLDENS["jpeg_bytes"].tobytes()
SMALL = ImagenetPreprocessing(image_size=32, resize_size=36, num_classes=7)
VIT = dataclasses.replace(SMALL, randaugment=RandAugment(), mixup_alpha=0.2)


def encoded(pixels):
    stream = io.BytesIO()
    PIL.Image.fromarray(pixels).save(stream, "jpeg", quality=95)
    return stream.getvalue()


@pytest.fixture(scope="module")
def columns():
    generator = np.random.default_rng(0)
    files = []
    for size in ((40, 60), (90, 50), (64, 64), (33, 47)):
        coarse = generator.integers(0, 256, (5, 5, 3), np.uint8)
        files.append(encoded(resize_bicubic(coarse, size).clip(0, 255).astype(np.uint8)))
    return {"jpeg": files, "label": np.array([3, 0, 6, 1], np.int32)}


def test_evaluation_equals_the_published_pixels():
    batch = ImagenetPreprocessing().eval_batch({"jpeg": [JPEG], "label": np.array([5])})
    assert batch["inputs"].shape == (1, 224, 224, 3)
    np.testing.assert_allclose(
        batch["inputs"][0, ::16, ::16], GOLDENS["eval_224_256_stride16"], atol=1e-3
    )
    assert batch["targets"].dtype == np.int32


def test_evaluation_of_small_images_equals_the_published_pixels_but_for_the_right_edge():
    preprocessing = ImagenetPreprocessing(image_size=28, resize_size=32)
    image = preprocessing.eval_batch({"jpeg": [JPEG], "label": np.array([5])})["inputs"][0]
    np.testing.assert_allclose(image[:, :-2], GOLDENS["eval_28_32"][:, :-2], atol=1e-5)
    # The published pipeline decodes the crop alone, and lacks the chroma to the right of its last column.
    assert np.abs(image[:, -2:] - GOLDENS["eval_28_32"][:, -2:]).max() < 0.12


def test_inputs_are_normalised_by_channel():
    pixels = np.full((50, 50, 3), 128, np.uint8)
    batch = SMALL.eval_batch({"jpeg": [encoded(pixels)], "label": [0]})
    expected = (128 - np.array(MEAN)) / np.array(STANDARD_DEVIATION)
    np.testing.assert_allclose(batch["inputs"][0, 7, 9], expected, atol=0.02)


@pytest.mark.parametrize("preprocessing", [SMALL, VIT], ids=["resnet", "vit"])
def test_training_follows_its_generator(preprocessing, columns):
    first, again, other = (
        preprocessing.train_batch(columns, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    for key in ("inputs", "targets"):
        np.testing.assert_array_equal(first[key], again[key])
    assert not np.array_equal(first["inputs"], other["inputs"])
    assert first["inputs"].shape == (4, 32, 32, 3)
    assert first["inputs"].dtype == np.float32


def test_targets_are_labels_without_mixup_and_dense_with_it(columns):
    plain = SMALL.train_batch(columns, np.random.default_rng(0))["targets"]
    np.testing.assert_array_equal(plain, columns["label"])
    assert plain.dtype == np.int32
    dense = VIT.train_batch(columns, np.random.default_rng(0))["targets"]
    assert dense.shape == (4, 7)
    assert dense.dtype == np.float32
    np.testing.assert_allclose(dense.sum(1), 1, rtol=1e-6)


def test_half_of_the_training_images_are_mirrored():
    # Brighter to the right: a crop keeps that, a mirror turns it round.
    pixels = np.broadcast_to(np.arange(64, dtype=np.uint8)[:, np.newaxis] * 4, (64, 64, 3))
    count = 400
    columns = {"jpeg": [encoded(pixels)] * count, "label": np.zeros(count)}
    images = SMALL.train_batch(columns, np.random.default_rng(0))["inputs"]
    mirrored = images[:, :, 0].mean((1, 2)) > images[:, :, -1].mean((1, 2))
    assert 0.4 < mirrored.mean() < 0.6


def test_a_mirrored_image_is_the_mirror_of_the_image(columns):
    image = GOLDENS["image"]
    plain, mirrored = (resize_bicubic(image, (20, 20), mirror=mirror) for mirror in (False, True))
    np.testing.assert_allclose(mirrored, plain[:, ::-1], atol=1e-4)


def test_randaugment_sees_whole_numbers(columns):
    vit = dataclasses.replace(SMALL, randaugment=RandAugment())
    inputs = vit.train_batch(columns, np.random.default_rng(0))["inputs"]
    pixels = inputs * np.array(STANDARD_DEVIATION) + np.array(MEAN)
    np.testing.assert_allclose(pixels, np.rint(pixels), atol=1e-3)
    assert pixels.min() > -0.01
    assert pixels.max() < 255.01


def test_an_image_without_a_legal_crop_shows_its_centre():
    generator = np.random.default_rng(0)
    file = encoded(generator.integers(0, 256, (20, 400, 3), np.uint8))
    columns = {"jpeg": [file], "label": [0]}
    centre = SMALL.eval_batch(columns)["inputs"][0]
    image = SMALL.train_batch(columns, generator)["inputs"][0]
    assert np.allclose(image, centre, atol=1e-4) or np.allclose(image, centre[:, ::-1], atol=1e-4)


@pytest.mark.parametrize("split", ["train", "evaluation"])
def test_a_damaged_image_is_named(split, columns):
    broken = {"jpeg": [columns["jpeg"][0], JPEG[:900]], "label": [0, 1]}
    read = {
        "train": lambda: SMALL.train_batch(broken, np.random.default_rng(0)),
        "evaluation": lambda: SMALL.eval_batch(broken),
    }
    with pytest.raises(ImageError, match="image 1 of the batch: cannot be decoded"):
        read[split]()


def test_an_empty_batch_is_empty():
    assert SMALL.eval_batch({"jpeg": [], "label": []})["inputs"].shape == (0, 32, 32, 3)


def test_worker_processes_can_be_sent_it():
    assert pickle.loads(pickle.dumps(VIT)) == VIT  # noqa: S301
