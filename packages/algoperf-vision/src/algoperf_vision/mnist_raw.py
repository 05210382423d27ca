"""Reading MNIST (LeCun et al. 1998): the official idx files, compressed or not, or an export from the hub."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import numpy.typing as npt

from algoperf_vision.labelled_images import Columns, LabelledSizes, split_official
from algoperf_vision.raw_data import (
    RawDataError,
    decoded_images,
    find,
    missing,
    parquet_files,
    parquet_rows,
    reading,
    require_count,
    require_published,
)

PLACES = ("mnist", "MNIST", "MNIST/raw", ".")
SHAPE = (28, 28, 1)
# As the mirrors and many libraries state them; Fashion-MNIST and others use the same names and sizes.
_MD5 = {
    "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
}
_OFFICIAL_NAMES = {"train": "train", "test": "t10k"}
_ADVICE = "Download the four files from https://ossci-datasets.s3.amazonaws.com/mnist/."

MNIST_SIZES = LabelledSizes(num_train=50_000, num_validation=10_000, num_test=10_000)


def read_mnist(raw_dir: Path, sizes: LabelledSizes = MNIST_SIZES) -> dict[str, Columns]:
    """Reads all splits; of the whole dataset's compressed files also the hash must be the published one.

    Args:
        raw_dir: Folder of downloaded originals.
        sizes: What the dataset must have.

    Returns:
        For `train`, `validation` and `test`: `images` `(examples, 28, 28, 1)`, uint8, and `labels`
        `(examples,)`, int32.

    Raises:
        RawDataError: Originals are missing, damaged or incomplete.
    """
    published = sizes == MNIST_SIZES
    train, test = (_original(raw_dir, split, published) for split in ("train", "test"))
    return split_official(train, test, sizes, "MNIST")


def _original(raw_dir: Path, split: str, published: bool) -> Columns:
    prefix = _OFFICIAL_NAMES[split]
    official = find(raw_dir, PLACES, _names(prefix, "images", 3))
    if official is None and (exported := parquet_files(raw_dir, PLACES, split)):
        images, labels = decoded_images(parquet_rows(exported, ("image", "label")), SHAPE)
        return {"images": images, "labels": labels}
    image_file = _file(raw_dir, _names(prefix, "images", 3), f"MNIST, {split} images")
    label_file = _file(raw_dir, _names(prefix, "labels", 1), f"MNIST, {split} labels")
    for file in (image_file, label_file):
        if published and file.name in _MD5:
            require_published(file, _MD5[file.name])
    images = read_idx(image_file)
    labels = read_idx(label_file).astype(np.int32)
    require_count(len(labels), len(images), f"{label_file}: labels")
    return {"images": images[..., np.newaxis], "labels": labels}


def _file(raw_dir: Path, names: tuple[str, ...], what: str) -> Path:
    found = find(raw_dir, PLACES, names)
    if found is None:
        raise missing(what, raw_dir, PLACES, names, _ADVICE)
    return found


def _names(prefix: str, kind: str, dimensions: int) -> tuple[str, ...]:
    name = f"{prefix}-{kind}-idx{dimensions}-ubyte"
    return f"{name}.gz", name, f"{prefix}-{kind}.idx{dimensions}-ubyte"


def read_idx(path: Path) -> npt.NDArray[np.uint8]:
    """Reads an array of bytes from an idx file.

    The format: two zeros, the type (8 for bytes), the number of axes, then their lengths as big-endian
    32-bit numbers, then the values.

    Args:
        path: The file, compressed if its name ends in `.gz`.

    Raises:
        RawDataError: The file is damaged or holds something else.
    """
    with reading(path):
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    axes = data[3] if len(data) > 3 else 0
    if data[:3] != b"\0\0\x08" or len(data) < 4 + 4 * axes:
        raise RawDataError(
            f"{path}: is no idx file of bytes: it begins with {data[:4]!r}. {_ADVICE}"
        )
    shape = np.frombuffer(data, ">u4", axes, 4).astype(np.int64)
    values = np.frombuffer(data, np.uint8, offset=4 + 4 * axes)
    require_count(len(values), int(shape.prod()), f"{path}: bytes after the header")
    return values.reshape(shape)
