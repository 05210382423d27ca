"""Prepared datasets: whole or not there, verified, readable by Hugging Face `datasets`."""

import json
from contextlib import suppress

import numpy as np
import pytest

from algoperf_workloads.store import (
    MANIFEST,
    DatasetMismatchError,
    StoreError,
    content_hash,
    read_dataset,
    require_examples,
    require_hash,
)
from algoperf_workloads.store_writing import write_dataset

SPLITS = {
    "train": {
        "images": np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4),
        "labels": np.array([5, -7], np.int32),
    },
    "validation": {"images": np.zeros((1, 3, 4), np.uint8), "labels": np.array([1], np.int32)},
}


@pytest.fixture
def folder(tmp_path):
    write_dataset(tmp_path / "toy", SPLITS)
    return tmp_path / "toy"


def test_what_is_written_is_read(folder):
    stored = read_dataset(folder)
    for split, columns in SPLITS.items():
        for name, array in columns.items():
            found = stored.splits[split][name]
            assert found.dtype == array.dtype
            np.testing.assert_array_equal(found, array)


def test_columns_are_views_of_the_file_and_read_only(folder):
    images = read_dataset(folder).splits["train"]["images"]
    assert not images.flags.owndata
    with pytest.raises(ValueError, match="read-only"):
        images[0, 0, 0] = 1


def test_files_are_those_of_hugging_face_datasets(folder):
    datasets = pytest.importorskip("datasets")
    table = datasets.Dataset.from_file(str(folder / "train.arrow"))
    assert table.column_names == ["images", "labels"]
    assert table[1]["images"] == SPLITS["train"]["images"][1].tobytes()


def test_empty_split_is_kept(tmp_path):
    write_dataset(tmp_path / "d", {"train": {"x": np.zeros((0, 2), np.float32)}})
    assert read_dataset(tmp_path / "d").splits["train"]["x"].shape == (0, 2)


def test_hash_depends_on_every_byte_name_shape_and_type():
    base = {"train": {"x": np.zeros((2, 2), np.float32)}}
    others = [
        {"train": {"x": np.array([[0, 0], [0, 1e-9]], np.float32)}},
        {"train": {"y": np.zeros((2, 2), np.float32)}},
        {"test": {"x": np.zeros((2, 2), np.float32)}},
        {"train": {"x": np.zeros((4, 1), np.float32)}},
        {"train": {"x": np.zeros((2, 2), np.int32)}},
    ]
    assert len({content_hash(splits) for splits in [base, *others]}) == 6


def test_hash_does_not_depend_on_the_order_of_columns():
    reversed_columns = {"train": dict(reversed(SPLITS["train"].items())), **SPLITS}
    assert content_hash(SPLITS) == content_hash(reversed_columns)


def test_changed_byte_is_an_error_that_names_path_and_fix(folder):
    path = folder / "train.arrow"
    data = bytearray(path.read_bytes())
    position = data.rindex(bytes(range(8, 16)))
    data[position] ^= 1
    path.write_bytes(data)
    with pytest.raises(DatasetMismatchError, match=r"content hash.*Delete the folder") as error:
        read_dataset(folder)
    assert str(folder) in str(error.value)


@pytest.mark.parametrize("damage", ["remove", "cut"])
def test_missing_or_cut_file_is_an_error_that_names_it(folder, damage):
    path = folder / "train.arrow"
    if damage == "remove":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DatasetMismatchError, match=r"train\.arrow.*Delete the folder"):
        read_dataset(folder)


def test_other_format_is_an_error(folder):
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(manifest | {"format": 99}))
    with pytest.raises(DatasetMismatchError, match="format of the store"):
        read_dataset(folder)


def test_dataset_that_is_not_there_is_not_found(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_dataset(tmp_path / "none")


def test_another_dataset_than_the_workload_is_defined_on_is_refused(folder):
    stored = read_dataset(folder)
    require_hash(stored, content_hash(SPLITS))
    with pytest.raises(
        DatasetMismatchError, match="that the workload is defined on: expected 00ff"
    ):
        require_hash(stored, "00ff")


def test_interrupted_preparation_leaves_nothing_that_looks_like_a_dataset(tmp_path):
    broken = {"train": SPLITS["train"], "test": {"x": np.array([object()])}}
    with pytest.raises(ValueError, match="not a fixed size"):
        write_dataset(tmp_path / "toy", broken)
    assert not list(tmp_path.iterdir())


def test_columns_of_unequal_length_are_refused(tmp_path):
    with pytest.raises(ValueError, match="columns differ in length"):
        write_dataset(tmp_path / "d", {"train": {"x": np.zeros(2), "y": np.zeros(3)}})


def test_second_writer_uses_what_is_there(folder):
    before = (folder / "train.arrow").stat().st_mtime_ns
    write_dataset(folder, SPLITS)
    assert (folder / "train.arrow").stat().st_mtime_ns == before
    assert [path.name for path in folder.parent.iterdir()] == ["toy"]


def test_folder_that_is_no_dataset_is_not_overwritten(tmp_path):
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "precious").write_text("")
    with pytest.raises(StoreError, match="toy: is there already, and is no prepared dataset; move"):
        write_dataset(tmp_path / "toy", lambda: pytest.fail("work that would be lost"))
    assert (tmp_path / "toy" / "precious").exists()


def test_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file" / "toy", tmp_path / "file"):
        with pytest.raises(StoreError, match="file"):
            write_dataset(folder, SPLITS)


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"format": 2}', '{"format": 2, "splits": {"train": 1}}']
)
def test_damaged_manifest_is_an_error_that_names_it(folder, text):
    (folder / "manifest.json").write_text(text)
    with pytest.raises(
        DatasetMismatchError, match=rf"manifest\.json: .*Delete the folder {folder} "
    ):
        read_dataset(folder)


def test_damaged_header_of_a_file_is_an_error_that_names_it(folder):
    path = folder / "train.arrow"
    whole = path.read_bytes()
    found = 0
    for place in range(0, 600, 7):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        path.write_bytes(damaged)
        with suppress(DatasetMismatchError):
            read_dataset(folder)
            continue
        found += 1
    assert found > 20


def test_split_with_fewer_examples_than_needed_is_refused(folder):
    dataset = read_dataset(folder)
    require_examples(dataset, {"train": 2, "validation": 0})
    for sizes in ({"train": 3}, {"nowhere": 1}):
        with pytest.raises(DatasetMismatchError, match=r"examples of split '\w+': expected"):
            require_examples(dataset, sizes)
