"""What a workload's data are: sizes, how they are made, and how examples become batches.

The functions are plain NumPy on whole batches, so that both frameworks train on the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from algoperf_workloads.store import (
    MANIFEST,
    Array,
    Columns,
    Splits,
    StoredDataset,
    read_dataset,
    require_hash,
    write_dataset,
)

Batch = dict[str, Array]


@dataclass(frozen=True)
class ArraySpec:
    """Shape of one example's array, without the batch axis, and its type."""

    shape: tuple[int, ...]
    dtype: str = "float32"

    def zeros(self, batch_size: int) -> Array:
        """An array of zeros `(batch_size, *shape)`."""
        return np.zeros((batch_size, *self.shape), self.dtype)


@dataclass(frozen=True, kw_only=True)
class DatasetDefinition:
    """The data of a workload.

    Args:
        name: Name of the folder that holds the prepared data.
        num_train_examples: Number of training examples.
        num_eval_train_examples: How many of them, the first ones, an evaluation looks at.
        num_validation_examples: Number of validation examples.
        num_test_examples: Number of test examples; None without a test split.
        make: `(raw_dir) -> {split: {column: (examples, ...)}}` for the splits `train`, `validation`
            and `test`; `raw_dir` is `data_dir`, where downloaded originals are looked for.
        preprocess: From columns of chosen examples `(batch, ...)` to a batch with `inputs` and
            `targets`, without randomness.
        arrays: What a batch holds, by key.
        augment: `(batch, generator) -> batch`, applied to training batches; None for none.
        content_hash: Hash that the prepared data must have; None accepts any.
        workers: Processes that prepare training batches ahead; 0 prepares them in the trial's own
            process, which is faster unless a batch takes longer than a training step.
    """

    name: str
    num_train_examples: int
    num_eval_train_examples: int
    num_validation_examples: int
    num_test_examples: int | None
    make: Callable[[Path], Splits]
    preprocess: Callable[[Columns], Batch]
    arrays: Mapping[str, ArraySpec]
    augment: Callable[[Batch, np.random.Generator], Batch] | None = None
    content_hash: str | None = None
    workers: int = 0

    def sizes(self) -> dict[str, int]:
        """Number of examples of each split that evaluations and training ask for."""
        sizes = {
            "train": self.num_train_examples,
            "eval_train": self.num_eval_train_examples,
            "validation": self.num_validation_examples,
        }
        return sizes if self.num_test_examples is None else sizes | {"test": self.num_test_examples}

    def is_prepared(self, data_dir: str | Path) -> bool:
        """Whether the prepared data are in a folder; nothing is read or made."""
        return (Path(data_dir).expanduser() / self.name / MANIFEST).is_file()

    def open(self, data_dir: str | Path) -> StoredDataset:
        """The prepared data, which are made first where they are missing.

        Raises:
            DatasetMismatchError: They are not the data that the workload is defined on.
        """
        folder = Path(data_dir).expanduser() / self.name
        if not self.is_prepared(data_dir):
            write_dataset(folder, self.make(folder.parent))
        dataset = read_dataset(folder)
        if self.content_hash is not None:
            require_hash(dataset, self.content_hash)
        return dataset

    def columns(self, splits: Mapping[str, Any], split: str) -> Columns:
        """Columns of a split; `eval_train` is the beginning of `train`.

        Raises:
            ValueError: There is no such split.
        """
        sizes = self.sizes()
        if split not in sizes:
            raise ValueError(f"unknown split {split!r}; {self.name} has {', '.join(sizes)}")
        stored = splits["train" if split == "eval_train" else split]
        return {name: array[: sizes[split]] for name, array in stored.items()}
