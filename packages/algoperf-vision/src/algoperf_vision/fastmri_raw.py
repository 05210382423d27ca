"""Reading the fastMRI knee data (Zbontar et al. 2018), single coil, slice by slice.

    knee_singlecoil_train/*.h5      973 volumes
    knee_singlecoil_val/*.h5        199 volumes

As published, the first 100 volumes of `val` by name are the validation set, the others the test set. The
archives unpack to `singlecoil_train` and `singlecoil_val`, which are understood as well.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from algoperf_vision.raw_data import RawDataError, counted, find, missing, require_count

PLACES = ("fastmri", ".")
_ADVICE = (
    "Request the data at https://fastmri.med.nyu.edu, download knee_singlecoil_train.tar.xz and "
    "knee_singlecoil_val.tar.xz, and unpack them there (113 GB)."
)


@dataclass(frozen=True)
class FastmriSizes:
    """How many volumes and slices there must be."""

    train_volumes: int = 973
    validation_volumes: int = 100
    test_volumes: int = 99
    num_train: int = 34_742
    num_validation: int = 3_554
    num_test: int = 3_581


FASTMRI_SIZES = FastmriSizes()
SHARED_MASK = -1


@dataclass(frozen=True)
class Slice:
    """One slice of a volume.

    Args:
        kspace: `(rows, width)`, complex64, all columns; the width differs between volumes.
        target: The fully sampled image `(320, 320)`, float32.
        volume_max: Largest value of the volume's images; 0 where the file does not say.
        index: Number of a training slice, from 0; `SHARED_MASK` for slices that are only evaluated.
    """

    kspace: npt.NDArray[np.complex64]
    target: npt.NDArray[np.float32]
    volume_max: float
    index: int


def read_train(raw_dir: Path, sizes: FastmriSizes = FASTMRI_SIZES) -> Iterator[Slice]:
    """Slices of the training volumes, by file name.

    Args:
        raw_dir: Folder of downloaded originals.
        sizes: What the dataset must have.

    Raises:
        RawDataError: Originals are missing, damaged or incomplete.
    """
    volumes = _volumes(raw_dir, "train", sizes.train_volumes)
    return counted(_slices(volumes), sizes.num_train, "fastMRI, training slices")


def read_validation(raw_dir: Path, sizes: FastmriSizes = FASTMRI_SIZES) -> Iterator[Slice]:
    """Slices of the first volumes of the official validation set, by file name.

    Args:
        raw_dir: Folder of downloaded originals.
        sizes: What the dataset must have.

    Raises:
        RawDataError: Originals are missing, damaged or incomplete.
    """
    volumes = _held_out(raw_dir, sizes)[: sizes.validation_volumes]
    return counted(
        _slices(volumes, shared=True), sizes.num_validation, "fastMRI, validation slices"
    )


def read_test(raw_dir: Path, sizes: FastmriSizes = FASTMRI_SIZES) -> Iterator[Slice]:
    """Slices of the remaining volumes of the official validation set, by file name.

    Args:
        raw_dir: Folder of downloaded originals.
        sizes: What the dataset must have.

    Raises:
        RawDataError: Originals are missing, damaged or incomplete.
    """
    volumes = _held_out(raw_dir, sizes)[sizes.validation_volumes :]
    return counted(_slices(volumes, shared=True), sizes.num_test, "fastMRI, test slices")


def _held_out(raw_dir: Path, sizes: FastmriSizes) -> list[Path]:
    return _volumes(raw_dir, "val", sizes.validation_volumes + sizes.test_volumes)


def _volumes(raw_dir: Path, split: str, count: int) -> list[Path]:
    names = (f"knee_singlecoil_{split}", f"singlecoil_{split}")
    folder = find(raw_dir, PLACES, names)
    if folder is None or not folder.is_dir():
        raise missing(f"fastMRI, {split} volumes", raw_dir, PLACES, names, _ADVICE)
    volumes = sorted(folder.glob("*.h5"), key=lambda path: path.name)
    require_count(len(volumes), count, f"{folder}: volumes (*.h5)")
    return volumes


def _slices(volumes: Sequence[Path], shared: bool = False) -> Iterator[Slice]:
    numbers = itertools.repeat(SHARED_MASK) if shared else itertools.count()
    for path in volumes:
        for kspace, target, volume_max in _volume(path):
            yield Slice(kspace, target, volume_max, next(numbers))


def _volume(
    path: Path,
) -> Iterator[tuple[npt.NDArray[np.complex64], npt.NDArray[np.float32], float]]:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            kspace, targets = file["kspace"], file["reconstruction_esc"]
            if len(kspace) != len(targets) or kspace.ndim != 3:
                raise RawDataError(
                    f"{path}: kspace has shape {kspace.shape} and reconstruction_esc {targets.shape}; "
                    "expected (slices, rows, width) and as many images"
                )
            volume_max = float(file.attrs.get("max", 0.0))
            for one, target in zip(kspace, targets, strict=True):
                yield np.asarray(one, np.complex64), np.asarray(target, np.float32), volume_max
    except KeyError as error:
        raise RawDataError(
            f"{path}: has no field kspace or reconstruction_esc ({error.args[0]}). A single-coil volume for "
            "training or validation was expected; test volumes have no images."
        ) from error
    except OSError as error:
        raise RawDataError(
            f"{path}: cannot be read: {error}. The file is damaged or its unpacking stopped early: unpack it "
            "again."
        ) from error
