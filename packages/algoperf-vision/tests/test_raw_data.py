"""What readers of raw layouts share: finding files, reading archives, counting."""

import tarfile

import numpy as np
import pytest
from raw_trees import image_file, jpeg, tar, write_parquet, write_tree

from algoperf_vision.raw_data import (
    RawDataError,
    counted,
    decoded_images,
    find,
    image_bytes,
    missing,
    open_tar,
    parquet_files,
    parquet_rows,
    reading,
    require_count,
    tar_bytes,
    tar_files,
)


def test_names_go_before_places_and_places_in_their_order(tmp_path):
    write_tree(tmp_path, {"own/second": b"", "first": b"", "own/first": b""})
    assert find(tmp_path, ("own", "."), ("first", "second")) == tmp_path / "own/first"
    assert find(tmp_path, (".", "own"), ("first", "second")) == tmp_path / "first"
    assert find(tmp_path, (".",), ("second", "first")) == tmp_path / "first"
    assert find(tmp_path, (".", "own"), ("third",)) is None
    assert find(tmp_path / "absent", (".",), ("first",)) is None


def test_what_is_missing_is_said_completely(tmp_path):
    message = str(missing("The data", tmp_path, (".", "own"), ("a.tar", "b/"), "Get it there."))
    assert message == (
        f"The data: not found. Looked for a.tar or b/ in {tmp_path}, {tmp_path / 'own'}. Get it there."
    )


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
def test_files_of_an_archive_come_in_order_whatever_its_compression(tmp_path, mode):
    files = {f"folder/{number}": bytes([number]) * 700 * number for number in (3, 1, 2, 0)}
    (tmp_path / "archive").write_bytes(tar(files, mode))
    with open_tar(tmp_path / "archive") as archive:
        found = {member.name: tar_bytes(archive, member) for member in tar_files(archive)}
    assert found == files
    assert list(found) == list(files)


def test_folders_and_links_in_an_archive_are_passed_over(tmp_path):
    path = tmp_path / "archive.tar"
    with tarfile.open(path, "w") as archive:
        for name, kind in (("folder", tarfile.DIRTYPE), ("link", tarfile.SYMTYPE)):
            member = tarfile.TarInfo(name)
            member.type = kind
            member.linkname = "/etc/passwd"
            archive.addfile(member)
        archive.addfile(tarfile.TarInfo("file"))
    with open_tar(path) as archive:
        assert [member.name for member in tar_files(archive)] == ["file"]


def test_members_of_an_archive_are_not_kept_in_memory(tmp_path):
    (tmp_path / "archive.tar").write_bytes(tar({str(number): b"" for number in range(50)}))
    with open_tar(tmp_path / "archive.tar") as archive:
        for _ in tar_files(archive):
            assert len(archive.members) <= 1


def test_an_error_of_the_operating_system_names_the_file(tmp_path):
    path = tmp_path / "absent"
    with (
        pytest.raises(RawDataError, match=r"absent: cannot be read: .*No such file"),
        reading(path),
    ):
        path.read_bytes()


def test_other_errors_pass_through_reading():
    with pytest.raises(ZeroDivisionError), reading("file"):
        1 / 0  # noqa: B018


def test_counting_passes_items_on_and_complains_at_the_end():
    assert list(counted("abc", 3, "letters")) == ["a", "b", "c"]
    assert list(counted("", 0, "letters")) == []
    items = counted("abc", 4, "letters")
    assert [next(items), next(items), next(items)] == ["a", "b", "c"]
    with pytest.raises(RawDataError, match="letters: found 3, expected 4"):
        next(items)


@pytest.mark.parametrize("found", [1, 1_281_166])
def test_wrong_numbers_are_said_readably(found):
    with pytest.raises(RawDataError, match=f"images: found {found:,}, expected 1,281,167"):
        require_count(found, 1_281_167, "images")


def test_rows_of_several_files_follow_each_other(tmp_path):
    for number in range(3):
        columns = {"label": [number, 10 + number], "image": [b"x", b"y"], "more": [0, 0]}
        write_parquet(tmp_path / f"data/test-{number}.parquet", columns)
    write_parquet(tmp_path / "data/train-0.parquet", {"label": [99]})
    paths = parquet_files(tmp_path, ("absent", "."), "test")
    rows = list(parquet_rows(paths, ("image", "label")))
    assert rows == [(b"x", 0), (b"y", 10), (b"x", 1), (b"y", 11), (b"x", 2), (b"y", 12)]
    assert parquet_files(tmp_path, (".",), "validation") == []


def test_a_file_that_is_no_parquet_is_named(tmp_path):
    write_tree(tmp_path, {"train-0.parquet": b"version https://git-lfs.github.com/spec/v1"})
    with pytest.raises(RawDataError, match=r"train-0\.parquet: cannot be read"):
        list(parquet_rows([tmp_path / "train-0.parquet"], ("image",)))


def test_image_cells_are_bytes_or_hold_them():
    assert image_bytes({"bytes": b"abc", "path": None}) == image_bytes(b"abc") == b"abc"


def test_small_images_are_stacked():
    pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 4, 3), np.uint8)
    rows = [(image_file(one, "png"), label) for one, label in zip(pixels, (7, 2), strict=True)]
    images, labels = decoded_images(rows, (5, 4, 3))
    np.testing.assert_array_equal(images, pixels)
    np.testing.assert_array_equal(labels, [7, 2])
    grey, _ = decoded_images([(jpeg(90, (5, 4)), 0)], (5, 4, 1))
    assert grey.shape == (1, 5, 4, 1)
    nothing, none = decoded_images([], (5, 4, 3))
    assert (nothing.shape, none.shape) == ((0, 5, 4, 3), (0,))
