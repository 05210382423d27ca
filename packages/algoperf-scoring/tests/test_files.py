import os
import stat

import pytest

from algoperf_scoring import OutputError, write_bytes_atomic, write_text_atomic


def test_a_file_is_written_and_replaced(tmp_path):
    path = tmp_path / "a.txt"
    write_text_atomic(path, "first")
    write_text_atomic(str(path), "zweite Zeile: ß\n")
    assert path.read_bytes() == "zweite Zeile: ß\n".encode()
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_the_old_content_and_no_litter(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    write_text_atomic(path, "old")

    def no_space(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", no_space)
    with pytest.raises(OutputError, match="No space left on device"):
        write_bytes_atomic(path, b"new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_reader_that_opened_the_old_file_keeps_it(tmp_path):
    path = tmp_path / "a.txt"
    write_text_atomic(path, "old")
    with open(path) as reader:
        write_text_atomic(path, "new")
        assert reader.read() == "old"


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(OutputError, match=rf"folder {tmp_path}/no: No such file .* create"):
        write_text_atomic(tmp_path / "no" / "a.txt", "text")


def test_a_folder_is_not_overwritten(tmp_path):
    with pytest.raises(OutputError, match="this is a folder"):
        write_text_atomic(tmp_path, "text")


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "target").write_text("old")
    (tmp_path / "link").symlink_to("target")
    write_text_atomic(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "new"


def test_a_device_is_written_to_and_not_replaced():
    write_text_atomic("/dev/null", "text")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_permissions_follow_the_process_like_those_of_any_file(tmp_path):
    (tmp_path / "plain").write_text("text")
    write_text_atomic(tmp_path / "atomic", "text")
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "atomic")}
    assert len(modes) == 1
