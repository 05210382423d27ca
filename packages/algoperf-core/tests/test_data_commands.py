"""`algoperf data`: what is there, what is missing, made once, and checked."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from algoperf_core import data_commands
from algoperf_core.cli import main
from algoperf_core.data_commands import DataDescription
from algoperf_core.errors import WorkloadError

SIZE = 1000


class Provider:
    """A third party's workload; its data are one file."""

    def __init__(self, dataset, *, num_bytes=SIZE, on_the_fly=False):
        self.dataset = dataset
        self.num_bytes = num_bytes
        self.on_the_fly = on_the_fly

    def file(self, data_dir):
        return Path(data_dir) / self.dataset

    def describe_data(self, data_dir):
        return DataDescription(
            dataset=self.dataset,
            folder=str(self.file(data_dir)),
            prepared=self.file(data_dir).exists(),
            on_the_fly=self.on_the_fly,
            num_bytes=self.num_bytes,
            source=f"{self.dataset} from the hub",
            licence="registration needed",
        )

    def prepare_data(self, data_dir, raw_dir, report):
        original = (raw_dir or data_dir) / "original.tar"
        if not original.is_file():
            raise WorkloadError(f"{original}: the archive is missing; download it from the hub")
        report("writing train", 1200, 5_000_000)
        self.file(data_dir).write_text("whole")

    def verify_data(self, data_dir, report):
        report("checking", 0, 0)
        if self.file(data_dir).read_text() != "whole":
            raise WorkloadError(f"{self.file(data_dir)}: SHA-256 differs")


@pytest.fixture
def providers(monkeypatch):
    known = {
        "birds": Provider("birds"),
        "birds_wide": Provider("birds"),
        "fish": Provider("sea", on_the_fly=True),
        "plain": SimpleNamespace(summary="has no data of its own"),
    }
    monkeypatch.setattr(data_commands, "installed", lambda group: known)
    monkeypatch.setattr(data_commands, "workload_provider", known.__getitem__)
    return known


@pytest.fixture
def raw_dir(tmp_path):
    folder = tmp_path / "raw"
    folder.mkdir()
    (folder / "original.tar").touch()
    return folder


@pytest.fixture
def data_dir(tmp_path):
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def run(*arguments):
    return main(["data", *map(str, arguments)])


def test_list_shows_each_dataset_once_with_its_workloads(providers, data_dir, capsys):
    assert run("list", "--json", "--data-dir", data_dir) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [(one["dataset"], one["workloads"]) for one in listed] == [
        ("birds", ["birds", "birds_wide"]),
        ("sea", ["fish"]),
    ]
    assert listed[0]["prepared"] is False
    assert listed[0]["num_bytes"] == SIZE
    assert listed[0]["licence"] == "registration needed"


def test_list_says_what_is_prepared_missing_or_made_when_needed(
    providers, data_dir, capsys, monkeypatch
):
    monkeypatch.setenv("COLUMNS", "200")
    assert run("list", "--data-dir", data_dir) == 0
    printed = capsys.readouterr().out
    assert "missing" in printed
    assert "made when needed" in printed
    assert "for: birds, birds_wide" in printed
    assert "from: birds from the hub" in printed
    assert "terms: registration needed" in printed
    (data_dir / "birds").write_text("whole")
    run("list", "birds", "--data-dir", data_dir)
    assert "prepared" in capsys.readouterr().out


def test_prepare_makes_a_shared_dataset_once(providers, data_dir, raw_dir, capsys):
    names = ("birds", "birds_wide")
    assert run("prepare", *names, "--data-dir", data_dir, "--raw-dir", raw_dir) == 0
    captured = capsys.readouterr()
    assert captured.out == f"birds: prepared in {data_dir / 'birds'}, 1 kB\n"
    assert captured.err == "birds: writing train, 1,200 examples, 5 MB\n"
    assert run("prepare", "birds", "--data-dir", data_dir) == 0
    assert capsys.readouterr().err == ""


def test_datasets_can_be_named_instead_of_workloads(providers, data_dir, raw_dir):
    assert run("prepare", "sea", "--data-dir", data_dir, "--raw-dir", raw_dir) == 0
    assert (data_dir / "sea").exists()


def test_a_missing_archive_is_said(providers, data_dir, capsys):
    assert run("prepare", "birds", "--data-dir", data_dir) == 2
    assert "original.tar: the archive is missing" in capsys.readouterr().err


def test_no_space_is_said_before_anything_is_written(
    providers, data_dir, raw_dir, capsys, monkeypatch
):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=SIZE - 1))
    assert run("prepare", "birds", "--data-dir", data_dir, "--raw-dir", raw_dir) == 2
    assert "takes about 1 kB, but 999 B are free" in capsys.readouterr().err
    assert not list(data_dir.iterdir())


def test_space_is_looked_for_where_the_folder_will_be(providers, tmp_path, raw_dir, monkeypatch):
    asked = []
    usage = shutil.disk_usage
    monkeypatch.setattr(shutil, "disk_usage", lambda path: asked.append(path) or usage(path))
    run("prepare", "birds", "--data-dir", tmp_path / "new" / "data", "--raw-dir", tmp_path)
    assert asked == [tmp_path]


def test_verify_reports_every_dataset_and_fails_for_a_damaged_one(providers, data_dir, capsys):
    (data_dir / "birds").write_text("cut")
    (data_dir / "sea").write_text("whole")
    assert run("verify", "--data-dir", data_dir) == 2
    printed = capsys.readouterr().out
    assert f"birds: damaged: {data_dir / 'birds'}: SHA-256 differs" in printed
    assert "sea: whole" in printed
    (data_dir / "birds").write_text("whole")
    assert run("verify", "--data-dir", data_dir) == 0


def test_verifying_what_is_not_there_names_the_command(providers, data_dir, capsys):
    assert run("verify", "birds", "--data-dir", data_dir) == 2
    assert "run: algoperf data prepare birds --data-dir" in capsys.readouterr().err
    assert run("verify", "--data-dir", data_dir) == 0


def test_an_unknown_name_suggests_the_nearest(providers, data_dir, capsys):
    assert run("prepare", "brids", "--data-dir", data_dir) == 2
    assert "'brids'" in (error := capsys.readouterr().err)
    assert "birds" in error


def test_a_workload_without_data_of_its_own_is_said(providers, data_dir, capsys):
    assert run("prepare", "plain", "--data-dir", data_dir) == 2
    assert "'plain' has no data that can be prepared" in capsys.readouterr().err
