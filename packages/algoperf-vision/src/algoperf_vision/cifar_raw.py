"""Reading CIFAR-10 (Krizhevsky 2009): the binary version, or an export from the Hugging Face hub.

The Python version consists of pickles, which can run any code; it is not read.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from algoperf_vision.labelled_images import Columns, LabelledSizes, split_official
from algoperf_vision.raw_data import (
    RawDataError,
    decoded_images,
    find,
    missing,
    open_tar,
    parquet_files,
    parquet_rows,
    require_published,
    tar_bytes,
    tar_files,
)

ARCHIVE = "cifar-10-binary.tar.gz"
_MD5 = "c32a1d4ab5d03f1284b67883e8d87530"  # as the authors state it
FOLDER = "cifar-10-batches-bin"
PICKLES = ("cifar-10-python.tar.gz", "cifar-10-batches-py")
PLACES = ("cifar10", "cifar-10", ".")
SHAPE = (32, 32, 3)
NUM_CLASSES = 10
_TRAIN_FILES = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
_TEST_FILE = "test_batch.bin"
_ADVICE = "Download https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz."

CIFAR_SIZES = LabelledSizes(num_train=45_000, num_validation=5_000, num_test=10_000)


def read_cifar(raw_dir: Path, sizes: LabelledSizes = CIFAR_SIZES) -> dict[str, Columns]:
    """Reads all splits; of the whole dataset's archive also the hash must be the published one.

    Args:
        raw_dir: Folder of downloaded originals.
        sizes: What the dataset must have.

    Returns:
        For `train`, `validation` and `test`: `images` `(examples, 32, 32, 3)`, uint8, and `labels`
        `(examples,)`, int32.

    Raises:
        RawDataError: Originals are missing, damaged or incomplete.
    """
    train, test = _originals(raw_dir, published=sizes == CIFAR_SIZES)
    return split_official(train, test, sizes, "CIFAR-10")


def _originals(raw_dir: Path, published: bool) -> tuple[Columns, Columns]:
    if archive := find(raw_dir, PLACES, (ARCHIVE,)):
        if published:
            require_published(archive, _MD5)
        with open_tar(archive) as opened:
            files = {Path(m.name).name: tar_bytes(opened, m) for m in tar_files(opened)}
        return _binary(files, archive)
    if folder := find(raw_dir, PLACES, (FOLDER,)):
        files = {path.name: path.read_bytes() for path in folder.glob("*.bin")}
        return _binary(files, folder)
    exports = [parquet_files(raw_dir, PLACES, split) for split in ("train", "test")]
    if all(exports):
        train, test = (_exported(paths) for paths in exports)
        return train, test
    raise _nothing_found(raw_dir)


def _nothing_found(raw_dir: Path) -> RawDataError:
    advice = _ADVICE
    if pickles := find(raw_dir, PLACES, PICKLES):
        advice = f"{pickles} holds pickles, which can run any code and are not read. {_ADVICE}"
    names = (ARCHIVE, FOLDER, "train-*.parquet")
    return missing("CIFAR-10", raw_dir, PLACES, names, advice)


def _binary(files: Mapping[str, bytes], source: Path) -> tuple[Columns, Columns]:
    absent = [name for name in (*_TRAIN_FILES, _TEST_FILE) if name not in files]
    if absent:
        raise RawDataError(f"{source}: has no file {absent[0]}. {_ADVICE}")
    train = b"".join(files[name] for name in _TRAIN_FILES)
    return _records(train, source), _records(files[_TEST_FILE], source)


def _records(data: bytes, source: Path) -> Columns:
    """Records of a label and 32 rows of red, of green, of blue."""
    size = 1 + int(np.prod(SHAPE))
    if len(data) % size:
        raise RawDataError(
            f"{source}: holds {len(data)} bytes, not a multiple of {size}. {_ADVICE}"
        )
    records = np.frombuffer(data, np.uint8).reshape(-1, size)
    labels = records[:, 0].astype(np.int32)
    if len(labels) and labels.max() >= NUM_CLASSES:
        raise RawDataError(f"{source}: has a label {labels.max()}; allowed are 0 to 9. {_ADVICE}")
    planes = records[:, 1:].reshape(-1, SHAPE[2], *SHAPE[:2])
    return {"images": np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), "labels": labels}


def _exported(paths: list[Path]) -> Columns:
    images, labels = decoded_images(parquet_rows(paths, ("img", "label")), SHAPE)
    return {"images": images, "labels": labels}
