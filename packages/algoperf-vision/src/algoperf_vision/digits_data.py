"""The handwritten digits that come with scikit-learn: 1,797 grey images of 8x8 pixels in ten classes.

They are the test set of the UCI collection "Optical Recognition of Handwritten Digits" (Alpaydin and
Kaynak 1998). Splits are disjoint and fixed by a seeded permutation.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from algoperf_workloads.batches import Batch
from algoperf_workloads.columns import Array, Columns
from algoperf_workloads.dataset import ArraySpec, DatasetDefinition
from algoperf_workloads.store_writing import Splits

NUM_CLASSES = 10
SPLIT_SIZES = {"train": 397, "validation": 700, "test": 700}
# The stream of `RandomState`, unlike that of newer generators, never changes between NumPy versions.
SPLIT_SEED = 20261122
MAX_SHIFT = 1
_LARGEST_PIXEL = 16


def make_digits(raw_dir: Path) -> Splits:
    """Splits scikit-learn's digits.

    Args:
        raw_dir: Unused: the images are part of scikit-learn.

    Returns:
        For `train`, `validation` and `test`: `images` `(examples, 8, 8, 1)`, uint8 from 0 to 16, and
        `labels` `(examples,)`, int32.
    """
    del raw_dir
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = digits.images.astype(np.uint8)[..., np.newaxis]
    labels = digits.target.astype(np.int32)
    order = np.random.RandomState(SPLIT_SEED).permutation(len(images))
    ends = np.cumsum(list(SPLIT_SIZES.values()))[:-1]
    return {
        split: {"images": images[chosen], "labels": labels[chosen]}
        for split, chosen in zip(SPLIT_SIZES, np.split(order, ends), strict=True)
    }


def preprocess(columns: Columns) -> Batch:
    """Scales images `(batch, 8, 8, 1)` to [0, 1], float32."""
    scale = np.float32(1.0 / _LARGEST_PIXEL)
    return {"inputs": columns["images"] * scale, "targets": columns["labels"]}


def train(columns: Columns, generator: np.random.Generator) -> Batch:
    """Scales images as `preprocess` does and shifts each of them."""
    batch = preprocess(columns)
    return {**batch, "inputs": shift(batch["inputs"], generator)}


def shift(images: Array, generator: np.random.Generator) -> Array:
    """Moves every image by up to `MAX_SHIFT` pixels in both directions; what moves in is 0.

    Args:
        images: `(batch, height, width, channels)`.
        generator: Draws an offset for each image and direction.
    """
    count, height, width, channels = images.shape
    margin = slice(MAX_SHIFT, -MAX_SHIFT)
    padded = np.zeros(
        (count, height + 2 * MAX_SHIFT, width + 2 * MAX_SHIFT, channels), images.dtype
    )
    padded[:, margin, margin] = images
    # (count, offsets, offsets, channels, height, width), a view
    windows = sliding_window_view(padded, (height, width), axis=(1, 2))
    rows, columns = generator.integers(0, 2 * MAX_SHIFT + 1, (2, count))
    shifted = windows[np.arange(count), rows, columns]
    return np.ascontiguousarray(np.moveaxis(shifted, 1, -1))


DIGITS = DatasetDefinition(
    name="digits",
    num_train_examples=SPLIT_SIZES["train"],
    num_eval_train_examples=SPLIT_SIZES["train"],
    num_validation_examples=SPLIT_SIZES["validation"],
    num_test_examples=SPLIT_SIZES["test"],
    make=make_digits,
    preprocess=preprocess,
    train=train,
    arrays={"inputs": ArraySpec((8, 8, 1)), "targets": ArraySpec((), "int32")},
    source="The test set of the UCI digits, which comes with scikit-learn; nothing to download.",
    licence="CC BY 4.0 (UCI Machine Learning Repository)",
    content_hash="04b9526bbdf35b3fe0c3632c544508fd71724512a61bc38dce9c98fad8c92317",
)
"""Training images are shifted by up to a pixel; evaluation images are as stored."""
