"""Reading MNIST from idx files or an export."""

import gzip
import hashlib

import numpy as np
import pytest
from raw_trees import image_file, write_parquet, write_tree

from algoperf_vision import mnist_raw
from algoperf_vision.labelled_images import LabelledSizes
from algoperf_vision.mnist_raw import read_idx, read_mnist
from algoperf_vision.raw_data import RawDataError

SIZES = LabelledSizes(num_train=5, num_validation=2, num_test=3)


def originals():
    images = np.random.default_rng(0).integers(0, 256, (10, 28, 28), np.uint8)
    return images, (np.arange(10) % 10).astype(np.uint8)


def idx(array):
    header = bytes((0, 0, 8, array.ndim)) + np.array(array.shape, ">u4").tobytes()
    return header + array.tobytes()


def official():
    images, labels = originals()
    return {
        "train-images-idx3-ubyte": idx(images[:7]),
        "train-labels-idx1-ubyte": idx(labels[:7]),
        "t10k-images-idx3-ubyte": idx(images[7:]),
        "t10k-labels-idx1-ubyte": idx(labels[7:]),
    }


def compressed():
    return {f"{name}.gz": gzip.compress(data) for name, data in official().items()}


def check(splits):
    images, labels = originals()
    for split, part in (
        ("train", slice(0, 5)),
        ("validation", slice(5, 7)),
        ("test", slice(7, 10)),
    ):
        np.testing.assert_array_equal(splits[split]["images"], images[part, ..., np.newaxis])
        np.testing.assert_array_equal(splits[split]["labels"], labels[part])
        assert splits[split]["labels"].dtype == np.int32


@pytest.mark.parametrize("place", [".", "MNIST/raw"])
@pytest.mark.parametrize("files", [official, compressed])
def test_idx_files_are_read(tmp_path, place, files):
    write_tree(tmp_path / place, files())
    check(read_mnist(tmp_path, SIZES))


def test_an_export_is_read(tmp_path):
    images, labels = originals()
    for split, part in (("train", slice(0, 7)), ("test", slice(7, 10))):
        cells = [{"bytes": image_file(image, "png"), "path": None} for image in images[part]]
        write_parquet(
            tmp_path / f"mnist/{split}-00000-of-00001.parquet",
            {"image": cells, "label": labels[part].astype(int)},
        )
    check(read_mnist(tmp_path, SIZES))


@pytest.mark.parametrize("name", list(compressed()))
def test_a_missing_file_is_named(tmp_path, name):
    files = compressed()
    del files[name]
    with pytest.raises(RawDataError, match=f"{name.replace('.', '[.]')}.*https://"):
        read_mnist(write_tree(tmp_path, files), SIZES)


def test_a_compressed_file_that_ends_early_is_named(tmp_path):
    files = compressed()
    files["train-images-idx3-ubyte.gz"] = files["train-images-idx3-ubyte.gz"][:300]
    with pytest.raises(RawDataError, match=r"train-images-idx3-ubyte\.gz: cannot be read"):
        read_mnist(write_tree(tmp_path, files), SIZES)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is no idx file"),
        (b"<html>", "is no idx file"),
        (b"\0\0\x08\x03\0\0", "is no idx file"),
        (b"\0\0\x0d\x01\0\0\0\1abcd", "is no idx file of bytes"),
        (idx(np.zeros((3, 4), np.uint8))[:-1], "bytes after the header: found 11, expected 12"),
    ],
)
def test_what_is_no_idx_file_is_refused(tmp_path, data, message):
    path = tmp_path / "images"
    path.write_bytes(data)
    with pytest.raises(RawDataError, match=message):
        read_idx(path)


def test_wrong_numbers_are_refused(tmp_path):
    write_tree(tmp_path, official())
    with pytest.raises(RawDataError, match="official training images: found 7, expected 60,000"):
        read_mnist(tmp_path)


def test_images_and_labels_of_different_number_are_refused(tmp_path):
    files = official()
    files["t10k-labels-idx1-ubyte"] = files["train-labels-idx1-ubyte"]
    with pytest.raises(RawDataError, match="labels: found 7, expected 3"):
        read_mnist(write_tree(tmp_path, files), SIZES)


@pytest.mark.parametrize("name", ["t10k-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"])
def test_another_dataset_in_files_of_the_same_names_is_refused(tmp_path, monkeypatch, name):
    published = {
        file: hashlib.md5(data, usedforsecurity=False).hexdigest()
        for file, data in compressed().items()
    }
    monkeypatch.setattr(mnist_raw, "_MD5", published)
    monkeypatch.setattr(mnist_raw, "MNIST_SIZES", SIZES)
    check(read_mnist(write_tree(tmp_path, compressed()), SIZES))
    (tmp_path / name).write_bytes(gzip.compress(b"fashion"))
    with pytest.raises(
        RawDataError, match=rf"{name}: is not the published file: its MD5 is \w+, not"
    ):
        read_mnist(tmp_path, SIZES)
