"""The development workload `mnist`: which digit is it, by one hidden layer."""

from __future__ import annotations

from functools import partial

from algoperf_core.spec import LossType
from algoperf_vision import mlp
from algoperf_vision.image_augmentations import normalise
from algoperf_vision.labelled_images import LabelledSizes, labelled_dataset
from algoperf_vision.mnist_raw import MNIST_SIZES, SHAPE, read_mnist
from algoperf_workloads import WorkloadDefinition
from algoperf_workloads.batches import Batch
from algoperf_workloads.columns import Columns
from algoperf_workloads.dataset import DatasetDefinition

_MEAN, _DEVIATION = 0.1307, 0.3081


def preprocess(columns: Columns) -> Batch:
    """Normalises images `(batch, 28, 28, 1)`, float32.

    Mean and deviation are meant for pixels from 0 to 1, but applied to 0 to 255, as published.
    """
    inputs = normalise(columns["images"], (_MEAN,), (_DEVIATION,))
    return {"inputs": inputs, "targets": columns["labels"]}


def mnist_dataset(
    *,
    num_eval_train_examples: int,
    sizes: LabelledSizes = MNIST_SIZES,
    name: str = "mnist",
) -> DatasetDefinition:
    """MNIST (LeCun et al. 1998).

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
        make=partial(read_mnist, sizes=sizes),
        preprocess=preprocess,
        source="the four files of MNIST from https://ossci-datasets.s3.amazonaws.com/mnist/",
        licence="CC BY-SA 3.0",
    )


WORKLOAD = WorkloadDefinition(
    name="mnist",
    summary="MNIST digits, one hidden layer; for development",
    loss_type=LossType.SOFTMAX_CROSS_ENTROPY,
    dataset=mnist_dataset(num_eval_train_examples=10_000),
    model=mlp.MNIST,
    eval_batch_size=10_000,
)
