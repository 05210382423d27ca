"""Prepared datasets on disk: written once, memory-mapped by every trial, verified by their content.

A dataset is a folder:

    <data_dir>/<dataset name>/<split>.arrow     one Hugging Face `datasets` file per split
    <data_dir>/<dataset name>/manifest.json     columns, number of examples, content hash

Each column is fixed-size binary in a single record batch, so that it is read as one NumPy view
`(examples, ...)` of the mapped file, without copying or decoding. The files are written by `datasets`
and can be opened with `datasets.Dataset.from_file`; they are read with `pyarrow`, which imports ten
times faster, because every trial is a process of its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from algoperf_core.errors import WorkloadError

Array = npt.NDArray[Any]
Columns = Mapping[str, Array]
Splits = Mapping[str, Columns]

MANIFEST = "manifest.json"
FORMAT = 1
# Hashing reads every byte: a second or so for this much. Of larger datasets only sizes are checked.
HASHED_BYTES = 2**30


class DatasetMismatchError(WorkloadError):
    """A prepared dataset is not what was written, or not what the workload is defined on."""


@dataclass(frozen=True, kw_only=True)
class StoredDataset:
    """A prepared dataset, memory-mapped.

    Args:
        folder: Where it lies.
        content_hash: Hash of its columns, as `content_hash` computes it.
        splits: Columns `(examples, ...)` of each split, read-only views of the files.
    """

    folder: Path
    content_hash: str
    splits: Splits


def content_hash(splits: Splits) -> str:
    """SHA-256 over names, shapes, types and bytes of all columns, independent of the file format."""
    digest = hashlib.sha256()
    for split in sorted(splits):
        for name in sorted(splits[split]):
            array = splits[split][name]
            digest.update(f"{split}/{name} {array.dtype.str} {array.shape}\n".encode())
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def write_dataset(folder: Path, splits: Splits) -> None:
    """Writes a dataset and puts it in place at once.

    Several processes may prepare the same dataset at the same time: each writes a temporary folder
    beside `folder`, the first to rename it wins, the others use what is there.

    Args:
        folder: Where the dataset shall lie; its parents are made.
        splits: Columns `(examples, ...)` of each split, of fixed-size types.

    Raises:
        ValueError: The columns of a split differ in length, or a column's type is not of fixed size.
    """
    for split, columns in splits.items():
        _check_columns(split, columns)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        for split, columns in splits.items():
            _write_split(temporary / f"{split}.arrow", columns)
        manifest = json.dumps(_manifest(splits), indent=2)
        (temporary / MANIFEST).write_text(manifest + "\n", encoding="utf-8")
        _rename_into_place(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def read_dataset(folder: Path) -> StoredDataset:
    """Maps a prepared dataset into memory and verifies it.

    Raises:
        FileNotFoundError: There is no prepared dataset in the folder.
        DatasetMismatchError: Its content is not what was written.
    """
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    if manifest["format"] != FORMAT:
        raise _mismatch(folder, "format of the store", FORMAT, manifest["format"])
    splits = {
        split: _read_split(folder / f"{split}.arrow", table)
        for split, table in manifest["splits"].items()
    }
    size = sum(array.nbytes for columns in splits.values() for array in columns.values())
    if size <= HASHED_BYTES and (found := content_hash(splits)) != manifest["content_hash"]:
        raise _mismatch(folder, "content hash", manifest["content_hash"], found)
    return StoredDataset(folder=folder, content_hash=manifest["content_hash"], splits=splits)


def require_hash(dataset: StoredDataset, expected: str) -> None:
    """Checks that a dataset is the one that a workload is defined on.

    Raises:
        DatasetMismatchError: It is another one, for example made by another version of its source.
    """
    if dataset.content_hash != expected:
        what = "content hash that the workload is defined on"
        raise _mismatch(dataset.folder, what, expected, dataset.content_hash)


def _mismatch(path: Path, what: str, expected: object, found: object) -> DatasetMismatchError:
    folder = path if path.suffix != ".arrow" else path.parent
    return DatasetMismatchError(
        f"{path}: {what}: expected {expected}, found {found}. Delete the folder {folder} to have the "
        "dataset prepared again; if the same error comes back, the source of the data has changed."
    )


def _check_columns(split: str, columns: Columns) -> None:
    lengths = {name: len(array) for name, array in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"split {split!r}: columns differ in length: {lengths}")
    for name, array in columns.items():
        if array.dtype.hasobject or array.dtype.itemsize == 0:
            raise ValueError(
                f"split {split!r}: column {name!r} has type {array.dtype}, not a fixed size"
            )


def _manifest(splits: Splits) -> dict[str, Any]:
    tables = {
        split: {
            name: {"dtype": array.dtype.str, "shape": list(array.shape)}
            for name, array in columns.items()
        }
        for split, columns in splits.items()
    }
    return {"format": FORMAT, "content_hash": content_hash(splits), "splits": tables}


def _write_split(path: Path, columns: Columns) -> None:
    import pyarrow as pa
    from datasets.arrow_writer import ArrowWriter

    table = pa.table({name: _binary_column(array) for name, array in columns.items()})
    writer = ArrowWriter(path=str(path), schema=table.schema)
    # One record batch, so that a column is one contiguous buffer.
    writer.write_table(table, writer_batch_size=max(len(table), 1))
    writer.finalize()


def _binary_column(array: Array) -> Any:
    import pyarrow as pa

    width = array.dtype.itemsize * int(np.prod(array.shape[1:], dtype=np.int64))
    data = pa.py_buffer(np.ascontiguousarray(array).reshape(-1).view(np.uint8))
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), len(array), [None, data])


def _read_split(path: Path, table: Mapping[str, Mapping[str, Any]]) -> dict[str, Array]:
    import pyarrow as pa

    try:
        with pa.memory_map(str(path)) as source:
            stored = pa.ipc.open_stream(source).read_all()
    except (FileNotFoundError, pa.ArrowInvalid) as error:
        raise _mismatch(path, "file", "an Arrow stream", error) from error
    columns = {}
    for name, column in table.items():
        array = _view(stored.column(name), np.dtype(column["dtype"]), tuple(column["shape"][1:]))
        if list(array.shape) != column["shape"]:
            raise _mismatch(path, f"shape of {name!r}", column["shape"], list(array.shape))
        columns[name] = array
    return columns


def _view(column: Any, dtype: np.dtype[Any], example_shape: tuple[int, ...]) -> Array:
    if len(column) == 0:
        return np.empty((0, *example_shape), dtype)
    chunk = column.chunk(0)
    flat = np.frombuffer(chunk.buffers()[1], dtype=dtype)
    return flat.reshape(-1, *example_shape)


def _rename_into_place(temporary: Path, folder: Path) -> None:
    try:
        os.rename(temporary, folder)
    except OSError:
        # Another process was first; a folder without a manifest is not a dataset, and not ours to delete.
        if not (folder / MANIFEST).is_file():
            raise
