"""Augmentation and normalisation of whole batches of small images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

Array = npt.NDArray[Any]
Float = npt.NDArray[np.float32]

CIFAR_MEAN = (0.49139968, 0.48215827, 0.44653124)
CIFAR_STANDARD_DEVIATION = (0.24703233, 0.24348505, 0.26158768)
CIFAR_PADDING = 2


def pad_crop_flip(images: Array, padding: int, generator: np.random.Generator) -> Array:
    """Pads with zeros, cuts the original size out at random, and mirrors half of the images.

    Args:
        images: `(batch, height, width, channels)`.
        padding: Pixels added on every side.
        generator: Draws places and mirrors.

    Returns:
        New images of the same shape and type.
    """
    count, height, width, channels = images.shape
    padded = np.zeros((count, height + 2 * padding, width + 2 * padding, channels), images.dtype)
    padded[:, padding : padding + height, padding : padding + width] = images
    tops, lefts = generator.integers(0, 2 * padding + 1, (2, count))
    mirrored = generator.random(count) < 0.5
    # A row of pixels is contiguous: windows over whole rows copy fast.
    flat = padded.reshape(count, height + 2 * padding, (width + 2 * padding) * channels)
    rows = sliding_window_view(flat, (height, width * channels), axis=(1, 2))
    cut: Array = rows[np.arange(count), tops, lefts * channels].reshape(images.shape)
    cut[mirrored] = cut[mirrored, :, ::-1]
    return cut


def normalise(images: Array, mean: Sequence[float], deviation: Sequence[float]) -> Float:
    """Subtracts a mean and divides by a standard deviation, by channel.

    Args:
        images: `(batch, height, width, channels)`.
        mean: Of each channel, in the unit of the images.
        deviation: Of each channel, likewise.

    Returns:
        The same shape, float32.
    """
    count, height, width, channels = images.shape
    scale = np.tile(1 / np.asarray(deviation, np.float64), width).astype(np.float32)
    offset = np.tile(np.divide(mean, deviation), width).astype(np.float32)
    rows = images.reshape(count, height, width * channels) * scale
    rows -= offset
    result: Float = rows.reshape(images.shape)
    return result
