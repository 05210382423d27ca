"""The development workload `cifar`: CIFAR-10, a ResNet-18."""

from __future__ import annotations

from functools import partial

import numpy as np

from algoperf_core.spec import LossType
from algoperf_vision import resnet
from algoperf_vision.cifar_raw import CIFAR_SIZES, SHAPE, read_cifar
from algoperf_vision.image_augmentations import (
    CIFAR_MEAN,
    CIFAR_PADDING,
    CIFAR_STANDARD_DEVIATION,
    normalise,
    pad_crop_flip,
)
from algoperf_vision.labelled_images import LabelledSizes, labelled_dataset
from algoperf_workloads import WorkloadDefinition
from algoperf_workloads.batches import Batch
from algoperf_workloads.columns import Columns
from algoperf_workloads.dataset import DatasetDefinition

_MEAN = tuple(255 * value for value in CIFAR_MEAN)
_DEVIATION = tuple(255 * value for value in CIFAR_STANDARD_DEVIATION)


def preprocess(columns: Columns) -> Batch:
    """Normalises images `(batch, 32, 32, 3)` by channel, float32."""
    inputs = normalise(columns["images"], _MEAN, _DEVIATION)
    return {"inputs": inputs, "targets": columns["labels"]}


def train(columns: Columns, generator: np.random.Generator) -> Batch:
    """The same of images that are moved by up to two pixels, black moving in, and half of them mirrored."""
    images = pad_crop_flip(columns["images"], CIFAR_PADDING, generator)
    return preprocess({**columns, "images": images})


def cifar_dataset(
    *,
    num_eval_train_examples: int,
    sizes: LabelledSizes = CIFAR_SIZES,
    name: str = "cifar10",
) -> DatasetDefinition:
    """CIFAR-10 (Krizhevsky 2009).

    Args:
        num_eval_train_examples: How many training images an evaluation looks at.
        sizes: What the originals must have.
        name: Folder of the prepared data.
    """
    return labelled_dataset(
        name=name,
        shape=SHAPE,
        sizes=sizes,
        num_eval_train_examples=num_eval_train_examples,
        make=partial(read_cifar, sizes=sizes),
        preprocess=preprocess,
        train=train,
        source="CIFAR-10, binary version: https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        licence="no licence is stated; cite Krizhevsky (2009)",
    )


WORKLOAD = WorkloadDefinition(
    name="cifar",
    summary="CIFAR-10 images, ResNet-18; for development",
    loss_type=LossType.SOFTMAX_CROSS_ENTROPY,
    dataset=cifar_dataset(num_eval_train_examples=5_120),
    model=resnet.CIFAR,
    eval_batch_size=1024,
)
