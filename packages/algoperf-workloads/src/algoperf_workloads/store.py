"""Prepared datasets on disk: written once, memory-mapped by every trial, verified by their content.

A dataset is a folder:

    <split>.arrow              a Hugging Face `datasets` file,
    <split>-<number>.arrow     or several, where a split is large
    manifest.json              columns, files with sizes and hashes, content hash

In each file a column is a single buffer: fixed-size columns are read as NumPy views of the mapped file,
binary ones as `memoryview`, without copying or decoding. The files are written by `datasets` and can be
opened with `datasets.Dataset.from_file`; they are read with `pyarrow`, which imports ten times faster,
because every trial is a process of its own. `store_writing` writes them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from algoperf_core.data_commands import Report
from algoperf_core.errors import WorkloadError
from algoperf_workloads.columns import Array, BinaryColumn, Columns, ShardedColumn

MANIFEST = "manifest.json"
FORMAT = 2
# Format 1 had one file per split and no hashes of files.
_READABLE_FORMATS = (1, FORMAT)
# Hashing reads every byte: a second or so for this much. Of larger datasets only sizes are checked.
HASHED_BYTES = 2**30
BINARY = "binary"


def silent(what: str, examples: int, num_bytes: int) -> None:
    """A `Report` that nobody reads."""


class StoreError(WorkloadError):
    """A dataset cannot be written."""


class DatasetMismatchError(WorkloadError):
    """A prepared dataset is not what was written, or not what the workload is defined on."""


@dataclass(frozen=True, kw_only=True)
class ColumnType:
    """Type of a column: that of arrays `shape` for each example, or `binary` with shape None."""

    dtype: str
    shape: tuple[int, ...] | None

    @property
    def name(self) -> str:
        """The type in words, which the content hash covers."""
        return self.dtype if self.shape is None else f"{self.dtype} {self.shape}"


@dataclass(frozen=True, kw_only=True)
class Shard:
    """A file of a split.

    Args:
        file: Its name.
        examples: Number of examples.
        num_bytes: Size of the file; None where it was not recorded.
        sha256: Hash of the file; None where it was not recorded.
    """

    file: str
    examples: int
    num_bytes: int | None
    sha256: str | None


@dataclass(frozen=True, kw_only=True)
class Table:
    """Columns and files of a split."""

    columns: Mapping[str, ColumnType]
    shards: tuple[Shard, ...]

    @property
    def examples(self) -> int:
        """Number of examples."""
        return sum(shard.examples for shard in self.shards)

    def to_dict(self) -> dict[str, Any]:
        """The table as JSON-able data."""
        columns = {name: asdict(kind) for name, kind in self.columns.items()}
        return {"columns": columns, "shards": [asdict(shard) for shard in self.shards]}

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> Table:
        """The table from what `to_dict` returned."""
        columns = {
            name: ColumnType(dtype=kind["dtype"], shape=_tuple(kind["shape"]))
            for name, kind in table["columns"].items()
        }
        return cls(columns=columns, shards=tuple(Shard(**shard) for shard in table["shards"]))


class StoredColumns(Mapping[str, Any]):
    """Columns of a stored split; other processes get its place, not its content.

    A column is an array if the split is one file, else a `ShardedColumn`; a binary one is a `BinaryColumn`.

    Args:
        folder: The dataset's folder.
        table: Columns and files of the split.

    Raises:
        DatasetMismatchError: A file is not there, or not of the size or shape that was written.
    """

    def __init__(self, folder: Path, table: Table) -> None:
        self._folder = folder
        self._table = table
        pieces = [read_shard(folder, shard, table.columns) for shard in table.shards]
        self._columns = {
            name: _joined(kind, [piece[name] for piece in pieces])
            for name, kind in table.columns.items()
        }

    def __getitem__(self, name: str) -> Any:
        return self._columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def __reduce__(self) -> tuple[Any, ...]:
        return StoredColumns, (self._folder, self._table)


@dataclass(frozen=True, kw_only=True)
class StoredDataset:
    """A prepared dataset, memory-mapped.

    Args:
        folder: Where it lies.
        content_hash: Hash of its columns, independent of the files they are in.
        splits: Columns of each split, read-only views of the files.
        num_bytes: Size of its files.
    """

    folder: Path
    content_hash: str
    splits: Mapping[str, StoredColumns]
    num_bytes: int


def content_hash(splits: Mapping[str, Columns]) -> str:
    """SHA-256 over names, shapes, types and bytes of all columns, for datasets made of whole arrays."""
    digest = hashlib.sha256()
    for split in sorted(splits):
        for name in sorted(splits[split]):
            array = splits[split][name]
            digest.update(f"{split}/{name} {array.dtype.str} {array.shape}\n".encode())
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


class StreamHash:
    """The content hash of datasets that come in parts: SHA-256 of each column in order, combined at the end.

    How examples are divided into parts and files makes no difference.
    """

    def __init__(self) -> None:
        self._digests: dict[str, Any] = {}
        self._examples: dict[str, int] = {}

    def update(self, split: str, columns: Columns, types: Mapping[str, ColumnType]) -> None:
        """Adds the next examples of a split."""
        for name, kind in types.items():
            key = f"{split}/{name} {kind.name}"
            digest = self._digests.setdefault(key, hashlib.sha256())
            self._examples[key] = self._examples.get(key, 0) + len(columns[name])
            if kind.shape is not None:
                digest.update(np.ascontiguousarray(columns[name]).data)
                continue
            for example in columns[name]:
                digest.update(len(example).to_bytes(8, "little"))
                digest.update(example)

    def hexdigest(self) -> str:
        """The hash of everything so far."""
        lines = [
            f"{key} {self._examples[key]} {self._digests[key].hexdigest()}\n"
            for key in sorted(self._digests)
        ]
        return hashlib.sha256("".join(lines).encode()).hexdigest()


def read_dataset(folder: Path) -> StoredDataset:
    """Maps a prepared dataset into memory; verifies its sizes, and its content if it is small.

    Raises:
        FileNotFoundError: There is no prepared dataset in the folder.
        DatasetMismatchError: Its content is not what was written.
    """
    dataset, is_stream = _mapped(folder)
    if dataset.num_bytes <= HASHED_BYTES:
        _require_content(dataset, is_stream, silent)
    return dataset


def verify_dataset(folder: Path, report: Report = silent) -> StoredDataset:
    """Reads every byte of a prepared dataset.

    Raises:
        FileNotFoundError: There is no prepared dataset in the folder.
        DatasetMismatchError: A file is damaged, which is named, or the content is not what was written.
    """
    done = 0
    for table in read_manifest(folder)[0].values():
        for shard in table.shards:
            report(f"checking {shard.file}", 0, done)
            require_file(folder, shard)
            done += shard.num_bytes or 0
    dataset, is_stream = _mapped(folder)
    _require_content(dataset, is_stream, report)
    return dataset


def require_file(folder: Path, shard: Shard) -> None:
    """Checks the hash of a file.

    Raises:
        DatasetMismatchError: It is not what was written.
    """
    if shard.sha256 is None:
        return
    try:
        found = file_hash(folder / shard.file)
    except FileNotFoundError as error:
        raise _mismatch(folder / shard.file, "file", "an Arrow stream", error) from error
    if found != shard.sha256:
        raise _mismatch(folder / shard.file, "SHA-256", shard.sha256, found)


def require_hash(dataset: StoredDataset, expected: str) -> None:
    """Checks that a dataset is the one that a workload is defined on.

    Raises:
        DatasetMismatchError: It is another one, for example made by another version of its source.
    """
    if dataset.content_hash != expected:
        what = "content hash that the workload is defined on"
        raise _mismatch(dataset.folder, what, expected, dataset.content_hash)


def require_examples(dataset: StoredDataset, sizes: Mapping[str, int]) -> None:
    """Checks that each split has as many examples as a workload needs, or more.

    Raises:
        DatasetMismatchError: A split is not there, or has fewer.
    """
    for split, size in sizes.items():
        columns = dataset.splits.get(split)
        found = 0 if columns is None else len(next(iter(columns.values())))
        if found < size:
            raise _mismatch(dataset.folder, f"examples of split {split!r}", size, found)


def read_manifest(folder: Path) -> tuple[dict[str, Table], dict[str, Any]]:
    """Tables of the splits, and the manifest they are from.

    Raises:
        FileNotFoundError: There is no prepared dataset in the folder.
        DatasetMismatchError: It is of another format of the store.
    """
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        if manifest["format"] not in _READABLE_FORMATS:
            raise _mismatch(folder, "format of the store", FORMAT, manifest["format"])
        parse = (
            _first_format if manifest["format"] == 1 else lambda _, table: Table.from_dict(table)
        )
        tables = {split: parse(split, table) for split, table in manifest["splits"].items()}
    except DatasetMismatchError:
        raise
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise _mismatch(
            path, "description of the dataset", "JSON as it was written", error
        ) from error
    return tables, manifest


def file_hash(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_shard(folder: Path, shard: Shard, types: Mapping[str, ColumnType]) -> dict[str, Any]:
    """Maps a file: an array `(examples, ...)`, or offsets and bytes, for each column.

    Raises:
        DatasetMismatchError: The file is not there, or not of the size or shape that was written.
    """
    import pyarrow as pa

    path = folder / shard.file
    try:
        size = path.stat().st_size
        if shard.num_bytes not in (None, size):
            raise _mismatch(path, "size in bytes", shard.num_bytes, size)
        with pa.memory_map(str(path)) as source:
            stored = pa.ipc.open_stream(source).read_all()
        pieces = {}
        for name, kind in types.items():
            found = len(stored.column(name)) if name in stored.column_names else None
            if found != shard.examples:
                raise _mismatch(path, f"number of examples of {name!r}", shard.examples, found)
            pieces[name] = _piece(stored.column(name), kind)
    except DatasetMismatchError:
        raise
    except (OSError, ValueError, LookupError, TypeError, pa.ArrowException) as error:
        raise _mismatch(path, "file", "an Arrow stream", error) from error
    return pieces


def _mapped(folder: Path) -> tuple[StoredDataset, bool]:
    tables, manifest = read_manifest(folder)
    files = [folder / shard.file for table in tables.values() for shard in table.shards]
    dataset = StoredDataset(
        folder=folder,
        content_hash=manifest["content_hash"],
        splits={split: StoredColumns(folder, table) for split, table in tables.items()},
        num_bytes=sum(path.stat().st_size for path in files),
    )
    return dataset, manifest.get("hash") == "stream"


def _require_content(dataset: StoredDataset, is_stream: bool, report: Report) -> None:
    found = _stream_hash(dataset, report) if is_stream else content_hash(dataset.splits)
    if found != dataset.content_hash:
        raise _mismatch(dataset.folder, "content hash", dataset.content_hash, found)


def _stream_hash(dataset: StoredDataset, report: Report) -> str:
    digest = StreamHash()
    for split, table in read_manifest(dataset.folder)[0].items():
        done = 0
        for shard in table.shards:
            report(f"hashing {shard.file}", done, 0)
            digest.update(split, shard_columns(dataset.folder, shard, table.columns), table.columns)
            done += shard.examples
    return digest.hexdigest()


def shard_columns(folder: Path, shard: Shard, types: Mapping[str, ColumnType]) -> Columns:
    """Columns of a file alone, whole."""
    pieces = read_shard(folder, shard, types)
    return {name: _joined(kind, [pieces[name]])[:] for name, kind in types.items()}


def _mismatch(path: Path, what: str, expected: object, found: object) -> DatasetMismatchError:
    folder = path.parent if path.suffix in (".arrow", ".json") else path
    return DatasetMismatchError(
        f"{path}: {what}: expected {expected}, found {found}. Delete the folder {folder} to have the "
        "dataset prepared again; if the same error comes back, the source of the data has changed."
    )


def _first_format(split: str, table: Mapping[str, Any]) -> Table:
    examples = next(iter(table.values()))["shape"][0]
    columns = {
        name: ColumnType(dtype=column["dtype"], shape=tuple(column["shape"][1:]))
        for name, column in table.items()
    }
    shard = Shard(file=f"{split}.arrow", examples=examples, num_bytes=None, sha256=None)
    return Table(columns=columns, shards=(shard,))


def _piece(column: Any, kind: ColumnType) -> Any:
    if len(column) == 0:
        empty = np.empty((0, *(kind.shape or ())), np.int8 if kind.shape is None else kind.dtype)
        return empty if kind.shape is not None else (np.zeros(1, np.int64), memoryview(b""))
    buffers = column.chunk(0).buffers()
    if kind.shape is None:
        offsets = np.frombuffer(buffers[1], np.int64)[: len(column) + 1]
        return offsets, memoryview(buffers[2] or b"")
    return np.frombuffer(buffers[1], np.dtype(kind.dtype)).reshape(-1, *kind.shape)


def _joined(kind: ColumnType, pieces: Sequence[Any]) -> Any:
    if kind.shape is None:
        return BinaryColumn(pieces)
    return pieces[0] if len(pieces) == 1 else ShardedColumn(pieces)


def _tuple(shape: Iterable[int] | None) -> tuple[int, ...] | None:
    return None if shape is None else tuple(shape)


__all__ = [
    "Array",
    "Columns",
    "DatasetMismatchError",
    "Report",
    "StoreError",
    "StoredColumns",
    "StoredDataset",
    "StreamHash",
    "content_hash",
    "read_dataset",
    "require_examples",
    "require_hash",
    "silent",
    "verify_dataset",
]
