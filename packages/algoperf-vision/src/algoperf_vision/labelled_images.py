"""Small labelled images that are stored whole: how the official files become splits, and splits a dataset."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from algoperf_vision.raw_data import require_count
from algoperf_workloads.batches import Batch
from algoperf_workloads.columns import Columns as Chosen
from algoperf_workloads.dataset import ArraySpec, DatasetDefinition

Columns = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class LabelledSizes:
    """How many images there must be; validation images are the last of the official training set."""

    num_train: int
    num_validation: int
    num_test: int


def split_official(
    train: Columns, test: Columns, sizes: LabelledSizes, name: str
) -> dict[str, Columns]:
    """Cuts the validation set off the official training set.

    Args:
        train: `images` `(examples, ...)` and `labels` `(examples,)` of the official training set.
        test: The same of the test set.
        sizes: What the dataset must have.
        name: Name of the dataset, for messages.

    Raises:
        RawDataError: There are more or fewer images.
    """
    official = sizes.num_train + sizes.num_validation
    require_count(len(train["labels"]), official, f"{name}, official training images")
    require_count(len(test["labels"]), sizes.num_test, f"{name}, test images")
    return {
        "train": {key: column[: sizes.num_train] for key, column in train.items()},
        "validation": {key: column[sizes.num_train :] for key, column in train.items()},
        "test": test,
    }


def labelled_dataset(
    *,
    name: str,
    shape: tuple[int, ...],
    sizes: LabelledSizes,
    num_eval_train_examples: int,
    make: Callable[[Path], dict[str, Columns]],
    preprocess: Callable[[Chosen], Batch],
    train: Callable[[Chosen, np.random.Generator], Batch] | None = None,
    source: str,
    licence: str,
    on_the_fly: bool = False,
    content_hash: str | None = None,
) -> DatasetDefinition:
    """A dataset of small images, float32 in batches, with one label each.

    Args:
        name: Folder of the prepared data.
        shape: Height, width and channels of an image.
        sizes: Examples of each split.
        num_eval_train_examples: How many training images an evaluation looks at.
        make: Reads the originals, or makes the images.
        preprocess: From stored images to a batch.
        train: The same with random transformations; None for `preprocess`.
        source: Where the originals come from.
        licence: Their terms.
        on_the_fly: Whether a trial makes the data where they are missing.
        content_hash: Hash that the prepared data must have; None accepts any.
    """
    images = sizes.num_train + sizes.num_validation + sizes.num_test
    return DatasetDefinition(
        name=name,
        num_train_examples=sizes.num_train,
        num_eval_train_examples=num_eval_train_examples,
        num_validation_examples=sizes.num_validation,
        num_test_examples=sizes.num_test,
        make=make,
        preprocess=preprocess,
        train=train,
        arrays={"inputs": ArraySpec(shape), "targets": ArraySpec((), "int32")},
        content_hash=content_hash,
        on_the_fly=on_the_fly,
        prepared_bytes=(prod(shape) + np.dtype(np.int32).itemsize) * images,
        source=source,
        licence=licence,
    )
