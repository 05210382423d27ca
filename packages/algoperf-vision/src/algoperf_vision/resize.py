"""Bicubic resizing as the published ImageNet pipeline does it: no antialias, half-pixel centres, a = -0.5.

Both passes of a separable resize are products with banded matrices. A band is cut into blocks of a few
output pixels, so that each block is a small dense product; an interleaved image keeps its layout, and the
second matrix also carries a scale per channel and a mirror, which therefore cost nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Float = npt.NDArray[np.float32]

TAPS = 4
CUBIC_A = -0.5
# The published kernel is tabulated at this many positions between two pixels.
_POSITIONS = 1024
# Output pixels in a block, fastest by measurement: larger ones multiply more zeros, smaller ones are more
# calls.
_ROWS_PER_BLOCK = 8
_COLUMNS_PER_BLOCK = 5


@dataclass(frozen=True)
class Band:
    """A banded matrix, cut into blocks of `size` outputs that read `width` inputs each.

    Attributes:
        firsts: First input of each block.
        width: Inputs that a block reads.
        size: Outputs of a block; the last block may have fewer.
        outputs: Position of each output within its block, `(out_size, 1)`.
        blocks: Block of each output, `(out_size, 1)`.
        inputs: Positions of the read inputs within the block's, `(out_size, 4)`.
        weights: Their weights, `(out_size, 4)`.
    """

    firsts: tuple[int, ...]
    width: int
    size: int
    outputs: npt.NDArray[np.int64]
    blocks: npt.NDArray[np.int64]
    inputs: npt.NDArray[np.int64]
    weights: Float


def cubic_kernel(distance: Array) -> Array:
    """Keys' cubic convolution kernel (Keys 1981, equation 4) with a = -0.5.

    Args:
        distance: Distances in pixels of the input, any shape.
    """
    x, a = np.abs(distance), CUBIC_A
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def cubic_weights(in_size: int, out_size: int) -> tuple[npt.NDArray[np.int64], Float]:
    """Which pixels each output pixel reads along one axis, and with what weights.

    Pixels outside the image have no weight; the others are scaled to sum to 1.

    Args:
        in_size: Pixels of the input.
        out_size: Pixels of the output.

    Returns:
        Positions `(out_size, 4)`, within the input, and weights `(out_size, 4)`, float32.
    """
    centres = (np.arange(out_size) + 0.5) * (in_size / out_size) - 0.5
    below = np.floor(centres)
    fraction = np.rint((centres - below) * _POSITIONS) / _POSITIONS
    offsets = np.arange(-1, TAPS - 1)
    positions = below[:, np.newaxis].astype(np.int64) + offsets
    weights = cubic_kernel(fraction[:, np.newaxis] - offsets)
    weights = np.where((positions >= 0) & (positions < in_size), weights, 0.0)
    weights = weights / weights.sum(1, keepdims=True)
    return positions.clip(0, in_size - 1), weights.astype(np.float32)


@lru_cache(maxsize=8192)
def _band(in_size: int, out_size: int, size: int, mirror: bool = False) -> Band:
    positions, weights = cubic_weights(in_size, out_size)
    if mirror:
        positions, weights = positions[::-1], weights[::-1]
    starts = np.arange(0, out_size, size)
    firsts = np.minimum.reduceat(positions.min(1), starts)
    width = int((np.maximum.reduceat(positions.max(1), starts) - firsts).max()) + 1
    firsts = np.minimum(firsts, in_size - width)
    blocks, outputs = np.divmod(np.arange(out_size)[:, np.newaxis], size)
    return Band(
        firsts=tuple(firsts.tolist()),
        width=width,
        size=size,
        outputs=outputs,
        blocks=blocks,
        inputs=positions - firsts[blocks],
        weights=weights,
    )


@lru_cache(maxsize=8192)
def _row_matrices(in_size: int, out_size: int) -> tuple[Band, Float]:
    """A matrix `(size, width)` for each block of rows."""
    band = _band(in_size, out_size, _ROWS_PER_BLOCK)
    matrices = np.zeros((len(band.firsts), band.size, band.width), np.float32)
    # Pixels beyond the border share a position with the border's own, with weight 0.
    np.add.at(matrices, (band.blocks, band.outputs, band.inputs), band.weights)
    return band, matrices


def _column_matrices(band: Band, scale: Sequence[float]) -> Float:
    """A matrix `(width * channels, size * channels)` for each block of columns."""
    channels = len(scale)
    shape = (len(band.firsts), band.width, channels, band.size, channels)
    matrices = np.zeros(shape, np.float32)
    # A tap of weight 0 must not overwrite the border pixel that it was moved to.
    used = band.weights != 0
    blocks = np.broadcast_to(band.blocks, used.shape)[used]
    outputs = np.broadcast_to(band.outputs, used.shape)[used]
    inputs, weights = band.inputs[used], band.weights[used]
    for channel, factor in enumerate(scale):
        matrices[blocks, inputs, channel, outputs, channel] = weights * np.float32(factor)
    return matrices.reshape(len(band.firsts), band.width * channels, band.size * channels)


def resize_bicubic(
    image: Array,
    size: tuple[int, int],
    *,
    scale: Sequence[float] | None = None,
    mirror: bool = False,
    out: Float | None = None,
) -> Float:
    """Resizes an image; results may lie outside the range of the input, as cubic interpolation does.

    Args:
        image: `(height, width, channels)`, any numeric type.
        size: Height and width of the result.
        scale: Factor for each channel of the result; None leaves them.
        mirror: Whether left and right change places.
        out: Where to write the result, `(*size, channels)`, float32, C-contiguous.

    Returns:
        `(*size, channels)`, float32.
    """
    height, width, channels = image.shape
    rows = image.astype(np.float32).reshape(height, width * channels)
    factors = (1.0,) * channels if scale is None else tuple(scale)
    if out is None:
        out = np.empty((*size, channels), np.float32)
    between = np.empty((size[0], width * channels), np.float32)
    _resize_rows(rows, between)
    _resize_columns(between, out.reshape(size[0], -1), width, factors, mirror)
    return out


def _resize_rows(rows: Float, out: Float) -> None:
    band, matrices = _row_matrices(len(rows), len(out))
    for start, first, matrix in zip(
        range(0, len(out), band.size), band.firsts, matrices, strict=True
    ):
        part = out[start : start + band.size]
        np.matmul(matrix[: len(part)], rows[first : first + band.width], out=part)


def _resize_columns(
    rows: Float, out: Float, width: int, scale: tuple[float, ...], mirror: bool
) -> None:
    channels = len(scale)
    band = _band(width, out.shape[1] // channels, _COLUMNS_PER_BLOCK, mirror)
    matrices = _column_matrices(band, scale)
    step, read = band.size * channels, band.width * channels
    for start, first, matrix in zip(
        range(0, out.shape[1], step), band.firsts, matrices, strict=True
    ):
        part = out[:, start : start + step]
        source = rows[:, first * channels : first * channels + read]
        np.matmul(source, matrix[:, : part.shape[1]], out=part)
