"""Writes prepared datasets: a part at a time, resumable, and in place only when they are whole.

Under way a dataset is the folder `.<name>.partial` beside it, with the files that are finished and a
record of them. Whoever prepares it holds a lock. A preparation that was interrupted reads the finished
files again, which verifies them, and asks the source for the last example that they hold and those that come
after, so that two sources are never mixed.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from algoperf_core.durable import sync
from algoperf_workloads.columns import Array, Columns
from algoperf_workloads.folder_lock import locked
from algoperf_workloads.store import (
    BINARY,
    FORMAT,
    MANIFEST,
    ColumnType,
    DatasetMismatchError,
    Report,
    Shard,
    StoreError,
    StreamHash,
    Table,
    content_hash,
    file_hash,
    require_file,
    shard_columns,
    silent,
)

# What is lost by an interruption is at most this much, and a process holds about as much in memory.
SHARD_BYTES = 2**28
_RECORD = "record.json"


@dataclass(frozen=True)
class Stream:
    """Examples of a split that do not fit into memory.

    Args:
        parts: `(start) -> iterator of columns`: the examples from number `start` on, a few at a time.
            Columns are arrays `(examples, ...)`, or lists of `bytes` for examples of any length.
    """

    parts: Callable[[int], Iterator[Columns]]


Splits = Mapping[str, Columns | Iterator[Columns] | Stream]
"""Examples of each split: whole columns, an iterator of columns a few examples at a time, or a `Stream`.

Iterators start at the first example; what an interrupted preparation has done is skipped.
"""


def write_dataset(
    folder: Path, splits: Splits | Callable[[], Splits], report: Report = silent
) -> None:
    """Writes a dataset and puts it in place at once; what is there is left alone.

    Of several processes that prepare the same dataset at the same time one does, the others wait.

    Args:
        folder: Where the dataset shall lie; its parents are made.
        splits: Examples of each split, or a function that returns them, called if they are needed.
        report: Told about the progress.

    Raises:
        ValueError: Columns of a split differ in length, or are not of one type, or of no type that is stored.
        StoreError: There is no space, the folder cannot be written or holds something else, or an interrupted
            preparation began with other examples.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        waiting = f"waiting for another process that prepares {folder.name}"
        with locked(folder.parent / f".{folder.name}.lock", lambda: report(waiting, 0, 0)):
            if not (folder / MANIFEST).is_file():
                _require_free(folder)
                _prepare(folder, splits() if callable(splits) else splits, report)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _no_space(folder) from error
        raise StoreError(f"{folder}: cannot be prepared: {error}") from error


def _require_free(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StoreError(
            f"{folder}: is there already, and is no prepared dataset; move it away, or choose another "
            "folder for prepared data"
        )


def _prepare(folder: Path, splits: Splits, report: Report) -> None:
    whole = {split: data for split, data in splits.items() if isinstance(data, Mapping)}
    for split, columns in whole.items():
        column_types(split, columns)
    work = work_folder(folder)
    try:
        _write(work, splits, content_hash(whole) if len(whole) == len(splits) else None, report)
        os.rename(work, folder)
        # Until now, an interruption would have needed it.
        (folder / _RECORD).unlink()
    finally:
        if len(whole) == len(splits):
            shutil.rmtree(work, ignore_errors=True)


def work_folder(folder: Path) -> Path:
    """Where a dataset is while it is prepared."""
    return folder.parent / f".{folder.name}.partial"


def column_types(split: str, columns: Columns) -> dict[str, ColumnType]:
    """Types of columns.

    Raises:
        ValueError: They differ in length, or one is of no type that is stored.
    """
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) != 1:
        raise ValueError(f"split {split!r}: columns differ in length: {lengths}")
    return {name: _column_type(split, name, column) for name, column in columns.items()}


