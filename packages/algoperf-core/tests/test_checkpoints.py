"""The folder of checkpoints: whole or not there, the newest whole one counts."""

import errno
import json
import os
import shutil
import subprocess
import sys

import pytest

from algoperf_core.checkpoints import MANIFEST, CheckpointFolder
from algoperf_core.errors import CheckpointError


def write(folder):
    (folder / "inside").mkdir()
    (folder / "inside" / "numbers").write_bytes(bytes(range(200)))
    (folder / "state").write_text("some text")


@pytest.fixture
def folder(tmp_path):
    return CheckpointFolder(tmp_path)


def names(folder):
    return sorted(path.name for path in folder.path.iterdir())


def test_folder_without_checkpoints_has_none(folder):
    assert folder.find().newest is None


def test_newest_checkpoint_is_found_by_number_not_by_name(folder):
    folder.save(9, write)
    folder.save(10, write)
    found = folder.find()
    assert found.newest.global_step == 10
    assert (found.newest.path / "state").read_text() == "some text"
    assert found.damaged == ()


def test_last_two_are_kept(folder):
    for step in (1, 5, 20, 100):
        folder.save(step, write)
    assert names(folder) == ["step_100", "step_20"]


def flip_a_bit(path):
    data = bytearray((path / "inside" / "numbers").read_bytes())
    data[7] ^= 1
    (path / "inside" / "numbers").write_bytes(data)


def cut(name, size):
    def truncate(path):
        os.truncate(path / name, size)

    return truncate


DAMAGE = {
    "a flipped bit": flip_a_bit,
    "a file that lost its end": cut("inside/numbers", 100),
    "a file that lost everything": cut("state", 0),
    "a missing file": lambda path: (path / "state").unlink(),
    "half a manifest": cut(MANIFEST, 40),
    "an empty manifest": cut(MANIFEST, 0),
    "no manifest": lambda path: (path / MANIFEST).unlink(),
    "another manifest": lambda path: (path / MANIFEST).write_text("[1]"),
    "a manifest of another format": lambda path: (path / MANIFEST).write_text('{"format": 9}'),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_damaged_checkpoint_falls_back_to_the_one_before(folder, damage):
    folder.save(3, write)
    damage(folder.save(7, write).path)
    found = folder.find()
    assert found.newest.global_step == 3
    (said,) = found.damaged
    assert said.startswith("step_7: ")
    folder.set_aside(found)
    assert names(folder) == ["damaged_step_7", "step_3"]
    assert folder.find().damaged == ()


def test_two_damaged_checkpoints_leave_none(folder):
    for step in (3, 7):
        flip_a_bit(folder.save(step, write).path)
    found = folder.find()
    assert found.newest is None
    assert [text.partition(":")[0] for text in found.damaged] == ["step_7", "step_3"]


def test_step_that_was_saved_before_is_replaced(folder):
    folder.save(3, write)
    flip_a_bit(folder.path / "step_3")
    folder.save(3, write)
    assert folder.find().newest.global_step == 3


def fail(folder):
    write(folder)
    raise OSError(errno.ENOSPC, "No space left on device")


def test_checkpoint_that_cannot_be_written_leaves_the_older_ones_and_nothing_else(folder):
    folder.save(3, write)
    with pytest.raises(OSError, match="No space"):
        folder.save(7, fail)
    assert names(folder) == ["step_3"]
    assert folder.find().newest.global_step == 3


def test_checkpoint_without_files_is_refused(folder):
    with pytest.raises(CheckpointError, match="nothing was written"):
        folder.save(3, lambda folder: None)


KILLED = """
import os, signal, sys
from pathlib import Path
from algoperf_core.checkpoints import CheckpointFolder

def write(folder):
    (folder / "state").write_text("half of it")
    os.kill(os.getpid(), signal.SIGKILL)

CheckpointFolder(Path(sys.argv[1])).save(9, write)
"""


def test_process_that_is_killed_while_it_saves_leaves_the_older_checkpoint(folder, tmp_path):
    folder.save(3, write)
    process = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    assert process.returncode == -9
    assert len(names(folder)) == 2
    assert folder.find().newest.global_step == 3
    folder.save(12, write)
    assert names(folder) == ["step_12", "step_3"]


def test_manifest_lists_every_file(folder):
    path = folder.save(3, write).path
    manifest = json.loads((path / MANIFEST).read_text())
    assert set(manifest["files"]) == {"inside/numbers", "state"}


def test_clear_removes_everything(folder):
    folder.save(3, write)
    folder.clear()
    assert not folder.path.exists()
    folder.clear()


def test_copy_of_a_checkpoint_is_no_checkpoint(folder):
    path = folder.save(3, write).path
    shutil.copytree(path, path.with_name("step_9_old"))
    assert folder.find().newest.global_step == 3
