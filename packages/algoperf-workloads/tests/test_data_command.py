"""`algoperf data` on definitions of the toolkit."""

import json
from dataclasses import replace

import pytest

from algoperf_core import data_commands
from algoperf_core.cli import main
from algoperf_toy.definition import TOY
from algoperf_toy.heavy import HEAVY
from algoperf_workloads import store_writing

LARGE = replace(
    TOY,
    name="large",
    dataset=replace(HEAVY, on_the_fly=False, source="Generated.", prepared_bytes=10_000),
)


@pytest.fixture(autouse=True)
def providers(monkeypatch):
    known = {"large": LARGE, "toy": TOY}
    monkeypatch.setattr(data_commands, "installed", lambda group: known)
    monkeypatch.setattr(data_commands, "workload_provider", known.__getitem__)


def listed(data_dir, capsys):
    assert main(["data", "list", "--json", "--data-dir", str(data_dir)]) == 0
    return {one["dataset"]: one for one in json.loads(capsys.readouterr().out)}


def test_prepared_data_are_listed_with_their_size_and_verified(tmp_path, capsys):
    before = listed(tmp_path, capsys)["heavy"]
    assert (before["prepared"], before["on_the_fly"], before["num_bytes"]) == (False, False, 10_000)
    assert main(["data", "prepare", "large", "--data-dir", str(tmp_path)]) == 0
    capsys.readouterr()
    after = listed(tmp_path, capsys)["heavy"]
    files = list((tmp_path / "prepared" / "heavy").glob("*.arrow"))
    assert after["prepared"]
    assert after["num_bytes"] == sum(path.stat().st_size for path in files)
    assert main(["data", "verify", "large", "--data-dir", str(tmp_path)]) == 0
    files[0].write_bytes(files[0].read_bytes()[:-8])
    assert main(["data", "verify", "large", "--data-dir", str(tmp_path)]) == 2
    assert files[0].name in capsys.readouterr().out


def test_what_was_begun_is_listed(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(store_writing, "SHARD_BYTES", 1)
    write = store_writing._write_shard

    def failing(path, *rest):
        if path.name == "validation-00000.arrow":
            raise KeyboardInterrupt
        return write(path, *rest)

    monkeypatch.setattr(store_writing, "_write_shard", failing)
    assert main(["data", "prepare", "large", "--data-dir", str(tmp_path)]) == 130
    capsys.readouterr()
    begun = listed(tmp_path, capsys)["heavy"]
    assert not begun["prepared"]
    assert begun["started_bytes"] > 0
    monkeypatch.setattr(store_writing, "_write_shard", write)
    assert main(["data", "prepare", "large", "--data-dir", str(tmp_path)]) == 0
    assert main(["data", "verify", "large", "--data-dir", str(tmp_path)]) == 0
