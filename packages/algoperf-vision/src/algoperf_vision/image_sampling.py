"""Drawing generated images: many small views of a stack of pictures at once.

Only sums, products and quotients are used, whose results are the same on every machine, and the random
stream of `RandomState`, which NumPy never changes: generated datasets are recognised by the hash of their
content.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from algoperf_core.errors import WorkloadError

Array = npt.NDArray[Any]
Float = npt.NDArray[np.float32]

# Images made at once: enough to amortise calls, few enough to stay near the processor.
CHUNK = 64


@dataclass(frozen=True)
class SplitSizes:
    """How many examples to make."""

    train: int = 40_000
    validation: int = 5_000
    test: int = 5_000

    def items(self) -> Iterator[tuple[str, int]]:
        """Name and size of each split."""
        yield from (("train", self.train), ("validation", self.validation), ("test", self.test))


IMAGE_SPLITS = SplitSizes()


class MissingPackageError(WorkloadError):
    """Pictures are taken from a package that is not installed."""


def package_folder(module: str, distribution: str) -> Path:
    """Where a package lies whose pictures or typefaces are used; it is not imported.

    Args:
        module: Name by which it is imported.
        distribution: Name by which it is installed.

    Raises:
        MissingPackageError: It is not installed.
    """
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise MissingPackageError(
            f"{distribution} is not installed, from which images are made. Run: pip install {distribution} "
            'or pip install "algoperf-vision[generated]"'
        )
    return Path(spec.origin).parent


def bilinear_views(pictures: Array, which: Array, matrices: Float, size: int) -> Float:
    """Square views of pictures; what lies outside a picture continues its border.

    Args:
        pictures: `(pictures, height, width, channels)`.
        which: Picture of each view, `(views,)`.
        matrices: `(views, 2, 3)`: pixel (x, y) of a view, counted from its centre, shows the point
            `matrix (x, y, 1)` of its picture, (column, row) counted from the first pixel.
        size: Side of the views, pixels.

    Returns:
        `(views, size, size, channels)`, float32.
    """
    height, width = pictures.shape[1:3]
    steps = np.arange(size, dtype=np.float32) - np.float32((size - 1) / 2)
    rows = matrices[:, :, 1, np.newaxis, np.newaxis] * steps[:, np.newaxis]
    points = matrices[:, :, 0, np.newaxis, np.newaxis] * steps + rows
    points += matrices[:, :, 2, np.newaxis, np.newaxis]
    x, y = points[:, 0].clip(0, width - 1), points[:, 1].clip(0, height - 1)
    left, top = (
        np.minimum(p.astype(np.intp), last) for p, last in ((x, width - 2), (y, height - 2))
    )
    across, down = (x - left)[..., np.newaxis], (y - top)[..., np.newaxis]
    first = (which[:, np.newaxis, np.newaxis] * height + top) * width + left
    flat = pictures.reshape(-1, pictures.shape[3])
    upper = _between(flat, first, across)
    views: Float = upper + (_between(flat, first + width, across) - upper) * down
    return views


def _between(pixels: Array, first: Array, share: Float) -> Float:
    one = pixels.take(first, axis=0).astype(np.float32)
    mixed: Float = one + (pixels.take(first + 1, axis=0) - one) * share
    return mixed


def unit_vectors(half_tangents: Array) -> tuple[Array, Array]:
    """Cosine and sine of angles, from the tangents of half the angles."""
    square = half_tangents * half_tangents
    return (1 - square) / (1 + square), 2 * half_tangents / (1 + square)


def uniform(state: np.random.RandomState, low: float, high: float, shape: tuple[int, ...]) -> Float:
    """Numbers from `[low, high)`, `shape`, float32."""
    return (low + (high - low) * state.random_sample(shape)).astype(np.float32)


def grain(state: np.random.RandomState, amplitude: float, shape: tuple[int, ...]) -> Float:
    """Noise with a triangular density from `-amplitude` to `amplitude`, `shape`."""
    one, other = state.randint(0, 256, (2, *shape), np.uint8)
    noise: Float = (one.astype(np.float32) - other) * np.float32(amplitude / 255)
    return noise


def draw_splits(
    sizes: SplitSizes,
    seed: int,
    draw: Callable[[str, int, np.random.RandomState], Mapping[str, Array]],
) -> dict[str, dict[str, Array]]:
    """Draws all splits, chunk by chunk.

    Args:
        sizes: Examples of each split.
        seed: Chooses everything; each split has a stream of its own.
        draw: `(split, count, state) -> columns`.

    Returns:
        Columns `(examples, ...)` of each split.
    """
    splits = {}
    for number, (split, size) in enumerate(sizes.items()):
        state = np.random.RandomState([seed, number])
        counts = [CHUNK] * (size // CHUNK) + [size % CHUNK]
        chunks = [draw(split, count, state) for count in counts]
        splits[split] = {
            name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]
        }
    return splits