def _column_type(split: str, name: str, column: Any) -> ColumnType:
    if isinstance(column, list):
        return ColumnType(dtype=BINARY, shape=None)
    if column.dtype.hasobject or column.dtype.itemsize == 0:
        raise ValueError(
            f"split {split!r}: column {name!r} has type {column.dtype}, not a fixed size; for "
            "examples of any length give a list of bytes"
        )
    return ColumnType(dtype=column.dtype.str, shape=tuple(column.shape[1:]))


def _write(work: Path, splits: Splits, whole_hash: str | None, report: Report) -> None:
    digest = StreamHash()
    record = _Record(work)
    for split, data in splits.items():
        writer = _SplitWriter(work, split, record, report, numbered=whole_hash is None)
        writer.write(_stream(data), digest if whole_hash is None else None)
    manifest = {
        "format": FORMAT,
        "hash": "stream" if whole_hash is None else "arrays",
        "content_hash": whole_hash or digest.hexdigest(),
        "splits": {split: record.tables[split].to_dict() for split in splits},
    }
    (work / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    sync(work / MANIFEST)
    sync(work)


def _stream(data: Columns | Iterator[Columns] | Stream) -> Stream:
    if isinstance(data, Stream):
        return data
    return Stream(
        lambda start: _skipped(iter([data] if isinstance(data, Mapping) else data), start)
    )


def _skipped(parts: Iterator[Columns], examples: int) -> Iterator[Columns]:
    for part in parts:
        size = len(next(iter(part.values())))
        if examples < size or size == 0:
            yield {name: column[examples:] for name, column in part.items()} if examples else part
        examples = max(examples - size, 0)


class _Record:
    """Which files of a preparation are finished.

    Args:
        work: The folder of the preparation; what is in it without being on record is removed.
    """

    def __init__(self, work: Path) -> None:
        work.mkdir(exist_ok=True)
        self._path = work / _RECORD
        saved = json.loads(self._path.read_text("utf-8")) if self._path.is_file() else {}
        self.tables = {split: Table.from_dict(table) for split, table in saved.items()}
        known = {shard.file for table in self.tables.values() for shard in table.shards}
        for path in work.iterdir():
            if path.name not in known and path != self._path:
                path.unlink()

    def keep(self, split: str, table: Table) -> None:
        """Puts the files of a split on record."""
        self.tables[split] = table
        saved = {name: kept.to_dict() for name, kept in self.tables.items()}
        temporary = self._path.with_suffix(".tmp")
        temporary.write_text(json.dumps(saved), encoding="utf-8")
        sync(temporary)
        temporary.replace(self._path)


class _SplitWriter:
    """Writes one split, after the files of it that are finished."""

    def __init__(
        self, work: Path, split: str, record: _Record, report: Report, *, numbered: bool
    ) -> None:
        self._work = work
        self._split = split
        self._record = record
        self._report = report
        self._numbered = numbered

    def write(self, stream: Stream, digest: StreamHash | None) -> None:
        parts = self._continue(stream, digest)
        table = self._record.tables.get(self._split)
        types = table.columns if table else None
        pending: list[Columns] = []
        size = 0
        for part in parts:
            found = column_types(self._split, part)
            types = found if types is None else types
            if found != types:
                raise ValueError(f"split {self._split!r}: columns change from {types} to {found}")
            if digest is not None:
                digest.update(self._split, part, types)
            pending.append(part)
            size += _num_bytes(part)
            if self._numbered and size >= SHARD_BYTES:
                self._finish(pending, types)
                pending, size = [], 0
        if types is None:
            raise ValueError(f"split {self._split!r} has no examples")
        if pending:
            self._finish(pending, types)

    def _continue(self, stream: Stream, digest: StreamHash | None) -> Iterator[Columns]:
        """Keeps the files that are whole and the source's, and returns what comes after them."""
        table = self._record.tables.pop(self._split, None)
        if table is None:
            return stream.parts(0)
        kept = self._whole_shards(table)
        whole = Table(columns=table.columns, shards=tuple(kept))
        if whole.examples == 0:
            return stream.parts(0)
        parts = stream.parts(whole.examples - 1)
        first = next(parts, {})
        last = shard_columns(self._work, kept[-1], whole.columns)
        if not _same_example(last, first, whole.columns):
            raise StoreError(
                f"{self._work}: the originals of split {self._split!r} are no longer those that this "
                "interrupted preparation began with; delete the folder to begin anew"
            )
        for shard in kept if digest is not None else ():
            columns = shard_columns(self._work, shard, whole.columns)
            digest.update(self._split, columns, whole.columns)  # type: ignore[union-attr]
        self._record.keep(self._split, whole)
        rest = {name: column[1:] for name, column in first.items()}
        return chain([rest] if len(next(iter(rest.values()))) else [], parts)

    def _whole_shards(self, table: Table) -> list[Shard]:
        kept: list[Shard] = []
        for shard in table.shards:
            self._report(f"checking {shard.file}", sum(one.examples for one in kept), 0)
            try:
                require_file(self._work, shard)
            except DatasetMismatchError:
                break  # prepared again from here on
            kept.append(shard)
        return kept

    def _finish(self, parts: list[Columns], types: Mapping[str, ColumnType]) -> None:
        before = self._record.tables.get(self._split)
        shards = before.shards if before else ()
        file = f"{self._split}-{len(shards):05}.arrow" if self._numbered else f"{self._split}.arrow"
        shard = _write_shard(self._work / file, _concatenated(parts, types), types)
        table = Table(columns=types, shards=(*shards, shard))
        self._record.keep(self._split, table)
        self._report(
            f"writing {self._split}",
            table.examples,
            sum(shard.num_bytes or 0 for shard in table.shards),
        )


def _same_example(last: Columns, first: Columns, types: Mapping[str, ColumnType]) -> bool:
    """Whether the last stored example is the first of what a source gives from there on."""
    if first.keys() != types.keys() or column_types("", first) != types:
        return False
    return all(
        bytes(last[name][-1]) == bytes(first[name][0])
        if kind.shape is None
        else last[name][-1].tobytes() == first[name][0].tobytes()
        for name, kind in types.items()
    )


def _write_shard(path: Path, columns: Columns, types: Mapping[str, ColumnType]) -> Shard:
    import pyarrow as pa
    from datasets.arrow_writer import ArrowWriter

    table = pa.table({name: _arrow(columns[name], kind) for name, kind in types.items()})
    writer = ArrowWriter(path=str(path), schema=table.schema)
    # One record batch, so that a column is one contiguous buffer.
    writer.write_table(table, writer_batch_size=max(len(table), 1))
    writer.finalize()
    sync(path)
    return Shard(
        file=path.name,
        examples=len(table),
        num_bytes=path.stat().st_size,
        sha256=file_hash(path),
    )


def _arrow(column: Any, kind: ColumnType) -> Any:
    import pyarrow as pa

    if kind.shape is None:
        return pa.array(column, pa.large_binary())
    width = column.dtype.itemsize * int(np.prod(kind.shape, dtype=np.int64))
    data = pa.py_buffer(np.ascontiguousarray(column).reshape(-1).view(np.uint8))
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), len(column), [None, data])


def _concatenated(parts: list[Columns], types: Mapping[str, ColumnType]) -> Columns:
    if len(parts) == 1:
        return parts[0]
    columns: dict[str, Array | list[Any]] = {}
    for name, kind in types.items():
        pieces = [part[name] for part in parts]
        columns[name] = list(chain(*pieces)) if kind.shape is None else np.concatenate(pieces)
    return columns


def _num_bytes(columns: Columns) -> int:
    return sum(
        sum(map(len, column)) if isinstance(column, list) else column.nbytes
        for column in columns.values()
    )


def _no_space(folder: Path) -> StoreError:
    return StoreError(
        f"{folder}: there is no space left on the disk; free some, and run the same command again: it "
        "continues where it stopped"
    )
