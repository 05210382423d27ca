"""ImageNet as a dataset: photographs as they were published, decoded when a batch needs them.

ResNet and ViT share the prepared data and train on different batches of them. The test split is ImageNet-v2.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from algoperf_vision.imagenet_preprocess import ImagenetPreprocessing
from algoperf_vision.imagenet_raw import (
    IMAGENET_SIZES,
    ImagenetSizes,
    read_test,
    read_train,
    read_validation,
)
from algoperf_vision.randaugment import RandAugment
from algoperf_vision.raw_data import LabelledImage
from algoperf_workloads.dataset import ArraySpec, DatasetDefinition

MIXUP_ALPHA = 0.2
_PART = 256
_SOURCE = (
    "ImageNet 2012 (ILSVRC2012_img_train.tar, ILSVRC2012_img_val.tar, ILSVRC2012_devkit_t12.tar.gz from "
    "https://image-net.org/download-images.php, or unpacked, or an export of the hub's imagenet-1k), and "
    "ImageNet-v2 (imagenetv2-matched-frequency.tar.gz from https://huggingface.co/datasets/vaishaal/ImageNetV2)."
)


def imagenet_dataset(
    preprocessing: ImagenetPreprocessing,
    *,
    num_eval_train_examples: int,
    sizes: ImagenetSizes = IMAGENET_SIZES,
    name: str = "imagenet",
    workers: int = 8,
) -> DatasetDefinition:
    """ImageNet with a way to make batches of it.

    Args:
        preprocessing: From photographs to batches.
        num_eval_train_examples: How many training photographs an evaluation looks at.
        sizes: What the originals must have.
        name: Folder of the prepared data; datasets of one name share them.
        workers: Processes that decode.
    """
    side = preprocessing.image_size
    return DatasetDefinition(
        name=name,
        num_train_examples=sizes.num_train,
        num_eval_train_examples=num_eval_train_examples,
        num_validation_examples=sizes.num_validation,
        num_test_examples=sizes.num_test,
        make=partial(_make, sizes=sizes),
        preprocess=preprocessing.eval_batch,
        train=preprocessing.train_batch,
        arrays={"inputs": ArraySpec((side, side, 3)), "targets": _targets(preprocessing)},
        # Enough photographs that a call costs little beside them, few enough that ranks can share a batch.
        block_size=16,
        workers=workers,
        on_the_fly=False,
        prepared_bytes=110_000 * (sizes.num_train + sizes.num_validation + sizes.num_test),
        source=_SOURCE,
        licence="ImageNet: research and education only, after registration. ImageNet-v2: MIT.",
    )


def photograph_columns(images: Iterable[LabelledImage]) -> Iterator[dict[str, Any]]:
    """Columns `jpeg`, the files as bytes, and `label` `(examples,)`, int32, some hundred images at a time."""
    images = iter(images)
    while part := list(islice(images, _PART)):
        yield {
            "jpeg": [image.data for image in part],
            "label": np.array([image.label for image in part], np.int32),
        }


def _make(raw_dir: Path, *, sizes: ImagenetSizes) -> dict[str, Any]:
    return {
        "train": photograph_columns(read_train(raw_dir, sizes)),
        "validation": photograph_columns(read_validation(raw_dir, sizes)),
        "test": photograph_columns(read_test(raw_dir, sizes)),
    }


def _targets(preprocessing: ImagenetPreprocessing) -> ArraySpec:
    if preprocessing.mixup_alpha is None:
        return ArraySpec((), "int32")
    return ArraySpec((preprocessing.num_classes,))


IMAGENET_RESNET_DATA = imagenet_dataset(ImagenetPreprocessing(), num_eval_train_examples=50_176)
"""Random crops and mirrors."""

IMAGENET_VIT_DATA = imagenet_dataset(
    ImagenetPreprocessing(randaugment=RandAugment(), mixup_alpha=MIXUP_ALPHA),
    num_eval_train_examples=51_200,
)
"""The same, RandAugment and mixup."""
