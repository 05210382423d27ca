"""What belongs to a submission, and the copy of it that every trial keeps."""

import io
import json
import os
import subprocess
import sys
import zipfile
from dataclasses import replace

import pytest

from algoperf_core.campaign import Campaign, Watcher, run_campaign
from algoperf_core.environment import describe_environment, differences
from algoperf_core.errors import CampaignError, SubmissionError
from algoperf_core.outcomes import Outcome, TrialResult
from algoperf_core.source_files import file_and_its_imports, folder_files
from algoperf_core.sources import find_submission, load
from algoperf_core.submission_copy import pack, unpack
from algoperf_core.trial_spec import OUTCOME_FILE, read_spec, write_json
from algoperf_scoring import load_benchmark

SUBMISSION = """
import jax
{extra}
def get_batch_size(workload_name):
    return {size}

def init_optimizer_state(workload, params, state, hyperparameters, rng):
    return {{}}, None

def update_params(**everything):
    return None, None, None

def data_selection(workload, queue, optimizer_state, params, state, hyperparameters, step, rng):
    return next(queue)
"""


def write_submission(folder, extra="", size=8):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "submission.py").write_text(SUBMISSION.format(extra=extra, size=size))
    return folder


def unpacked(reference, tmp_path):
    source = find_submission(str(reference))
    archive = tmp_path / "submission.zip"
    archive.write_bytes(pack(source, "jax"))
    return unpack(archive, tmp_path / "copy", source.sha256("jax"))


