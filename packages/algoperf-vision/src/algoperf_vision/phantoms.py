"""Generated magnetic-resonance slices: random ellipses after Shepp and Logan (1974), and their k-space.

A slice is a head of ellipses with a smooth texture, a slowly turning phase and noise from the receiver. Its
k-space is what a scanner with one coil would measure, and the target the image of all of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from algoperf_vision.fastmri_raw import SHARED_MASK
from algoperf_vision.image_sampling import SplitSizes, unit_vectors

Array = npt.NDArray[Any]
Float = npt.NDArray[np.float32]

PHANTOM_SIZES = SplitSizes(train=2_000, validation=300, test=300)


@dataclass(frozen=True)
class PhantomStyle:
    """What the slices look like.

    Args:
        size: Height and width of k-space and image, pixels.
        ellipses: Smallest and largest number of ellipses within the head.
        texture: Largest change of brightness by texture, relative.
        noise: Standard deviation of real and imaginary noise, relative to the head's brightness of about 1.
    """

    size: int = 128
    ellipses: tuple[int, int] = (8, 16)
    texture: float = 0.3
    noise: float = 0.02


PLAIN_PHANTOMS = PhantomStyle()


def make_phantoms(
    sizes: SplitSizes = PHANTOM_SIZES, style: PhantomStyle = PLAIN_PHANTOMS, seed: int = 0
) -> dict[str, dict[str, Array]]:
    """Draws a dataset; a slice depends on its split and number alone, not on how many there are.

    Args:
        sizes: Examples of each split.
        style: What they look like.
        seed: Chooses everything.

    Returns:
        For `train`, `validation` and `test` the columns of fastMRI: `kspace` `(examples, size, size)`,
        complex64, `target` `(examples, size, size)`, float32, `volume_max` `(examples,)`, float32, and
        `index` `(examples,)`, int32.
    """
    splits = {}
    for number, (split, count) in enumerate(sizes.items()):
        columns = _empty(count, style.size)
        for example in range(count):
            state = np.random.RandomState([seed, number, example])
            kspace, target = _slice(style, state)
            columns["kspace"][example], columns["target"][example] = kspace, target
        columns["volume_max"][:] = columns["target"].max((1, 2), initial=0)
        columns["index"][:] = np.arange(count) if split == "train" else SHARED_MASK
        splits[split] = columns
    return splits


def _empty(count: int, size: int) -> dict[str, Array]:
    return {
        "kspace": np.empty((count, size, size), np.complex64),
        "target": np.empty((count, size, size), np.float32),
        "volume_max": np.empty(count, np.float32),
        "index": np.empty(count, np.int32),
    }


def _slice(style: PhantomStyle, state: np.random.RandomState) -> tuple[Array, Array]:
    """K-space with the zero frequency in the middle, and the magnitude of its image."""
    import scipy.fft

    image = phantom(style, state) * _phase(style.size, state)
    noise = state.standard_normal((2, style.size, style.size)) * style.noise
    image = (image + noise[0] + 1j * noise[1]).astype(np.complex64)
    centred = np.fft.ifftshift(image)
    kspace = np.fft.fftshift(scipy.fft.fft2(centred, norm="ortho", workers=1))
    return kspace, np.abs(image)


def phantom(style: PhantomStyle, state: np.random.RandomState) -> Float:
    """The tissue of one slice.

    Args:
        style: What it looks like.
        state: Draws its anatomy.

    Returns:
        `(size, size)`, float32, not negative, 0 outside the head.
    """
    height, width = state.uniform(0.7, 0.92, 2)
    centre, turn = state.uniform(-0.05, 0.05, 2), state.uniform(-0.1, 0.1)
    skull = _ellipse(style.size, centre, (width, height), turn)
    head = _ellipse(style.size, centre, (width * 0.92, height * 0.94), turn)
    tissue = np.full_like(head, 0.5)
    for _ in range(state.randint(style.ellipses[0], style.ellipses[1] + 1)):
        place = state.uniform(-0.6, 0.6, 2) * (width, height)
        axes = 0.03 + 0.35 * state.random_sample(2) ** 2
        inside = _ellipse(style.size, place, (axes[0], axes[1]), state.uniform(-1, 1))
        tissue += np.float32(state.uniform(-0.35, 0.5)) * inside
    tissue *= 1 + np.float32(style.texture) * _texture(style.size, state)
    slice_: Float = np.maximum(tissue, 0) * head + (skull - head).clip(0, 1)
    return slice_


def _grid(size: int) -> tuple[Float, Float]:
    """Coordinates from -1 to 1: a row of x, a column of y."""
    steps = ((np.arange(size) + 0.5) * (2 / size) - 1).astype(np.float32)
    return steps, steps[:, np.newaxis]


def _ellipse(size: int, centre: Array, axes: tuple[float, float], half_turn: float) -> Float:
    """Coverage of an ellipse, with an edge about a pixel wide."""
    x, y = _grid(size)
    cosine, sine = (np.float32(value) for value in unit_vectors(np.array(half_turn)))
    across, down = x - np.float32(centre[0]), y - np.float32(centre[1])
    first, second = np.float32(1 / axes[0]), np.float32(1 / axes[1])
    u = across * (cosine * first) + down * (sine * first)
    v = down * (cosine * second) - across * (sine * second)
    # To first order, pixels between a point and the border.
    slope = np.float32(size / 4 * min(axes))
    coverage: Float = ((1 - (u * u + v * v)) * slope + np.float32(0.5)).clip(0, 1)
    return coverage


def _texture(size: int, state: np.random.RandomState) -> Float:
    """Smooth noise of three sizes, within -1 and 1."""
    total = np.zeros((size, size), np.float32)
    for cells, weight in ((4, 0.4), (10, 0.35), (24, 0.25)):
        grid = state.uniform(-weight, weight, (cells + 1, cells + 1)).astype(np.float32)
        total += _smooth(_smooth(grid, size).T, size).T
    return total


def _smooth(grid: Float, size: int) -> Float:
    """Interpolates rows `(cells + 1, n)` to `(size, n)`."""
    points = (np.arange(size) + 0.5) * ((len(grid) - 1) / size)
    below = points.astype(np.intp)
    share = (points - below).astype(np.float32)[:, np.newaxis]
    # The smooth step, so that no edges show at the grid.
    share = share * share * (3 - 2 * share)
    return grid[below] + (grid[below + 1] - grid[below]) * share


def _phase(size: int, state: np.random.RandomState) -> Array:
    """Numbers of magnitude 1 whose angle changes slowly over the image."""
    x, y = _grid(size)
    a, b, c, d, e = state.uniform(-0.4, 0.4, 5).astype(np.float32)
    cosine, sine = unit_vectors(a + b * x + c * y + d * x * y + e * (x * x - y * y))
    return cosine + 1j * sine
