"""The workload `fastmri_mini`: fastMRI's U-Net made small, on phantoms under-sampled as knees are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from algoperf_vision import unet
from algoperf_vision.fastmri import FASTMRI
from algoperf_vision.fastmri_data import slice_arrays, slice_batch, slice_columns
from algoperf_vision.fastmri_raw import Slice
from algoperf_vision.image_sampling import Array, SplitSizes
from algoperf_vision.phantoms import PhantomStyle, make_phantoms
from algoperf_workloads.dataset import DatasetDefinition
from algoperf_workloads.store_writing import Splits

SIZES = SplitSizes(train=2_000, validation=128, test=128)
STYLE = PhantomStyle(size=64)


def phantom_dataset(sizes: SplitSizes = SIZES, style: PhantomStyle = STYLE) -> DatasetDefinition:
    """Phantoms, reconstructed from a quarter of their k-space when they are first needed.

    Args:
        sizes: Slices of each split.
        style: What they look like.
    """
    slices = sizes.train + sizes.validation + sizes.test
    return DatasetDefinition(
        name="phantoms",
        num_train_examples=sizes.train,
        num_eval_train_examples=min(64, sizes.train),
        num_validation_examples=sizes.validation,
        num_test_examples=sizes.test,
        make=partial(_make, sizes=sizes, style=style),
        preprocess=slice_batch,
        arrays=slice_arrays(style.size),
        prepared_bytes=2 * np.dtype(np.float32).itemsize * style.size**2 * slices,
        source="Random ellipses after Shepp and Logan (1974); nothing to download.",
        licence="none needed: they are computed",
    )


def _make(raw_dir: Path, *, sizes: SplitSizes, style: PhantomStyle) -> Splits:
    del raw_dir
    made = make_phantoms(sizes, style)
    return {split: slice_columns(_slices(columns)) for split, columns in made.items()}


def _slices(columns: dict[str, Array]) -> Iterator[Slice]:
    for kspace, target, volume_max, index in zip(
        *(columns[name] for name in ("kspace", "target", "volume_max", "index")), strict=True
    ):
        yield Slice(kspace=kspace, target=target, volume_max=float(volume_max), index=int(index))


FASTMRI_MINI = replace(
    FASTMRI,
    name="fastmri_mini",
    summary="magnetic-resonance phantoms, a small U-Net; needs no download",
    dataset=phantom_dataset(),
    model=unet.unet(num_channels=8, num_pool_layers=3),
    eval_batch_size=64,
)
