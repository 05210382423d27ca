"""From k-space slices to batches of the fastMRI workload: under-sample, transform, crop, normalise.

As published: a quarter of the columns of k-space is kept, 8 % around the centre always, the rest by chance. A
training slice has one mask for all epochs. Slices that are only evaluated share one mask per width, made from
the very numbers that the published pipeline draws, which come with this package.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any

import numpy as np
import numpy.typing as npt

from algoperf_core.errors import WorkloadError

Array = npt.NDArray[Any]
Float = npt.NDArray[np.float32]
Complex = npt.NDArray[np.complex64]
Bool = npt.NDArray[np.bool_]

ACCELERATION = 4
CENTRE_FRACTION = 0.08
CLIP = 6.0
# Together with a slice's number, the seed of its mask.
_MASK_SEED = 20180918
_UNIFORMS = "fastmri_eval_uniforms.npy"


class KspaceError(WorkloadError):
    """A k-space slice does not fit its workload."""


def kept_columns(width: int, uniforms: Float) -> Bool:
    """Which columns of k-space are measured.

    Args:
        width: Columns of the slice.
        uniforms: A number from [0, 1) for each column, `(width,)`.

    Returns:
        `(width,)`.
    """
    centre = int(np.float32(width) * np.float32(CENTRE_FRACTION))
    probability = (width / ACCELERATION - centre) / (width - centre)
    kept = uniforms < np.float32(probability)
    start = (width - centre + 1) // 2
    kept[start : start + centre] = True
    return kept


@lru_cache(maxsize=64)
def shared_mask(width: int) -> Bool:
    """The mask `(width,)` that all evaluated slices of this width share.

    Raises:
        KspaceError: There are no published draws for so many columns.
    """
    with (files("algoperf_vision") / _UNIFORMS).open("rb") as file:
        uniforms = np.load(file, allow_pickle=False)
    if width > len(uniforms):
        raise KspaceError(
            f"a slice has {width} columns of k-space; the shared mask is defined up to {len(uniforms)}"
        )
    mask = kept_columns(width, uniforms[:width])
    mask.flags.writeable = False
    return mask


def training_mask(width: int, index: int) -> Bool:
    """The mask `(width,)` of a training slice, which depends on its number alone."""
    generator = np.random.default_rng((_MASK_SEED, index))
    return kept_columns(width, generator.random(width, np.float32))


def reconstruct(kspace: Complex, mask: Bool, size: tuple[int, int]) -> Float:
    """Magnitude of the image of under-sampled k-space, its centre.

    Equal to the centred, orthonormal inverse transform of the masked slice. Columns that are not measured are
    not transformed, rows outside the crop not completed, and shifts of k-space only turn phases.

    Args:
        kspace: `(rows, width)`, zero frequency in the middle.
        mask: Measured columns, `(width,)`.
        size: Height and width of the result.

    Returns:
        `(height, width)`, float32.
    """
    import scipy.fft

    rows, width = kspace.shape
    measured = np.ascontiguousarray(kspace[:, mask].T)
    along_rows = scipy.fft.ifft(measured, axis=1, norm="ortho", overwrite_x=True, workers=1)
    half = np.zeros((size[0], width), np.complex64)
    half[:, mask] = along_rows[:, _centre(rows, size[0])].T
    image = scipy.fft.ifft(half, axis=1, norm="ortho", overwrite_x=True, workers=1)
    magnitude: Float = np.abs(image[:, _centre(width, size[1])])
    return magnitude


def _centre(length: int, size: int) -> npt.NDArray[np.int64]:
    """Positions in a transform of the `size` pixels in the middle of the image."""
    start = (length - size) // 2
    return (np.arange(start, start + size) - length // 2) % length


def normalise_pair(image: Float, target: Float) -> tuple[Float, Float, np.float32, np.float32]:
    """Normalises an image and its target by the image's mean and population standard deviation.

    Args:
        image: Reconstruction from under-sampled k-space, `(height, width)`.
        target: Reconstruction from all of it, likewise.

    Returns:
        Both, clipped to -6..6, then mean and standard deviation.
    """
    mean, deviation = image.mean(dtype=np.float32), image.std(dtype=np.float32)
    inputs = ((image - mean) / deviation).clip(-CLIP, CLIP)
    targets = ((target - mean) / deviation).clip(-CLIP, CLIP)
    return inputs, targets, mean, deviation


def fastmri_batch(columns: Mapping[str, Any]) -> dict[str, Array]:
    """Makes a batch of slices, whose k-space may differ in width.

    Args:
        columns: `kspace`, for each slice an array `(rows, width)`, complex64; `target`
            `(batch, height, width)`; `volume_max` `(batch,)`; `index` `(batch,)`, the number of a training
            slice, negative for the shared mask.

    Returns:
        `inputs` and `targets` `(batch, height, width)`, `mean`, `std` and `volume_max` `(batch,)`, float32.

    Raises:
        KspaceError: K-space is smaller than the target.
    """
    targets = np.array(columns["target"], np.float32)
    inputs = np.empty_like(targets)
    mean, std = np.empty((2, len(targets)), np.float32)
    for number, kspace in enumerate(columns["kspace"]):
        image = _image(kspace, int(columns["index"][number]), targets.shape[1:])
        inputs[number], targets[number], mean[number], std[number] = normalise_pair(
            image, targets[number]
        )
    volume_max = np.asarray(columns["volume_max"], np.float32)
    return {
        "inputs": inputs,
        "targets": targets,
        "mean": mean,
        "std": std,
        "volume_max": volume_max,
    }


def _image(kspace: Complex, index: int, size: tuple[int, ...]) -> Float:
    rows, width = kspace.shape
    if rows < size[0] or width < size[1]:
        raise KspaceError(
            f"k-space of {rows} x {width} is smaller than the target of {size[0]} x {size[1]}"
        )
    mask = shared_mask(width) if index < 0 else training_mask(width, index)
    return reconstruct(kspace, mask, (size[0], size[1]))
