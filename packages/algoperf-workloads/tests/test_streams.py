"""Datasets larger than memory: written a part at a time, resumed at a finished file, never taken as whole."""

import errno
import json
import signal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from algoperf_workloads import Stream, store_writing
from algoperf_workloads.columns import BinaryColumn, Examples, ShardedColumn
from algoperf_workloads.store import (
    MANIFEST,
    DatasetMismatchError,
    StoreError,
    content_hash,
    read_dataset,
    verify_dataset,
)
from algoperf_workloads.store_writing import write_dataset

COUNT = 20
FILES = [bytes([number]) * (number % 7) for number in range(COUNT)]
IMAGES = np.arange(COUNT * 6, dtype=np.int16).reshape(COUNT, 2, 3)


def parts(start=0, size=4):
    for first in range(start, COUNT, size):
        rows = slice(first, min(first + size, COUNT))
        yield {"file": FILES[rows], "image": IMAGES[rows]}


def no_space(*arguments):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def small_files(monkeypatch):
    """Every part is a file of its own."""
    monkeypatch.setattr(store_writing, "SHARD_BYTES", 1)


def assert_whole(folder):
    columns = read_dataset(folder).splits["train"]
    assert [bytes(file) for file in columns["file"][:]] == FILES
    np.testing.assert_array_equal(columns["image"][:], IMAGES)


def test_what_is_streamed_is_read(tmp_path, small_files):
    write_dataset(tmp_path / "d", {"train": Stream(parts)})
    assert len(list((tmp_path / "d").glob("*.arrow"))) == 5
    assert_whole(tmp_path / "d")
    verify_dataset(tmp_path / "d")
    assert [path.name for path in tmp_path.iterdir()] == ["d"]


def test_content_hash_does_not_depend_on_parts_and_files(tmp_path, monkeypatch):
    write_dataset(tmp_path / "one", {"train": parts(size=3)})
    monkeypatch.setattr(store_writing, "SHARD_BYTES", 100)
    write_dataset(tmp_path / "two", {"train": parts(size=7)})
    hashes = {read_dataset(tmp_path / name).content_hash for name in ("one", "two")}
    assert len(hashes) == 1


def test_content_hash_depends_on_where_an_example_ends(tmp_path):
    for name, files in (("one", [b"ab", b"c"]), ("two", [b"a", b"bc"])):
        write_dataset(tmp_path / name, {"train": iter([{"file": files}])})
    one, two = (read_dataset(tmp_path / name).content_hash for name in ("one", "two"))
    assert one != two


def test_files_of_bytes_are_those_of_hugging_face_datasets(tmp_path, small_files):
    datasets = pytest.importorskip("datasets")
    write_dataset(tmp_path / "d", {"train": parts()})
    table = datasets.Dataset.from_file(str(tmp_path / "d" / "train-00001.arrow"))
    assert table["file"][:] == FILES[4:8]


class BrokenError(Exception):
    pass


def broken_after(count, started):
    """A source that fails after some examples, and notes from where it was asked."""

    def read(start):
        started.append(start)
        for part in parts(start):
            if start >= count:
                raise BrokenError
            start += len(part["file"])
            yield part

    return Stream(read)


def test_interrupted_preparation_continues_at_the_last_finished_file(tmp_path, small_files):
    folder, started = tmp_path / "d", []
    with pytest.raises(BrokenError):
        write_dataset(folder, {"train": broken_after(12, started)})
    assert not folder.exists()
    write_dataset(folder, {"train": broken_after(COUNT, started)})
    assert started == [0, 11]
    assert_whole(folder)
    write_dataset(tmp_path / "at_once", {"train": parts()})
    assert read_dataset(folder).content_hash == read_dataset(tmp_path / "at_once").content_hash


def other_parts(start=0):
    rows = slice(COUNT - 1 - start, None, -1)
    yield {"file": FILES[rows], "image": IMAGES[rows]}


@pytest.mark.parametrize(
    "changed", [other_parts, lambda start: iter(()), lambda start: iter([{"file": FILES[start:]}])]
)
def test_sources_are_never_mixed(tmp_path, small_files, changed):
    with pytest.raises(BrokenError):
        write_dataset(tmp_path / "d", {"train": broken_after(8, [])})
    with pytest.raises(
        StoreError, match=r"d\.partial: the originals of split 'train' .*delete the"
    ):
        write_dataset(tmp_path / "d", {"train": Stream(changed)})
    # With what it began with it continues.
    write_dataset(tmp_path / "d", {"train": Stream(parts)})
    assert_whole(tmp_path / "d")


