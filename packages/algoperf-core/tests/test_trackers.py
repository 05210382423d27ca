"""Trackers get a copy of what a trial measures, and can neither stop nor slow it."""

import json
import logging
import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict

import psutil
import pytest

from algoperf_core.errors import CampaignError
from algoperf_core.trackers import TrialFacts
from algoperf_core.trackers.catalogue import check_trackers, is_available
from algoperf_core.trackers.process import MAX_QUEUED_BYTES, Limits, Trackers
from algoperf_scoring import UnknownNameError

RESULT = {"outcome": "target_reached", "time_to_target_s": 4.0}
EVALUATION = {"validation/loss": 0.5, "score": 1.0, "global_step": 1}
SHORT = Limits(log=1.0, finish=1.0, end=1.0)


@pytest.fixture(autouse=True)
def _third_party(plugin, tmp_path, monkeypatch):
    """Trackers of an installed package, in a folder of their own."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def notebook(tmp_path):
    def read():
        lines = (tmp_path / "notebook.jsonl").read_text().splitlines()
        return [json.loads(line)[:-1] for line in lines]

    return read


@pytest.fixture
def pid(tmp_path):
    def read():
        return json.loads((tmp_path / "notebook.jsonl").read_text().splitlines()[0])[-1]

    return read


def track(facts, *batches, names=("notebook",), limits=SHORT, result=RESULT):
    with Trackers(names, facts, {"learning_rate": 0.1}, lambda: result, limits) as trackers:
        trackers.wait_until_started()
        for rows in batches:
            trackers.log(rows)


def has_ended(pid):
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def eventually(condition):
    """Whether something comes true within seconds; signals take a moment to arrive."""
    return any(condition() or time.sleep(0.05) for _ in range(200))


def test_tracker_is_told_of_start_rows_and_end(facts, notebook):
    track(facts, [EVALUATION])
    assert notebook() == [
        ["start", "mine / toy / study 0 / trial 2", {"learning_rate": 0.1}],
        ["log", {"validation/loss": 0.5, "score": 1.0}, 1, 1.0],
        ["finish", RESULT],
    ]


def test_tracker_without_output_leaves_no_log(facts, tmp_path):
    track(facts, [EVALUATION])
    assert not (tmp_path / "tracker_notebook.log").exists()


def test_self_tuning_trial_has_no_hyperparameters(facts, notebook):
    with Trackers(["notebook"], facts, None, lambda: RESULT, SHORT):
        pass
    assert notebook()[0][2] == {}


def test_time_of_scalars_is_interpolated_between_evaluations(facts, notebook):
    scalars = [{"loss": 3.0, "global_step": step} for step in (0, 2, 5)]
    later = {"validation/loss": 0.2, "score": 5.0, "global_step": 5}
    track(facts, [EVALUATION], [*scalars, later])
    times = [(step, seconds) for name, _, step, seconds in notebook()[1:-1] if name == "log"]
    assert times == [(1, 1.0), (0, 1.0), (2, 2.0), (5, 5.0), (5, 5.0)]


def test_rows_without_a_time_have_that_of_the_last_evaluation(facts, notebook):
    track(facts, [], [EVALUATION], [{"loss": 1.0, "global_step": 9}])
    assert notebook()[2] == ["log", {"loss": 1.0}, 9, 1.0]


def test_not_a_number_arrives_and_text_is_left_out(facts, notebook):
    track(facts, [EVALUATION | {"validation/loss": math.nan, "note": "hello"}])
    (_, metrics, _, _) = notebook()[1]
    assert math.isnan(metrics["validation/loss"])
    assert "note" not in metrics


@pytest.mark.parametrize("at", ["import", "start", "log", "finish"])
@pytest.mark.parametrize("what", ["raises", "hangs", "exits", "crashes"])
def test_tracker_that_goes_wrong_is_switched_off_with_one_warning(
    facts, notebook, tmp_path, caplog, at, what
):
    (tmp_path / "faulty.json").write_text(json.dumps([at, what]))
    rows = [[EVALUATION | {"global_step": step}] for step in range(4)]
    hangs_early = what == "hangs" and at in ("import", "start")
    limits = Limits(start=1.0 if hangs_early else 60.0, log=0.5, finish=2.0, end=1.0)
    with caplog.at_level(logging.WARNING):
        track(
            facts,
            *rows,
            names=("faulty",) if hangs_early else ("faulty", "notebook"),
            limits=limits,
        )
    (warning,) = caplog.records
    assert warning.getMessage().startswith("tracker faulty is switched off, the trial goes on")
    assert "tracker_faulty.log" in warning.getMessage()
    if what == "raises":
        assert "failed: ValueError: the server said no" in warning.getMessage()
    if what == "hangs":
        assert "did not answer in time" in warning.getMessage()
    if not hangs_early:
        assert [call[0] for call in notebook()] == ["start", "log", "log", "log", "log", "finish"]


def test_what_a_tracker_prints_is_no_answer_and_goes_to_its_log(facts, tmp_path, caplog):
    (tmp_path / "faulty.json").write_text(json.dumps(["log", "hello"]))
    track(facts, [EVALUATION], names=("faulty",))
    assert (tmp_path / "tracker_faulty.log").read_text() == "hello\n"
    assert not caplog.records


def test_tracker_is_stopped_while_the_submission_trains(facts, pid):
    with Trackers(["notebook"], facts, {}, lambda: RESULT, SHORT) as trackers:
        trackers.wait_until_started()
        assert eventually(lambda: psutil.Process(pid()).status() == psutil.STATUS_STOPPED)
        trackers.log([EVALUATION])
        assert eventually(lambda: psutil.Process(pid()).status() == psutil.STATUS_STOPPED)
    assert has_ended(pid())


@pytest.mark.parametrize("ends", ["by itself", "switched off"])
def test_uploader_of_a_tracker_ends_with_it(facts, tmp_path, ends):
    (tmp_path / "faulty.json").write_text(json.dumps(["log", "uploads"]))
    with Trackers(["faulty"], facts, {}, lambda: RESULT, SHORT) as trackers:
        trackers.wait_until_started()
        trackers.log([EVALUATION])
        uploader = int((tmp_path / "uploader.txt").read_text())
        assert not has_ended(uploader)
        if ends == "switched off":
            trackers._all[0].switch_off("was told to")
            assert eventually(lambda: has_ended(uploader))
    assert eventually(lambda: has_ended(uploader))


def test_slow_tracker_goes_on_at_the_next_evaluation(facts, notebook, caplog):
    limits = Limits(log=0.0)
    track(facts, [EVALUATION], [EVALUATION | {"global_step": 2}], limits=limits)
    assert [call[0] for call in notebook()] == ["start", "log", "log", "finish"]
    assert not caplog.records


def test_tracker_that_does_not_keep_up_is_switched_off(facts, caplog):
    rows = [{"x" * 2**20: 1.0, "score": 1.0, "global_step": 1}]
    with Trackers(["notebook"], facts, {}, lambda: None, SHORT) as trackers:
        trackers.wait_until_started()
        (tracker,) = trackers._all
        while tracker.is_on:
            tracker.send({"rows": trackers._timed(rows)})
            assert len(tracker._queue) <= MAX_QUEUED_BYTES + 2**21
    assert "does not keep up: 3" in caplog.text


def test_trial_that_never_began_is_not_finished(facts, notebook, caplog):
    with Trackers(["notebook"], facts, {}, lambda: None, SHORT) as trackers:
        trackers.wait_until_started()
    assert [call[0] for call in notebook()] == ["start"]
    assert not caplog.records


def test_tracker_that_cannot_be_started_is_left_out(facts, tmp_path, caplog):
    missing = TrialFacts(**asdict(facts) | {"trial_dir": str(tmp_path / "missing")})
    track(missing, [EVALUATION])
    assert "tracker notebook is switched off: it cannot be started" in caplog.text


KILLED_TRIAL = """
import json, os, signal, sys
from algoperf_core.trackers import TrialFacts
from algoperf_core.trackers.process import Trackers
trackers = Trackers(["notebook"], TrialFacts(**json.loads(sys.argv[1])), {}, dict)
trackers.wait_until_started()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_killed_trial_leaves_no_tracker_behind(facts, pid):
    command = [sys.executable, "-c", KILLED_TRIAL, json.dumps(asdict(facts))]
    trial = subprocess.run(command, start_new_session=True)
    assert trial.returncode == -signal.SIGKILL
    assert eventually(lambda: has_ended(pid()))


def test_unknown_tracker_suggests_the_nearest(plugin):
    with pytest.raises(UnknownNameError, match=r"'wandbb'.*wandb"):
        check_trackers(["wandbb"])


def test_tracker_of_another_package_is_known(plugin):
    check_trackers(["notebook"])


def test_tracker_that_is_not_installed_says_what_to_install(monkeypatch):
    monkeypatch.setattr("algoperf_core.trackers.catalogue.find_spec", lambda name: None)
    with pytest.raises(CampaignError, match=r'pip install "algoperf-core\[mlflow\]"'):
        check_trackers(["mlflow"])


def test_folder_of_old_logs_is_no_installation(tmp_path, monkeypatch):
    (tmp_path / "wandb").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "wandb", raising=False)
    sys.path_importer_cache.pop(str(tmp_path), None)
    assert not is_available("wandb")


def test_no_trackers_cost_nothing(facts, tmp_path):
    before = sorted(os.listdir(tmp_path))
    track(facts, [EVALUATION], names=())
    assert sorted(os.listdir(tmp_path)) == before
