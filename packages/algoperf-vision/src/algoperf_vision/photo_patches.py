"""Generated images from photographs: from which of 18 pictures is a patch, at a place not seen in training.

The photographs come with scikit-image and scikit-learn. Each is cut into blocks, and every block belongs to
one split alone. A patch lies within a block: turned, enlarged, mirrored, with other colours and noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from algoperf_vision.image_sampling import (
    IMAGE_SPLITS,
    SplitSizes,
    bilinear_views,
    draw_splits,
    grain,
    package_folder,
    uniform,
    unit_vectors,
)

Array = npt.NDArray[Any]
Float = npt.NDArray[np.float32]

SIDE = 32
BLOCK = 64
PHOTOGRAPHS = (
    *("astronaut.png", "brick.png", "camera.png", "cell.png", "chelsea.png", "china.jpg"),
    *("coffee.png", "coins.png", "flower.jpg", "grass.png", "gravel.png", "hubble_deep_field.jpg"),
    *("ihc.png", "moon.png", "motorcycle_left.png", "page.png", "retina.jpg", "rocket.jpg"),
)
_OF_SCIKIT_LEARN = ("china.jpg", "flower.jpg")
# Blocks whose levels deviate less than this are bare sky or background, which no one could tell apart.
_LEAST_DEVIATION = 6.0
# Of every nine blocks of a photograph, these many.
_SHARES = {"train": 5, "validation": 2, "test": 2}


@dataclass(frozen=True)
class PatchStyle:
    """How hard the patches are to recognise.

    Args:
        window: Smallest and largest side of what a patch shows, pixels of the photograph; at most 42, so
            that turned windows stay within their block.
        gain: Smallest and largest factor of each channel's contrast.
        bias: Largest change of each channel's brightness, in levels of 255.
        noise: Largest deviation of a pixel by noise, in levels.
    """

    window: tuple[float, float] = (24, 42)
    gain: tuple[float, float] = (0.4, 1.1)
    bias: float = 60
    noise: float = 40


PLAIN_PATCHES = PatchStyle()


def make_photo_patches(
    sizes: SplitSizes = IMAGE_SPLITS, style: PatchStyle = PLAIN_PATCHES, seed: int = 0
) -> dict[str, dict[str, Array]]:
    """Cuts a dataset out of the photographs.

    Args:
        sizes: Examples of each split.
        style: How hard they are to recognise.
        seed: Chooses everything.

    Returns:
        For `train`, `validation` and `test`, which share no block: `images` `(examples, 32, 32, 3)`, uint8,
        and `labels` `(examples,)`, int32, positions in `PHOTOGRAPHS`.
    """
    shared = split_blocks([read_photograph(name) for name in PHOTOGRAPHS], seed)
    blocks = {
        split: (np.concatenate(some), np.array([len(one) for one in some]))
        for split, some in shared.items()
    }
    return draw_splits(
        sizes, seed, lambda split, count, state: _draw(*blocks[split], count, style, state)
    )


def read_photograph(name: str) -> Array:
    """A photograph `(height, width, 3)`, uint8, that comes with scikit-image or scikit-learn."""
    import PIL.Image

    if name in _OF_SCIKIT_LEARN:
        folder = package_folder("sklearn", "scikit-learn") / "datasets" / "images"
    else:
        folder = package_folder("skimage", "scikit-image") / "data"
    with PIL.Image.open(folder / name) as image:
        return np.asarray(image.convert("RGB"))


def split_blocks(photographs: list[Array], seed: int) -> dict[str, list[Array]]:
    """Shares the blocks of each photograph out to the splits.

    Args:
        photographs: Each `(height, width, 3)`.
        seed: Chooses which block goes where.

    Returns:
        For each split and photograph `(blocks, 64, 64, 3)`.
    """
    state = np.random.RandomState([seed, len(_SHARES)])
    shared: dict[str, list[Array]] = {split: [] for split in _SHARES}
    for photograph in photographs:
        blocks = _blocks(photograph)
        order = state.permutation(len(blocks))
        ends = np.cumsum(list(_SHARES.values())) * len(blocks) // sum(_SHARES.values())
        for split, chosen in zip(_SHARES, np.split(order, ends[:-1]), strict=True):
            shared[split].append(blocks[chosen])
    return shared


def _blocks(photograph: Array) -> Array:
    rows, columns = (length // BLOCK for length in photograph.shape[:2])
    whole = photograph[: rows * BLOCK, : columns * BLOCK]
    tiles = whole.reshape(rows, BLOCK, columns, BLOCK, 3).swapaxes(1, 2)
    blocks = tiles.reshape(-1, BLOCK, BLOCK, 3)
    # Whole numbers, so that the choice is the same on every machine.
    levels = blocks.reshape(len(blocks), -1).astype(np.int64)
    pixels = levels.shape[1]
    spread = pixels * (levels * levels).sum(1) - levels.sum(1) ** 2
    return np.ascontiguousarray(blocks[spread >= (_LEAST_DEVIATION * pixels) ** 2])


def _draw(
    blocks: Array, numbers: Array, count: int, style: PatchStyle, state: np.random.RandomState
) -> dict[str, Array]:
    labels = state.randint(0, len(numbers), count)
    within = (state.random_sample(count) * numbers[labels]).astype(np.intp)
    which = (np.cumsum(numbers) - numbers)[labels] + within
    images = bilinear_views(blocks, which, _placements(count, style, state), SIDE)
    low, high = style.gain
    images = (images - 128) * uniform(state, low, high, (count, 1, 1, 3)) + 128
    images += uniform(state, -style.bias, style.bias, (count, 1, 1, 3))
    images += grain(state, style.noise, images.shape)
    return {"images": images.clip(0, 255).astype(np.uint8), "labels": labels.astype(np.int32)}


def _placements(count: int, style: PatchStyle, state: np.random.RandomState) -> Float:
    """Matrices from the patch to its block: any angle up to a right one, mirrored or not."""
    cosine, sine = unit_vectors(uniform(state, 0, 1, (count,)))
    mirror = np.where(state.random_sample(count) < 0.5, -1, 1)
    window = uniform(state, *style.window, (count,))
    turn = np.stack((cosine * mirror, -sine, sine * mirror, cosine), 1).reshape(count, 2, 2)
    matrices = np.empty((count, 2, 3), np.float32)
    matrices[:, :, :2] = turn * (window / SIDE)[:, np.newaxis, np.newaxis]
    # The corners of a turned window are this far from its centre.
    reach = window * (np.abs(cosine) + np.abs(sine)) / 2
    room = np.maximum((BLOCK - 1) / 2 - reach, 0)[:, np.newaxis]
    matrices[:, :, 2] = (BLOCK - 1) / 2 + uniform(state, -1, 1, (count, 2)) * room
    return matrices
