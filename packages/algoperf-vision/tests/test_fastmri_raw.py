"""Reading fastMRI volumes slice by slice, split as published."""

import h5py
import numpy as np
import pytest

from algoperf_vision.fastmri_raw import (
    SHARED_MASK,
    FastmriSizes,
    read_test,
    read_train,
    read_validation,
)
from algoperf_vision.raw_data import RawDataError

SIZES = FastmriSizes(
    train_volumes=2,
    validation_volumes=2,
    test_volumes=1,
    num_train=5,
    num_validation=3,
    num_test=2,
)
# Slices and width of every volume, in an order that is not that of the names.
TRAIN = {"file1000002": (3, 10), "file1000001": (2, 8)}
VAL = {"file30": (2, 9), "file10": (2, 12), "file20": (1, 8)}


def write_volume(path, slices, width, volume_max=None, **changes):
    generator = np.random.default_rng(slices * width)
    kspace = generator.normal(size=(slices, 16, width, 2)).astype(np.float32).view(np.complex64)
    fields = {
        "kspace": kspace[..., 0],
        "reconstruction_esc": generator.random((slices, 6, 6)).astype(np.float32),
        **changes,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for name, values in fields.items():
            if values is not None:
                file[name] = values
        if volume_max is not None:
            file.attrs["max"] = volume_max
    return fields


@pytest.fixture
def raw_dir(tmp_path):
    for name, (slices, width) in TRAIN.items():
        write_volume(tmp_path / f"knee_singlecoil_train/{name}.h5", slices, width, 0.5 + slices)
    for name, (slices, width) in VAL.items():
        write_volume(tmp_path / f"knee_singlecoil_val/{name}.h5", slices, width)
    return tmp_path


def test_slices_come_by_the_names_of_their_volumes(raw_dir):
    slices = list(read_train(raw_dir, SIZES))
    assert [one.kspace.shape for one in slices] == [(16, 8)] * 2 + [(16, 10)] * 3
    assert [one.volume_max for one in slices] == [2.5] * 2 + [3.5] * 3
    assert [one.index for one in slices] == list(range(5))


def test_slices_hold_what_the_file_holds(raw_dir):
    fields = write_volume(raw_dir / "knee_singlecoil_train/file1000001.h5", 2, 8, 1.0)
    second = list(read_train(raw_dir, SIZES))[1]
    np.testing.assert_array_equal(second.kspace, fields["kspace"][1])
    np.testing.assert_array_equal(second.target, fields["reconstruction_esc"][1])
    assert second.kspace.dtype == np.complex64
    assert second.target.dtype == np.float32


def test_the_first_volumes_validate_and_the_rest_test(raw_dir):
    assert [one.kspace.shape[1] for one in read_validation(raw_dir, SIZES)] == [12, 12, 8]
    assert [one.kspace.shape[1] for one in read_test(raw_dir, SIZES)] == [9, 9]


def test_only_training_slices_are_numbered(raw_dir):
    for read in (read_validation, read_test):
        assert {one.index for one in read(raw_dir, SIZES)} == {SHARED_MASK}


def test_a_volume_without_a_maximum_has_zero(raw_dir):
    assert {one.volume_max for one in read_test(raw_dir, SIZES)} == {0.0}


@pytest.mark.parametrize("place", ["fastmri", "."])
def test_folders_are_found_under_the_names_of_the_archives(raw_dir, tmp_path_factory, place):
    folder = tmp_path_factory.mktemp("raw") / place
    folder.mkdir(exist_ok=True)
    (raw_dir / "knee_singlecoil_train").rename(folder / "singlecoil_train")
    root = folder if place == "." else folder.parent
    assert len(list(read_train(root, SIZES))) == 5


@pytest.mark.parametrize(
    ("read", "folder"),
    [(read_train, "train"), (read_validation, "val"), (read_test, "val")],
)
def test_a_missing_folder_is_named(tmp_path, read, folder):
    with pytest.raises(RawDataError, match=f"knee_singlecoil_{folder}.*fastmri.med.nyu.edu"):
        read(tmp_path, SIZES)


def test_wrong_numbers_are_refused(raw_dir):
    with pytest.raises(RawDataError, match=r"volumes \(\*\.h5\): found 2, expected 973"):
        read_train(raw_dir)
    sizes = FastmriSizes(train_volumes=2, num_train=6)
    with pytest.raises(RawDataError, match="training slices: found 5, expected 6"):
        list(read_train(raw_dir, sizes))


def test_a_damaged_volume_is_named(raw_dir):
    path = raw_dir / "knee_singlecoil_train/file1000002.h5"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(RawDataError, match=r"file1000002\.h5: cannot be read"):
        list(read_train(raw_dir, SIZES))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reconstruction_esc": None}, "no field kspace or reconstruction_esc"),
        ({"reconstruction_esc": np.zeros((3, 6, 6))}, r"reconstruction_esc \(3, 6, 6\)"),
        ({"kspace": np.zeros((2, 4, 16, 8), np.complex64)}, r"kspace has shape \(2, 4, 16, 8\)"),
    ],
)
def test_a_volume_of_another_kind_is_refused(raw_dir, changes, message):
    write_volume(raw_dir / "knee_singlecoil_train/file1000001.h5", 2, 8, **changes)
    with pytest.raises(RawDataError, match=message):
        list(read_train(raw_dir, SIZES))