def test_preparation_that_stops_at_its_last_step_loses_nothing(tmp_path, small_files, monkeypatch):
    started = []
    with monkeypatch.context() as patch:
        patch.setattr(store_writing.os, "rename", no_space)
        with pytest.raises(StoreError, match="no space"):
            write_dataset(tmp_path / "d", {"train": broken_after(COUNT, started)})
    write_dataset(tmp_path / "d", {"train": broken_after(COUNT, started)})
    assert started == [0, COUNT - 1]
    assert_whole(tmp_path / "d")
    assert not (tmp_path / "d" / "record.json").exists()


def test_an_iterator_skips_what_is_finished(tmp_path, small_files):
    with pytest.raises(BrokenError):
        write_dataset(tmp_path / "d", {"train": broken_after(8, [])})
    write_dataset(tmp_path / "d", {"train": parts(size=5)})
    assert_whole(tmp_path / "d")


@pytest.mark.parametrize("damage", ["remove", "change", "stray"])
def test_damage_to_unfinished_work_is_mended(tmp_path, small_files, damage):
    with pytest.raises(BrokenError):
        write_dataset(tmp_path / "d", {"train": broken_after(12, [])})
    work = tmp_path / ".d.partial"
    path = work / "train-00001.arrow"
    if damage == "remove":
        path.unlink()
    elif damage == "change":
        data = bytearray(path.read_bytes())
        data[-20] ^= 1
        path.write_bytes(data)
    else:
        (work / "train-00003.arrow").write_bytes(b"half a file")
    started = []
    write_dataset(tmp_path / "d", {"train": broken_after(COUNT, started)})
    assert started == [11 if damage == "stray" else 3]
    assert_whole(tmp_path / "d")


def test_a_process_that_is_killed_leaves_work_to_continue(tmp_path, start_python):
    code = f"""
import time
from pathlib import Path
from algoperf_workloads import Stream, store_writing
store_writing.SHARD_BYTES = 1

def read(start):
    for number in range(start, 100):
        yield {{"file": [bytes([number])]}}
        if number == 5:
            print("ready", flush=True)
            time.sleep(60)

store_writing.write_dataset(Path({str(tmp_path / "d")!r}), {{"train": Stream(read)}})
"""
    process = start_python(code)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (tmp_path / "d").exists()
    started = []

    def read(start):
        started.append(start)
        return ({"file": [bytes([number])]} for number in range(start, 8))

    write_dataset(tmp_path / "d", {"train": Stream(read)})
    assert started[0] >= 5
    files = read_dataset(tmp_path / "d").splits["train"]["file"][:]
    assert [bytes(file) for file in files] == [bytes([number]) for number in range(8)]


def test_a_second_process_waits_and_uses_what_the_first_made(tmp_path, start_python):
    folder, go = tmp_path / "data" / "d", tmp_path / "go"
    code = f"""
import time
from pathlib import Path
from algoperf_workloads.store_writing import write_dataset

def make():
    print("making", flush=True)
    while not Path({str(go)!r}).exists():
        time.sleep(0.01)
    return {{"train": iter([{{"file": [b"x"]}}])}}

write_dataset(Path({str(folder)!r}), make, lambda what, *_: print(what, flush=True))
"""
    first = start_python(code)
    assert first.stdout.readline() == "making\n"
    second = start_python(code)
    assert second.stdout.readline() == "waiting for another process that prepares d\n"
    go.touch()
    printed = [process.communicate(timeout=60)[0] for process in (first, second)]
    assert "making" not in printed[1]
    assert [first.returncode, second.returncode] == [0, 0]
    assert [path.name for path in folder.parent.iterdir()] == ["d"]


def test_a_full_disk_is_said_and_work_is_kept(tmp_path, small_files, monkeypatch):
    write = store_writing._write_shard

    def full(path, *rest):
        if path.name == "train-00002.arrow":
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, *rest)

    monkeypatch.setattr(store_writing, "_write_shard", full)
    with pytest.raises(StoreError, match=r"no space left.*continues where it stopped"):
        write_dataset(tmp_path / "d", {"train": parts()})
    monkeypatch.setattr(store_writing, "_write_shard", write)
    started = []
    write_dataset(tmp_path / "d", {"train": broken_after(COUNT, started)})
    assert started == [7]