def test_folder_counts_whole_without_what_is_no_source(tmp_path):
    folder = write_submission(tmp_path / "lion")
    for name in ("rule.py", "nested/table.json", "weights.npz", "README.md", "old.pyc", ".secret"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("x")
    for name in ("__pycache__/a.py", ".git/config", "venv/pyvenv.cfg", "venv/lib.py"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("x")
    (folder / "runs" / "lion" / "study_0").mkdir(parents=True)
    (folder / "runs" / "lion" / "benchmark.toml").write_text("")
    (folder / "runs" / "lion" / "study_0" / "flags_0.json").write_text("{}")
    assert list(folder_files(folder)) == [
        "nested/table.json",
        "rule.py",
        "submission.py",
        "weights.npz",
    ]


def test_file_counts_with_the_modules_that_it_imports(tmp_path):
    folder = write_submission(tmp_path / "a", "from .rule import SIZE\nfrom . import other\n")
    (folder / "rule.py").write_text("from .deep.rule import X\n")
    (folder / "deep").mkdir()
    (folder / "deep" / "rule.py").write_text("from ..other import X\nfrom ...outside import Y\n")
    (folder / "other.py").write_text("from .rule import SIZE\n")
    (folder / "stranger.py").write_text("")
    (tmp_path / "outside.py").write_text("")
    assert list(file_and_its_imports(folder / "submission.py")) == [
        "deep/rule.py",
        "other.py",
        "rule.py",
        "submission.py",
    ]


def test_digest_of_a_file_changes_with_a_module_that_it_imports(tmp_path):
    folder = write_submission(tmp_path / "a", "from .rule import SIZE\n")
    (folder / "rule.py").write_text("SIZE = 3\n")
    path = str(folder / "submission.py")
    before = find_submission(path).sha256("jax")
    (folder / "stranger.py").write_text("SIZE = 3\n")
    assert find_submission(path).sha256("jax") == before
    (folder / "rule.py").write_text("SIZE = 4\n")
    assert find_submission(path).sha256("jax") != before


def test_same_files_give_the_same_archive_wherever_they_lie(tmp_path):
    first = write_submission(tmp_path / "one" / "lion")
    archive = pack(find_submission(str(first)), "jax")
    os.utime(first / "submission.py", (0, 0))
    assert pack(find_submission(str(first)), "jax") == archive
    with zipfile.ZipFile(io.BytesIO(archive)) as members:
        assert members.namelist() == ["submission.json", "files/lion/submission.py"]


@pytest.mark.parametrize("what", ["folder", "file"])
def test_copy_is_a_submission_of_the_same_name_and_digest(tmp_path, what):
    folder = write_submission(tmp_path / "lion", "from .rule import SIZE", size="SIZE")
    (folder / "rule.py").write_text("SIZE = 48\n")
    reference = folder if what == "folder" else folder / "submission.py"
    source = find_submission(str(reference))
    copy = find_submission(str(unpacked(reference, tmp_path)))
    assert copy.name == source.name == "lion"
    assert copy.sha256("jax") == source.sha256("jax")
    assert load(copy, "jax").get_batch_size("any") == 48
    # Unpacked by hand, its folder is an ordinary submission.
    assert find_submission(str(tmp_path / "copy" / "files" / "lion")).name == "lion"


def test_copy_of_an_installed_submission_is_imported_from_the_copy(plugin, tmp_path):
    copy = unpacked("toy_optimizer", tmp_path)
    module = copy / "files" / "toy_plugin" / "toy_optimizer" / "submission_jax.py"
    code = (
        "import sys; from algoperf_core.sources import find_submission, load\n"
        f"load(find_submission({str(copy)!r}), 'jax')\n"
        "print(sys.modules['toy_plugin.toy_optimizer.submission_jax'].__file__)"
    )
    # Even where the package is not installed at all.
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False
    )
    assert run.stdout.strip() == str(module), run.stderr


def test_package_that_was_imported_from_elsewhere_and_differs_is_refused(plugin, tmp_path):
    copy = unpacked("toy_optimizer", tmp_path)
    (copy / "files" / "toy_plugin" / "workload.py").write_text("# another version\n")
    with pytest.raises(SubmissionError, match=r"toy_plugin is already imported from .*plugin"):
        load(find_submission(str(copy)), "jax")


def test_large_folder_is_refused_with_its_largest_file(tmp_path, monkeypatch):
    monkeypatch.setattr("algoperf_core.submission_copy.MAX_BYTES", 2**20)
    folder = write_submission(tmp_path / "lion")
    (folder / "imagenet.bin").write_bytes(bytes(2 * 2**20))
    with pytest.raises(
        CampaignError, match=r"holds 2 MiB in 2 files, the largest is imagenet\.bin"
    ):
        pack(find_submission(str(folder)), "jax")


def test_archive_that_would_leave_its_folder_cannot(tmp_path):
    archive = tmp_path / "submission.zip"
    with zipfile.ZipFile(archive, "w") as members:
        members.writestr("../outside.py", "x")
        members.writestr("submission.json", "{}")
    with pytest.raises(SubmissionError, match="not the description of a copied submission"):
        unpack(archive, tmp_path / "copy", "0" * 64)
    assert not (tmp_path / "outside.py").exists()


# What a campaign keeps of every trial.


@pytest.fixture
def campaign(plugin, tmp_path):
    return Campaign(
        benchmark=load_benchmark("toy-benchmark"),
        ruleset="external",
        submissions=(str(write_submission(tmp_path / "lion")),),
        search_space=plugin / "toy_plugin" / "toy_optimizer" / "tuning_search_space.json",
        runs=tmp_path / "runs",
        data_dir=tmp_path / "data",
        studies=1,
    )


class Finish:
    """An executor that lets every trial reach its target; `between` happens after each."""

    slots = 1

    def __init__(self, between=lambda: None):
        self.between = between
        self.submissions = []

    def start(self, trial_dir, slot):
        self.submissions.append(read_spec(trial_dir).submission)
        write_json(trial_dir / OUTCOME_FILE, TrialResult(outcome=Outcome.DIVERGED).to_dict())
        self.between()
        return self

    def poll(self):
        return 0


def run(campaign, executor):
    return run_campaign(campaign, executor, Watcher(), sleep=lambda seconds: None)


def test_every_trial_keeps_what_it_takes_to_run_it_again(campaign):
    for trial_dir in campaign.prepare():
        assert load_benchmark(trial_dir / "benchmark.toml") == campaign.benchmark
        with zipfile.ZipFile(trial_dir / "submission.zip") as members:
            manifest = json.loads(members.read("submission.json"))
        assert manifest["sha256"] == read_spec(trial_dir).submission_sha256
        environment = json.loads((trial_dir / "environment.json").read_text())
        assert environment["command"] == sys.orig_argv
        assert any(line.startswith("numpy==") for line in environment["packages"])


def test_trials_go_on_with_the_copy_when_the_submission_is_edited_meanwhile(campaign, caplog):
    path = campaign.submissions[0]
    executor = Finish(between=lambda: open(f"{path}/submission.py", "a").close())
    assert run(campaign, executor)
    assert executor.submissions == [path, path]
    again = replace(campaign, runs=campaign.runs / "again")

    def edit():
        with open(f"{path}/submission.py", "a") as file:
            file.write("# a better idea\n")

    executor = Finish(between=edit)
    assert run(again, executor)
    assert executor.submissions[0] == path
    assert executor.submissions[1].endswith("trial_2/submission")
    assert "runs the copy that was made at the start" in caplog.text
    copied = find_submission(executor.submissions[1])
    (trial_dir,) = again.runs.glob("*/*/*/trial_2")
    assert copied.sha256("jax") == read_spec(trial_dir).submission_sha256


def test_running_from_the_folder_of_the_submission_changes_no_digest(campaign, monkeypatch):
    folder = campaign.submissions[0]
    monkeypatch.chdir(folder)
    own = replace(campaign, runs=campaign.runs.parent / "lion" / "runs")
    assert run(own, Finish())
    executor = Finish()
    assert run(own, executor)
    assert executor.submissions == []


# Environments.

NOW = {
    "python": "3.11.7",
    "packages": ["jax==0.10.2", "numpy==2.4.6"],
    "editable": {"algoperf-core": "aa"},
    "variables": {"OMP_NUM_THREADS": "2"},
}


@pytest.mark.parametrize(
    ("then", "said"),
    [
        ({}, []),
        ({"python": "3.12.1"}, ["Python: 3.12.1 then, 3.11.7 now"]),
        ({"packages": ["jax==0.10.1", "numpy==2.4.6"]}, ["jax: 0.10.1 then, 0.10.2 now"]),
        ({"packages": ["numpy==2.4.6"]}, ["jax: not installed then, 0.10.2 now"]),
        (
            {"editable": {"algoperf-core": "bb", "gone": "cc"}},
            ["algoperf-core: its sources, which are installed in place, were edited"],
        ),
        ({"variables": {}}, ["OMP_NUM_THREADS: not set then, 2 now"]),
        ({"command": ["other"], "working_directory": "/"}, []),
    ],
)
def test_differences_of_environments_are_said_one_by_one(then, said):
    assert differences(NOW | then, NOW) == said


def test_environment_lists_packages_and_the_variables_of_frameworks(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")
    monkeypatch.setenv("WANDB_API_KEY", "secret")
    found = describe_environment()
    assert found["variables"]["XLA_FLAGS"] == "--xla_cpu_multi_thread_eigen=false"
    assert "secret" not in json.dumps(found)
    assert len(found["packages"]) == len({line.partition("==")[0] for line in found["packages"]})
