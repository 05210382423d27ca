"""Finding and reading downloaded originals: archives, folders of files, parquet exports.

What every reader of a raw layout shares: where files are looked for, and errors that say what is missing,
damaged or of the wrong size. Nothing is unpacked to disk, and nothing that can run code is read.
"""

from __future__ import annotations

import hashlib
import tarfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from lzma import LZMAError
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from algoperf_core.errors import WorkloadError

_BROKEN_ARCHIVE = (tarfile.TarError, EOFError, zlib.error, LZMAError, OSError)
_Item = TypeVar("_Item")


class RawDataError(WorkloadError):
    """Downloaded originals are missing, damaged, or not those of the dataset."""


class LabelledImage(NamedTuple):
    """An image file and its class, counted from 0."""

    data: bytes
    label: int


def find(raw_dir: Path, places: Sequence[str], names: Sequence[str]) -> Path | None:
    """The first existing file or folder among `raw_dir / place / name`; names go before places.

    Args:
        raw_dir: Folder of downloaded originals.
        places: Folders within it; `"."` for itself.
        names: File or folder names, which may hold wildcards.
    """
    for name in names:
        for place in places:
            found = sorted((raw_dir / place).glob(name))
            if found:
                return found[0]
    return None


def missing(
    what: str, raw_dir: Path, places: Sequence[str], names: Sequence[str], advice: str
) -> RawDataError:
    """An error about originals that were not found.

    Args:
        what: What is missing.
        raw_dir: Folder of downloaded originals.
        places: Folders within it that were searched.
        names: What would have been accepted.
        advice: Where to get it.
    """
    folders = ", ".join(str(raw_dir / place) for place in places)
    return RawDataError(
        f"{what}: not found. Looked for {' or '.join(names)} in {folders}. {advice}"
    )


def require_published(path: Path, md5: str) -> None:
    """Checks that a small file is the one that was published.

    Args:
        path: The file.
        md5: Its published MD5, in hexadecimal.

    Raises:
        RawDataError: It is another one, or damaged.
    """
    with reading(path), path.open("rb") as file:
        found = hashlib.file_digest(file, "md5").hexdigest()
    if found != md5:
        raise RawDataError(
            f"{path}: is not the published file: its MD5 is {found}, not {md5}. It is damaged, or of another "
            "dataset with files of the same names; fetch it again."
        )


@contextmanager
def open_tar(path: Path) -> Iterator[tarfile.TarFile]:
    """Opens an archive, compressed or not, as long as the context lasts.

    Raises:
        RawDataError: It is no archive, or ends too early.
    """
    with reading(path), tarfile.open(path) as archive:
        yield archive


@contextmanager
def reading(path: Path | str) -> Iterator[None]:
    """Turns errors of the operating system and of decompression into one that names the file."""
    try:
        yield
    except _BROKEN_ARCHIVE as error:
        raise RawDataError(
            f"{path}: cannot be read: {error or type(error).__name__}. The file is damaged or its download "
            "stopped early: compare its size with the source's, and fetch it again."
        ) from error


def tar_files(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Regular files of an archive in their order, of which none is kept in memory."""
    while (member := archive.next()) is not None:
        # The list would hold a record of every file: a gigabyte for ImageNet.
        archive.members.clear()  # type: ignore[attr-defined]
        if member.isfile():
            yield member


def tar_bytes(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    """Content of a regular file of an archive."""
    stream = archive.extractfile(member)
    if stream is None:
        raise tarfile.ReadError(f"{member.name} is not a regular file")
    return stream.read()


def parquet_rows(paths: Iterable[Path], columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """Rows of parquet files, file by file.

    Args:
        paths: The files.
        columns: Columns to read; the others are not touched.

    Raises:
        RawDataError: A file is damaged or has no such column.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    for path in paths:
        try:
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(batch_size=256, columns=list(columns)):
                    table = batch.to_pydict()
                    yield from zip(*(table[name] for name in columns), strict=True)
        except (pa.ArrowInvalid, KeyError, OSError) as error:
            wanted = ", ".join(columns)
            raise RawDataError(
                f"{path}: cannot be read: {error}. Parquet with the columns {wanted} was expected."
            ) from error


def parquet_files(raw_dir: Path, places: Sequence[str], split: str) -> list[Path]:
    """Files of a split in an export from the Hugging Face hub, in order.

    Args:
        raw_dir: Folder of downloaded originals.
        places: Folders within it.
        split: Name of the split as in the file names, `train-00000-of-00014.parquet`.
    """
    names = [f"{folder}{split}-*.parquet" for folder in ("", "data/", "plain_text/")]
    first = find(raw_dir, places, names)
    return [] if first is None else sorted(first.parent.glob(f"{split}-*.parquet"))


def image_bytes(cell: Any) -> bytes:
    """The file in an image cell of an export: `{"bytes": ..., "path": ...}` or bytes."""
    data = cell["bytes"] if isinstance(cell, dict) else cell
    return bytes(data)


def counted(items: Iterable[_Item], expected: int, what: str) -> Iterator[_Item]:
    """Passes items on and checks at the end how many there were.

    Raises:
        RawDataError: There were more or fewer than expected.
    """
    count = 0
    for count, item in enumerate(items, 1):  # noqa: B007
        yield item
    require_count(count, expected, what)


def require_count(found: int, expected: int, what: str) -> None:
    """Checks a number.

    Raises:
        RawDataError: It is not the expected one.
    """
    if found != expected:
        raise RawDataError(
            f"{what}: found {found:,}, expected {expected:,}. The originals are incomplete, or of another "
            "dataset; fetch them again, or unpack them again into an empty folder."
        )


def decoded_images(
    rows: Iterable[tuple[Any, Any]], shape: tuple[int, ...]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]:
    """Decodes small images of one size.

    Args:
        rows: Image cells and labels.
        shape: `(height, width, channels)`; with one channel the first is kept.

    Returns:
        Images `(count, *shape)` and labels `(count,)`.

    Raises:
        RawDataError: An image has another size.
    """
    from algoperf_vision.jpeg import decode_image

    images, labels = [], []
    for index, (cell, label) in enumerate(rows):
        image = decode_image(image_bytes(cell), f"image {index}")[..., : shape[-1]]
        if image.shape != shape:
            raise RawDataError(f"image {index}: has shape {image.shape}, expected {shape}")
        images.append(image)
        labels.append(label)
    return np.array(images, np.uint8).reshape(-1, *shape), np.array(labels, np.int32)
