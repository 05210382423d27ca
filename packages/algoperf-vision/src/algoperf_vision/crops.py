"""Which part of a photograph is looked at: random crops in training, the centre in evaluation."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

CROP_ATTEMPTS = 10
# Draws of one attempt: aspect ratio, height, top, left.
_DRAWS = 4
CropDraws = npt.NDArray[np.float64]


class Crop(NamedTuple):
    """A rectangle of an image, in pixels."""

    top: int
    left: int
    height: int
    width: int

    def of(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """The rectangle of `(height, width, channels)`, a view."""
        return image[self.top : self.top + self.height, self.left : self.left + self.width]


class CropRules(NamedTuple):
    """What a random crop may look like, as published.

    Attributes:
        area: Smallest and largest share of the image's area.
        aspect: Smallest and largest width over height.
        min_covered: A crop covers at least this share of the image.
    """

    area: tuple[float, float] = (0.08, 1.0)
    aspect: tuple[float, float] = (3 / 4, 4 / 3)
    min_covered: float = 0.1


PUBLISHED_CROPS = CropRules()


def crop_draws(count: int, generator: np.random.Generator) -> CropDraws:
    """Draws `(count, 10, 4)` from [0, 1) that decide the crops of `count` images."""
    return generator.random((count, CROP_ATTEMPTS, _DRAWS))


def random_crop(
    height: int, width: int, draws: CropDraws, rules: CropRules = PUBLISHED_CROPS
) -> Crop | None:
    """A random crop with the distribution of the published pipeline.

    The aspect ratio is uniform, then the height is uniform among whole pixels that keep the area in its
    range. An attempt that leaves the image or covers too little of it is followed by the next.

    Args:
        height: Height of the image, pixels.
        width: Width of the image, pixels.
        draws: Of one image, `(attempts, 4)`, from `crop_draws`.
        rules: What the crop may look like.

    Returns:
        None where all attempts fail or the crop is the whole image.
    """
    for attempt in draws.tolist():
        crop = _attempt(height, width, attempt, rules)
        if crop and crop.height * crop.width >= rules.min_covered * height * width:
            return None if (crop.height, crop.width) == (height, width) else crop
    return None


def _attempt(height: int, width: int, draws: list[float], rules: CropRules) -> Crop | None:
    aspect_draw, height_draw, top_draw, left_draw = draws
    low, high = rules.aspect
    aspect = low + (high - low) * aspect_draw
    min_area, max_area = (share * height * width for share in rules.area)
    shortest, tallest = _heights(height, width, aspect, min_area, max_area)
    crop_height = shortest + _whole(height_draw, tallest - shortest + 1)
    # Rounding may leave the range of areas by a hair.
    if crop_height * round(crop_height * aspect) < min_area:
        crop_height += 1
    if crop_height * round(crop_height * aspect) > max_area:
        crop_height -= 1
    crop_width = round(crop_height * aspect)
    inside = 0 < crop_height <= height and 0 < crop_width <= width
    if not inside or not min_area <= crop_height * crop_width <= max_area:
        return None
    return Crop(
        _whole(top_draw, height - crop_height),
        _whole(left_draw, width - crop_width),
        crop_height,
        crop_width,
    )


def _heights(
    height: int, width: int, aspect: float, min_area: float, max_area: float
) -> tuple[int, int]:
    tallest = round(math.sqrt(max_area / aspect))
    if round(tallest * aspect) > width:
        tallest = int((width + 0.5 - 1e-7) / aspect)
        tallest -= round(tallest * aspect) > width
    tallest = min(tallest, height)
    return min(round(math.sqrt(min_area / aspect)), tallest), tallest


def _whole(draw: float, count: int) -> int:
    """A whole number below `count`; 0 where there is no choice."""
    return int(draw * count)


def centre_crop(height: int, width: int, image_size: int, resize_size: int) -> Crop:
    """The square of the centre that, resized to `image_size`, lies in an image resized to `resize_size`.

    Args:
        height: Height of the image, pixels.
        width: Width of the image, pixels.
        image_size: Side of the result, pixels.
        resize_size: What the shorter side would be resized to, pixels.
    """
    side = int(image_size / resize_size * min(height, width))
    return Crop((height - side + 1) // 2, (width - side + 1) // 2, side, side)
