"""Reading CIFAR-10 from its binary version or an export; never from pickles."""

import hashlib

import numpy as np
import pytest
from raw_trees import image_file, tar, write_parquet, write_tree

from algoperf_vision import cifar_raw
from algoperf_vision.cifar_raw import read_cifar
from algoperf_vision.labelled_images import LabelledSizes
from algoperf_vision.raw_data import RawDataError

SIZES = LabelledSizes(num_train=7, num_validation=3, num_test=4)
NAMES = [*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"]


def originals():
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (14, 32, 32, 3), np.uint8)
    labels = np.arange(14) % 10
    return images, labels


def binary():
    images, labels = originals()
    planes = images.transpose(0, 3, 1, 2).reshape(14, -1)
    records = np.concatenate((labels[:, np.newaxis].astype(np.uint8), planes), 1)
    parts = [records[2 * number : 2 * number + 2] for number in range(5)] + [records[10:]]
    return {
        f"cifar-10-batches-bin/{name}": part.tobytes()
        for name, part in zip(NAMES, parts, strict=True)
    }


def check(splits):
    images, labels = originals()
    for split, part in (
        ("train", slice(0, 7)),
        ("validation", slice(7, 10)),
        ("test", slice(10, 14)),
    ):
        np.testing.assert_array_equal(splits[split]["images"], images[part])
        np.testing.assert_array_equal(splits[split]["labels"], labels[part])
        assert splits[split]["images"].dtype == np.uint8
        assert splits[split]["labels"].dtype == np.int32


@pytest.mark.parametrize("place", [".", "cifar10"])
def test_the_archive_is_read(tmp_path, place):
    write_tree(tmp_path / place, {"cifar-10-binary.tar.gz": tar(binary(), "w:gz")})
    check(read_cifar(tmp_path, SIZES))


def test_the_unpacked_archive_is_read(tmp_path):
    check(read_cifar(write_tree(tmp_path, binary()), SIZES))


def test_an_export_is_read(tmp_path):
    images, labels = originals()
    for split, part in (("train", slice(0, 10)), ("test", slice(10, 14))):
        cells = [{"bytes": image_file(image, "png"), "path": None} for image in images[part]]
        write_parquet(
            tmp_path / f"cifar10/plain_text/{split}-00000-of-00001.parquet",
            {"img": cells, "label": labels[part]},
        )
    check(read_cifar(tmp_path, SIZES))


@pytest.mark.parametrize("name", ["cifar-10-python.tar.gz", "cifar-10-batches-py/data_batch_1"])
def test_pickles_are_refused(tmp_path, name):
    write_tree(tmp_path, {name: b"cos\nsystem\n(S'exit 1'\ntR."})
    with pytest.raises(RawDataError, match=r"pickles, which can run any code.*binary\.tar\.gz"):
        read_cifar(tmp_path, SIZES)


def test_what_is_missing_is_said(tmp_path):
    with pytest.raises(RawDataError, match=r"CIFAR-10: not found.*cifar-10-binary\.tar\.gz"):
        read_cifar(tmp_path, SIZES)


def test_an_archive_that_ends_early_is_named(tmp_path):
    data = tar(binary(), "w:gz")
    write_tree(tmp_path, {"cifar-10-binary.tar.gz": data[: len(data) // 2]})
    with pytest.raises(RawDataError, match=r"cifar-10-binary\.tar\.gz: cannot be read"):
        read_cifar(tmp_path, SIZES)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data_batch_3.bin": None}, r"has no file data_batch_3\.bin"),
        ({"test_batch.bin": b"\0" * 5000}, "5000 bytes, not a multiple of 3073"),
        ({"test_batch.bin": b"\x0a" * 3073 * 4}, "label 10; allowed are 0 to 9"),
        ({"test_batch.bin": b"\0" * 3073 * 3}, "test images: found 3, expected 4"),
        ({"data_batch_1.bin": b""}, "official training images: found 8, expected 10"),
    ],
)
def test_damaged_files_are_refused(tmp_path, change, message):
    files = binary()
    for name, data in change.items():
        files[f"cifar-10-batches-bin/{name}"] = data
    write_tree(tmp_path, {name: data for name, data in files.items() if data is not None})
    with pytest.raises(RawDataError, match=message):
        read_cifar(tmp_path, SIZES)


def test_an_exported_image_of_another_size_is_refused(tmp_path):
    cells = [{"bytes": image_file(np.zeros((8, 8, 3), np.uint8), "png"), "path": None}]
    for split in ("train", "test"):
        write_parquet(tmp_path / f"{split}-0.parquet", {"img": cells, "label": [1]})
    with pytest.raises(RawDataError, match=r"image 0: has shape \(8, 8, 3\)"):
        read_cifar(tmp_path, SIZES)


def test_an_export_without_the_columns_is_refused(tmp_path):
    for split in ("train", "test"):
        write_parquet(tmp_path / f"{split}-0.parquet", {"picture": [b""], "label": [1]})
    with pytest.raises(RawDataError, match=r"train-0\.parquet: cannot be read.*columns img, label"):
        read_cifar(tmp_path, SIZES)


def test_another_archive_of_the_same_name_is_refused(tmp_path, monkeypatch):
    data = tar(binary(), "w:gz")
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(data)
    monkeypatch.setattr(cifar_raw, "CIFAR_SIZES", SIZES)
    with pytest.raises(RawDataError, match=r"binary\.tar\.gz: is not the published file"):
        read_cifar(tmp_path, SIZES)
    monkeypatch.setattr(cifar_raw, "_MD5", hashlib.md5(data, usedforsecurity=False).hexdigest())
    check(read_cifar(tmp_path, SIZES))
