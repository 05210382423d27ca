"""fastMRI as a dataset: under-sampled and fully sampled knee images, slice by slice.

A slice keeps its under-sampling mask in all epochs, so its image is reconstructed once, when the data are
prepared, and not in every step.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from algoperf_vision.fastmri_preprocess import fastmri_batch
from algoperf_vision.fastmri_raw import (
    FASTMRI_SIZES,
    FastmriSizes,
    Slice,
    read_test,
    read_train,
    read_validation,
)
from algoperf_workloads.columns import Array, Columns
from algoperf_workloads.dataset import ArraySpec, DatasetDefinition

ARRAYS = ("inputs", "targets", "mean", "std", "volume_max")
_PART = 16
_FLOAT_BYTES = 4


def fastmri_dataset(
    *,
    num_eval_train_examples: int,
    sizes: FastmriSizes = FASTMRI_SIZES,
    image_size: int = 320,
    name: str = "fastmri",
) -> DatasetDefinition:
    """The single-coil knee data.

    Args:
        num_eval_train_examples: How many training slices an evaluation looks at.
        sizes: What the originals must have.
        image_size: Height and width of the images in the originals.
        name: Folder of the prepared data.
    """
    slices = sizes.num_train + sizes.num_validation + sizes.num_test
    return DatasetDefinition(
        name=name,
        num_train_examples=sizes.num_train,
        num_eval_train_examples=num_eval_train_examples,
        num_validation_examples=sizes.num_validation,
        num_test_examples=sizes.num_test,
        make=partial(_make, sizes=sizes),
        preprocess=slice_batch,
        arrays=slice_arrays(image_size),
        on_the_fly=False,
        prepared_bytes=2 * _FLOAT_BYTES * image_size**2 * slices,
        source="fastMRI single-coil knee volumes: request them at https://fastmri.med.nyu.edu, download "
        "knee_singlecoil_train.tar.xz and knee_singlecoil_val.tar.xz, and unpack them.",
        licence="fastMRI dataset sharing agreement: research and education only, after registration.",
    )


def slice_arrays(image_size: int) -> dict[str, ArraySpec]:
    """What a batch of slices holds."""
    image, number = ArraySpec((image_size, image_size)), ArraySpec(())
    return {name: image if name in ("inputs", "targets") else number for name in ARRAYS}


def slice_batch(columns: Columns) -> dict[str, Array]:
    """The stored arrays: all that is left to do is to read them."""
    return {name: np.asarray(columns[name]) for name in ARRAYS}


def slice_columns(slices: Iterable[Slice]) -> Iterator[dict[str, Array]]:
    """Reconstructs slices and normalises them, a few at a time."""
    slices = iter(slices)
    while part := list(islice(slices, _PART)):
        yield fastmri_batch(
            {
                "kspace": [one.kspace for one in part],
                "target": np.array([one.target for one in part]),
                "volume_max": np.array([one.volume_max for one in part]),
                "index": np.array([one.index for one in part]),
            }
        )


def _make(raw_dir: Path, *, sizes: FastmriSizes) -> dict[str, Any]:
    return {
        "train": slice_columns(read_train(raw_dir, sizes)),
        "validation": slice_columns(read_validation(raw_dir, sizes)),
        "test": slice_columns(read_test(raw_dir, sizes)),
    }


FASTMRI_DATA = fastmri_dataset(num_eval_train_examples=3_584)
