"""RandAugment (Cubuk et al. 2020) as the published ViT workload uses it: two random operations per image.

Operations are plain NumPy on one uint8 image `(height, width, 3)`. Contrast and Solarize are what RandAugment
defines, as in Pillow: the published code fades contrast to a grey that depends on the image's size alone,
and its threshold 256 wraps to 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]

FILL = 128
MAX_LEVEL = 10
# 255.5 / 255 stands for rounding: what follows cuts decimals off.
_LUMA = np.array((0.2989, 0.587, 0.114), np.float32) * np.float32(255.5 / 255)


def autocontrast(image: Image) -> Image:
    """Stretches each channel to 0..255."""
    return _look_up(image, [_stretching_table(channel) for channel in _planes(image)])


def _stretching_table(channel: Image) -> Image:
    low, high = np.float32(channel.min()), np.float32(channel.max())
    table = np.arange(256, dtype=np.float32)
    if high > low:
        scale = np.float32(255) / (high - low)
        table = table * scale - low * scale
    return np.asarray(table.clip(0, 255), np.uint8)


def equalize(image: Image) -> Image:
    """Makes the histogram of each channel as even as it can be."""
    return _look_up(image, [_equalizing_table(channel) for channel in _planes(image)])


def _equalizing_table(channel: Image) -> Image:
    histogram = np.bincount(channel, minlength=256)
    brightest = histogram[np.flatnonzero(histogram)[-1]]
    step = (channel.size - brightest) // 255
    if step == 0:
        return np.arange(256, dtype=np.uint8)
    below = np.concatenate(([0], np.cumsum(histogram)[:-1]))
    return np.asarray(((below + step // 2) // step).clip(0, 255), np.uint8)


def invert(image: Image) -> Image:
    """Makes a negative."""
    return ~image


def posterize(image: Image, bits: int) -> Image:
    """Keeps the topmost `bits` bits of each pixel, at least one."""
    dropped = min(8 - bits, 7)
    return image & np.uint8(256 - (1 << dropped))


def solarize(image: Image, threshold: int) -> Image:
    """Inverts pixels from a threshold on; 256 leaves the image as it is."""
    values = np.arange(256)
    table = np.where(values < threshold, values, 255 - values).astype(np.uint8)
    return table.take(image)


def solarize_add(image: Image, addition: int) -> Image:
    """Adds to pixels below 128."""
    values = np.arange(256)
    table = np.where(values < 128, (values + addition).clip(0, 255), values).astype(np.uint8)
    return table.take(image)


def color(image: Image, factor: float) -> Image:
    """Blends with the grey image: 0 is grey, 1 the original."""
    return _blend(_grey(image)[..., np.newaxis], image, factor)


def contrast(image: Image, factor: float) -> Image:
    """Blends with the mean grey: 0 is uniform, 1 the original."""
    mean = np.floor(_grey(image).mean(dtype=np.float64) + 0.5)
    return _blend(np.asarray(mean, np.float32), image, factor)


def brightness(image: Image, factor: float) -> Image:
    """Blends with black: 0 is black, 1 the original."""
    return _blend(np.float32(0), image, factor)


def sharpness(image: Image, factor: float) -> Image:
    """Blends with a smoothed image: 0 is smooth, 1 the original; the border stays."""
    wide = image.astype(np.uint16)
    rows = wide[:-2] + wide[1:-1] + wide[2:]
    total = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:] + 4 * wide[1:-1, 1:-1]
    smooth = image.copy()
    smooth[1:-1, 1:-1] = total // 13
    return _blend(smooth, image, factor)


def rotate(image: Image, degrees: float) -> Image:
    """Turns counter-clockwise about the centre."""
    height, width = image.shape[:2]
    cosine, sine = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    across = ((width - 1) - (cosine * (width - 1) - sine * (height - 1))) / 2
    down = ((height - 1) - (sine * (width - 1) + cosine * (height - 1))) / 2
    return _warp(image, ((cosine, -sine, across), (sine, cosine, down)))


def shear_x(image: Image, level: float) -> Image:
    """Pixel (x, y) shows what was at (x + level y, y)."""
    return _warp(image, ((1, level, 0), (0, 1, 0)))


def shear_y(image: Image, level: float) -> Image:
    """Pixel (x, y) shows what was at (x, y + level x)."""
    return _warp(image, ((1, 0, 0), (level, 1, 0)))


def translate_x(image: Image, pixels: float) -> Image:
    """Pixel (x, y) shows what was at (x + pixels, y)."""
    return _warp(image, ((1, 0, pixels), (0, 1, 0)))


def translate_y(image: Image, pixels: float) -> Image:
    """Pixel (x, y) shows what was at (x, y + pixels)."""
    return _warp(image, ((1, 0, 0), (0, 1, pixels)))


def cutout(image: Image, half_size: int, row: int, column: int) -> Image:
    """Greys a square of `2 half_size` pixels around a centre, as far as it lies in the image."""
    result = image.copy()
    rows = slice(max(row - half_size, 0), row + half_size)
    columns = slice(max(column - half_size, 0), column + half_size)
    result[rows, columns] = FILL
    return result


def _planes(image: Image) -> Image:
    """Channels one after the other, `(3, height * width)`: reductions over them are fast."""
    return np.ascontiguousarray(image.reshape(-1, 3).T)


def _look_up(image: Image, tables: list[Image]) -> Image:
    """Maps every pixel by the table `(256,)` of its channel."""
    shifted = image + np.array((0, 256, 512), np.intp)
    return np.concatenate(tables).take(shifted)


def _grey(image: Image) -> Image:
    return np.asarray(image.astype(np.float32) @ _LUMA).astype(np.uint8)


def _blend(
    base: npt.NDArray[np.float32] | np.float32 | Image, image: Image, factor: float
) -> Image:
    start = np.asarray(base, np.float32)
    mixed = start + np.float32(factor) * (image - start)
    return mixed.clip(0, 255).astype(np.uint8)


def _warp(image: Image, matrix: tuple[tuple[float, float, float], ...]) -> Image:
    """Reads, for each output pixel (x, y), the input pixel nearest to `matrix (x, y, 1)`."""
    height, width = image.shape[:2]
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, np.newaxis]
    (xx, xy, x0), (yx, yy, y0) = np.asarray(matrix, np.float32)
    columns, rows = _nearest(xx * x + xy * y + x0), _nearest(yx * x + yy * y + y0)
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    outside = height * width
    source = np.where(inside, rows * width + columns, outside)
    # Four bytes to a pixel are read at once; the last pixel is what lies outside.
    pixels = np.full((outside + 1, 4), FILL, np.uint8)
    pixels[:-1, :3] = image.reshape(-1, 3)
    found = pixels.view(np.uint32)[:, 0].take(source)
    return np.ascontiguousarray(found.view(np.uint8).reshape(height, width, 4)[..., :3])


def _nearest(positions: npt.NDArray[np.float32]) -> npt.NDArray[np.int32]:
    """Rounds, halves away from zero."""
    return np.trunc(positions + np.copysign(np.float32(0.5), positions)).astype(np.int32)


@dataclass(frozen=True)
class Draws:
    """What chance decides about one operation.

    Args:
        positive: Whether a signed argument keeps its sign.
        row: Centre of a cutout, as a share of the height, in [0, 1).
        column: The same, of the width.
    """

    positive: bool
    row: float
    column: float


def _signed(function: Callable[[Image, float], Image], largest: float) -> _Operation:
    def operation(image: Image, level: float, draws: Draws) -> Image:
        argument = largest * level / MAX_LEVEL
        return function(image, argument if draws.positive else -argument)

    return operation


def _whole(function: Callable[[Image, int], Image], largest: int) -> _Operation:
    return lambda image, level, draws: function(image, int(largest * level / MAX_LEVEL))


def _factor(function: Callable[[Image, float], Image]) -> _Operation:
    return lambda image, level, draws: function(image, 1.8 * level / MAX_LEVEL + 0.1)


def _plain(function: Callable[[Image], Image]) -> _Operation:
    return lambda image, level, draws: function(image)


def _cutout(image: Image, level: float, draws: Draws) -> Image:
    height, width = image.shape[:2]
    half_size = int(40 * level / MAX_LEVEL)
    return cutout(image, half_size, int(draws.row * height), int(draws.column * width))


_Operation = Callable[[Image, float, Draws], Image]
OPERATIONS: dict[str, _Operation] = {
    "AutoContrast": _plain(autocontrast),
    "Equalize": _plain(equalize),
    "Invert": _plain(invert),
    "Rotate": _signed(rotate, 30),
    "Posterize": _whole(posterize, 4),
    "Solarize": _whole(solarize, 256),
    "Color": _factor(color),
    "Contrast": _factor(contrast),
    "Brightness": _factor(brightness),
    "Sharpness": _factor(sharpness),
    "ShearX": _signed(shear_x, 0.3),
    "ShearY": _signed(shear_y, 0.3),
    "TranslateX": _signed(translate_x, 100),
    "TranslateY": _signed(translate_y, 100),
    "Cutout": _cutout,
    "SolarizeAdd": _whole(solarize_add, 110),
}
"""Name to `(image, level, draws) -> image`; levels from 0 to 10."""


@dataclass(frozen=True)
class RandAugment:
    """Applies operations drawn uniformly from the sixteen, with repetition.

    Args:
        layers: Operations per image.
        level: Their strength, 0 to 10.
    """

    layers: int = 2
    level: float = 10

    def __call__(self, image: Image, generator: np.random.Generator) -> Image:
        """Augments an image `(height, width, 3)`, uint8; the result is a new one or the image itself."""
        names = list(OPERATIONS)
        for operation, sign, row, column in generator.random((self.layers, 4)).tolist():
            chosen = OPERATIONS[names[int(operation * len(names))]]
            image = chosen(image, self.level, Draws(sign < 0.5, row, column))
        return image
