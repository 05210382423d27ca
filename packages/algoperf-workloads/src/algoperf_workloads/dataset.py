"""What a workload's data are: sizes, how they are made, and how examples become batches.

The functions are plain NumPy on whole batches, so that both frameworks train on the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from algoperf_core.data_commands import DataDescription
from algoperf_core.errors import WorkloadError
from algoperf_workloads.batches import Batch
from algoperf_workloads.columns import Array, Columns, Examples, evenly_spaced
from algoperf_workloads.store import (
    MANIFEST,
    Report,
    StoredDataset,
    read_dataset,
    require_examples,
    require_hash,
    silent,
    verify_dataset,
)
from algoperf_workloads.store_writing import Splits, work_folder, write_dataset


class DatasetNotPreparedError(WorkloadError):
    """A dataset takes long to prepare and is not there."""


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

    `columns` in the functions below hold chosen examples: an array `(batch, ...)` for each fixed-size
    column, a list of `memoryview` for each binary one, and `index` `(batch,)`, the positions of the examples
    in the stored split.

    Args:
        name: Name of the dataset; the prepared data are in the folder `prepared/<name>`.
        num_train_examples: Number of training examples.
        num_eval_train_examples: How many of them, evenly spaced in their stored order, an evaluation looks
            at.
        num_validation_examples: Number of validation examples.
        num_test_examples: Number of test examples; None without a test split.
        make: `(raw_dir) -> {split: examples}` for the splits `train`, `validation` and `test`, where
            examples are columns `(examples, ...)`, or where they do not fit into memory an iterator of such
            columns, a part at a time, or a `Stream`; `raw_dir` is where downloaded originals lie.
        preprocess: `(columns) -> batch` with `inputs` and `targets`, without randomness; what evaluations
            see.
        arrays: What a batch holds, by key: an array, or a tuple of arrays such as audio and its paddings.
        train: `(columns, generator) -> batch`, what training sees, with random transformations; None for
            `preprocess`.
        block_size: `train` is called on blocks of this many rows of a global batch, each with a generator of
            its own, so that a process that needs some rows prepares no others (up to the ends of blocks);
            None for whole global batches, which suits transformations that cost next to nothing.
        content_hash: Hash that the prepared data must have; None accepts any.
        workers: Processes that prepare batches ahead; 0 prepares them in the trial's own process, which is
            faster unless a batch takes longer than a training step.
        on_the_fly: Whether opening the data makes them where they are missing, which should take seconds;
            otherwise `algoperf data prepare` has to make them.
        prepared_bytes: About how much space the prepared data take, in bytes; 0 for next to none.
        source: Where the data come from, and what has to be downloaded to where; one paragraph.
        licence: Terms of the data, such as a registration.
    """

    name: str
    num_train_examples: int
    num_eval_train_examples: int
    num_validation_examples: int
    num_test_examples: int | None
    make: Callable[[Path], Splits]
    preprocess: Callable[[Columns], Batch]
    arrays: Mapping[str, ArraySpec | tuple[ArraySpec, ...]]
    train: Callable[[Columns, np.random.Generator], Batch] | None = None
    block_size: int | None = None
    content_hash: str | None = None
    workers: int = 0
    on_the_fly: bool = True
    prepared_bytes: int = 0
    source: str = ""
    licence: str = ""

    def sizes(self) -> dict[str, int]:
        """Number of examples of each split that evaluations and training ask for."""
        sizes = {
            "train": self.num_train_examples,
            "eval_train": self.num_eval_train_examples,
            "validation": self.num_validation_examples,
        }
        return sizes if self.num_test_examples is None else sizes | {"test": self.num_test_examples}

    def folder(self, data_dir: str | Path) -> Path:
        """Where the prepared data lie, apart from originals, which may have a folder of the same name."""
        return Path(data_dir).expanduser() / "prepared" / self.name

    def is_prepared(self, data_dir: str | Path) -> bool:
        """Whether the prepared data are in a folder; nothing is read or made."""
        return (self.folder(data_dir) / MANIFEST).is_file()

    def describe(self, data_dir: str | Path) -> DataDescription:
        """What the data are and whether they are prepared."""
        folder = self.folder(data_dir)
        prepared = self.is_prepared(data_dir)
        return DataDescription(
            dataset=self.name,
            folder=str(folder),
            prepared=prepared,
            on_the_fly=self.on_the_fly,
            num_bytes=_size(folder) if prepared else self.prepared_bytes,
            started_bytes=_size(work_folder(folder)),
            source=self.source,
            licence=self.licence,
        )

    def prepare(
        self, data_dir: str | Path, raw_dir: str | Path | None = None, report: Report = silent
    ) -> StoredDataset:
        """Makes the prepared data where they are missing, continuing what was interrupted.

        Args:
            data_dir: Where prepared data are kept.
            raw_dir: Where downloaded originals lie; `data_dir` by default.
            report: Told about the progress.

        Raises:
            StoreError: The data cannot be written.
            DatasetMismatchError: What was made is not what the workload is defined on.
        """
        originals = Path(raw_dir or data_dir).expanduser()
        write_dataset(self.folder(data_dir), lambda: self.make(originals), report)
        return self._read(data_dir)

    def open(self, data_dir: str | Path) -> StoredDataset:
        """The prepared data, which are made first where they are missing and made on the fly.

        Raises:
            DatasetNotPreparedError: They are missing and take long to make; the message names the command.
            DatasetMismatchError: They are not the data that the workload is defined on.
        """
        if self.is_prepared(data_dir):
            return self._read(data_dir)
        if self.on_the_fly:
            return self.prepare(data_dir)
        raise DatasetNotPreparedError(
            f"{self.folder(data_dir)}: the dataset {self.name!r} is not prepared; run: algoperf data prepare "
            f"{self.name} --data-dir {data_dir}"
        )

    def verify(self, data_dir: str | Path, report: Report = silent) -> None:
        """Reads every byte of the prepared data again.

        Raises:
            DatasetMismatchError: A file is not what was written, or the data are not those of the workload.
        """
        self._require_own(verify_dataset(self.folder(data_dir), report))

    def examples(self, splits: Mapping[str, Any], split: str) -> Examples:
        """Examples of a split; `eval_train` are evenly spaced ones of `train`.

        Raises:
            ValueError: There is no such split.
        """
        sizes = self.sizes()
        if split not in sizes:
            raise ValueError(f"unknown split {split!r}; {self.name} has {', '.join(sizes)}")
        columns = splits["train" if split == "eval_train" else split]
        stored = len(next(iter(columns.values())))
        if split == "eval_train":
            total = min(self.num_train_examples, stored)
            return Examples(columns, evenly_spaced(min(sizes[split], total), total))
        return Examples(columns, np.arange(sizes[split]) if sizes[split] < stored else None)

    def _read(self, data_dir: str | Path) -> StoredDataset:
        return self._require_own(read_dataset(self.folder(data_dir)))

    def _require_own(self, dataset: StoredDataset) -> StoredDataset:
        sizes = self.sizes()
        del sizes["eval_train"]
        require_examples(dataset, sizes)
        if self.content_hash is not None:
            require_hash(dataset, self.content_hash)
        return dataset


def _size(folder: Path) -> int:
    if not folder.is_dir():
        return 0
    return sum(path.stat().st_size for path in folder.glob("*.arrow"))