@pytest.mark.parametrize(
    ("chunks", "message"),
    [
        ([{"x": [b"a"]}, {"x": np.zeros(1)}], "columns change from"),
        ([{"x": np.zeros(1)}, {"x": np.zeros((1, 2))}], "columns change from"),
        ([{"x": [b"a"], "y": np.zeros(2)}], "columns differ in length"),
        ([{"x": np.array([object()])}], "give a list of bytes"),
        ([], "has no examples"),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(tmp_path, chunks, message):
    with pytest.raises(ValueError, match=message):
        write_dataset(tmp_path / "d", {"train": iter(chunks)})
    assert not (tmp_path / "d").exists()


def test_verifying_names_the_damaged_file(tmp_path, small_files, monkeypatch):
    write_dataset(tmp_path / "d", {"train": parts()})
    path = tmp_path / "d" / "train-00003.arrow"
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    path.write_bytes(data)
    with pytest.raises(DatasetMismatchError, match=r"train-00003\.arrow: SHA-256"):
        verify_dataset(tmp_path / "d")


def test_large_data_are_checked_by_size_on_opening(tmp_path, small_files, monkeypatch):
    write_dataset(tmp_path / "d", {"train": parts()})
    monkeypatch.setattr("algoperf_workloads.store.HASHED_BYTES", 0)
    path = tmp_path / "d" / "train-00003.arrow"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DatasetMismatchError, match=r"train-00003\.arrow: size in bytes"):
        read_dataset(tmp_path / "d")


def test_datasets_of_the_first_format_stay_valid(tmp_path):
    arrays = {"train": {"image": IMAGES}, "test": {"image": IMAGES[:0]}}
    write_dataset(tmp_path / "d", arrays)
    path = tmp_path / "d" / MANIFEST
    old = {
        "format": 1,
        "content_hash": content_hash(arrays),
        "splits": {
            split: {"image": {"dtype": "<i2", "shape": list(columns["image"].shape)}}
            for split, columns in arrays.items()
        },
    }
    path.write_text(json.dumps(old))
    np.testing.assert_array_equal(read_dataset(tmp_path / "d").splits["train"]["image"], IMAGES)
    verify_dataset(tmp_path / "d")


@settings(max_examples=30)
@given(
    sizes=st.lists(st.integers(0, 4), min_size=1, max_size=5),
    rows=st.lists(st.integers(0, 10**6), max_size=6),
)
def test_columns_in_pieces_are_read_like_whole_ones(sizes, rows):
    whole = np.arange(3 * sum(sizes)).reshape(-1, 3)
    ends = np.cumsum(sizes)[:-1]
    pieces = np.split(whole, ends)
    column = ShardedColumn(pieces)
    binary = BinaryColumn(
        [(np.arange(len(piece) + 1) * 24, memoryview(piece.tobytes())) for piece in pieces]
    )
    assert len(column) == len(binary) == len(whole)
    rows = [row % len(whole) for row in rows] if len(whole) else []
    np.testing.assert_array_equal(column[rows], whole[rows])
    assert [bytes(one) for one in binary[rows]] == [whole[row].tobytes() for row in rows]
    np.testing.assert_array_equal(column[1:-1], whole[1:-1])
    if len(whole):
        np.testing.assert_array_equal(column[-1], whole[-1])
        assert bytes(binary[len(whole) - 1]) == whole[-1].tobytes()


def test_a_row_that_is_not_there_is_an_error_with_the_range():
    with pytest.raises(IndexError, match="row 3, allowed 0 to 2"):
        ShardedColumn([np.zeros(3)])[[0, 3]]


def test_examples_tell_their_position_in_the_stored_split():
    examples = Examples({"x": np.arange(10) * 2}, np.array([1, 4, 7]))
    found = examples[[2, 0]]
    np.testing.assert_array_equal(found["index"], [7, 1])
    np.testing.assert_array_equal(found["x"], [14, 2])


def test_stored_columns_go_to_other_processes_by_their_place(tmp_path):
    import pickle

    write_dataset(tmp_path / "d", {"train": {"x": np.zeros((1000, 100))}})
    columns = read_dataset(tmp_path / "d").splits["train"]
    pickled = pickle.dumps(columns)
    assert len(pickled) < 2000
    np.testing.assert_array_equal(pickle.loads(pickled)["x"], columns["x"])  # noqa: S301


def test_progress_is_told(tmp_path, small_files):
    told = []
    write_dataset(tmp_path / "d", {"train": parts()}, lambda *what: told.append(what))
    assert [what[:2] for what in told] == [("writing train", count) for count in (4, 8, 12, 16, 20)]
    assert told[-1][2] == sum(path.stat().st_size for path in (tmp_path / "d").glob("*.arrow"))
