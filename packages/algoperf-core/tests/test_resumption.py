"""What an interrupted trial leaves behind, and how the next attempt begins."""

import json
import logging
import os
import time
from dataclasses import asdict
from datetime import UTC, datetime

import pytest

from algoperf_core.checkpoints import CheckpointFolder
from algoperf_core.outcomes import Outcome, TrialResult
from algoperf_core.progress import Snapshot
from algoperf_core.resumption import INTERRUPTIONS_FILE, read_interruptions, resume
from algoperf_core.trial_spec import OUTCOME_FILE, PROGRESS_FILE, write_json

EVALUATIONS, MEASUREMENTS = "eval_measurements.csv", "measurements.csv"
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def table(rows):
    return "global_step,score\n" + "".join(f"{row},{row}.5\n" for row in rows)


@pytest.fixture
def trial(tmp_path):
    """A trial that was seen alive at step 30, with checkpoints at steps 10 and 20."""
    folder = CheckpointFolder(tmp_path)
    for step in (10, 20):
        save(folder, step)
    (tmp_path / EVALUATIONS).write_text(table([1, 10, 20, 25]))
    (tmp_path / MEASUREMENTS).write_text(table([0, 1, 10, 20, 22, 24, 25]))
    seen(tmp_path, 30, 33.0)
    return tmp_path


def save(folder, step, data_position=True):
    def write(path):
        rows = [row for row in (1, 10, 20) if row <= step]
        (path / EVALUATIONS).write_text(table(rows))
        (path / MEASUREMENTS).write_text(table([0, *rows]))
        summary = {"submission_s": step + 0.5, "data_position": data_position}
        (path / "state.json").write_text(json.dumps({"summary": summary, "trees": {}}))

    folder.save(step, write)


def seen(trial_dir, step, submission_s):
    snapshot = Snapshot(step, submission_s, 100.0, "loss", None, 0.1)
    (trial_dir / PROGRESS_FILE).write_text(json.dumps(asdict(snapshot)))


def stopped(trial_dir, step, submission_s, message="KeyboardInterrupt"):
    result = TrialResult(
        outcome=Outcome.INTERRUPTED,
        global_step=step,
        ledger_s={"submission": submission_s},
        message=message,
    )
    write_json(trial_dir / OUTCOME_FILE, result.to_dict())


def test_first_attempt_begins_at_the_beginning(tmp_path):
    start = resume(tmp_path)
    assert start.checkpoint is None
    assert start.interruptions == ()
    assert list(tmp_path.iterdir()) == []


def test_killed_trial_goes_on_from_its_checkpoint_with_the_loss_on_record(trial):
    start = resume(trial, lambda: NOW)
    assert start.checkpoint.global_step == 20
    (lost,) = start.interruptions
    seen_at = lost.pop("last_seen")
    assert abs(datetime.fromisoformat(seen_at).timestamp() - time.time()) < 60
    assert lost == {
        "cause": "killed",
        "message": None,
        "checkpoint_step": 20,
        "reached_step": 30,
        "lost_steps": 10,
        "lost_from_s": 20.5,
        "lost_to_s": 33.0,
        "lost_submission_s": 12.5,
        "lost_rows": {EVALUATIONS: 1, MEASUREMENTS: 3},
        "resumed": "2026-11-22T12:00:00+00:00",
        "damaged_checkpoints": [],
        "data_restarted": False,
    }
    assert json.loads((trial / INTERRUPTIONS_FILE).read_text())[0]["cause"] == "killed"


def test_measurements_are_cut_back_to_what_the_checkpoint_knows(trial):
    resume(trial)
    assert (trial / EVALUATIONS).read_text() == table([1, 10, 20])
    assert (trial / MEASUREMENTS).read_text() == table([0, 1, 10, 20])
    assert not (trial / PROGRESS_FILE).exists()


@pytest.mark.parametrize("size", [0, 3, 30])
@pytest.mark.parametrize("name", [EVALUATIONS, MEASUREMENTS, PROGRESS_FILE])
def test_files_that_lost_their_end_are_mended(trial, name, size):
    os.truncate(trial / name, size)
    start = resume(trial)
    assert start.checkpoint.global_step == 20
    assert len(start.interruptions) == 1
    assert (trial / EVALUATIONS).read_text() == table([1, 10, 20])
    assert (trial / MEASUREMENTS).read_text() == table([0, 1, 10, 20])


def test_files_full_of_zeros_are_mended(trial):
    for name in (EVALUATIONS, MEASUREMENTS, PROGRESS_FILE):
        (trial / name).write_bytes(bytes(300))
    resume(trial)
    assert (trial / EVALUATIONS).read_text() == table([1, 10, 20])


def test_machine_that_was_started_since_is_the_cause(trial):
    os.utime(trial / PROGRESS_FILE, (1e9, 1e9))
    assert resume(trial).interruptions[0]["cause"] == "machine_restarted"


def test_trial_that_was_stopped_says_why_and_exactly_when(trial):
    stopped(trial, 31, 34.25, "the disk is full")
    (lost,) = resume(trial).interruptions
    assert (lost["cause"], lost["message"]) == ("interrupted", "the disk is full")
    assert (lost["lost_steps"], lost["lost_submission_s"]) == (11, 13.75)
    assert not (trial / OUTCOME_FILE).exists()


def test_damaged_checkpoint_is_said_recorded_and_put_aside(trial, caplog):
    os.truncate(trial / "checkpoints" / "step_20" / EVALUATIONS, 5)
    with caplog.at_level(logging.WARNING):
        start = resume(trial)
    assert "step_20: eval_measurements.csv is not as it was written" in caplog.text
    assert "falling back to the one before" in caplog.text
    assert start.checkpoint.global_step == 10
    (lost,) = start.interruptions
    assert lost["lost_from_s"] == 10.5
    assert lost["damaged_checkpoints"] == [
        "step_20: eval_measurements.csv is not as it was written"
    ]
    assert (trial / EVALUATIONS).read_text() == table([1, 10])
    assert sorted(path.name for path in (trial / "checkpoints").iterdir()) == [
        "damaged_step_20",
        "step_10",
    ]


def test_trial_without_a_checkpoint_starts_anew_and_loses_all(trial):
    CheckpointFolder(trial).clear()
    start = resume(trial)
    assert start.checkpoint is None
    (lost,) = start.interruptions
    assert (lost["checkpoint_step"], lost["lost_steps"], lost["lost_submission_s"]) == (0, 30, 33.0)
    assert not (trial / EVALUATIONS).exists()


def test_each_interruption_is_added(trial):
    resume(trial)
    seen(trial, 40, 44.0)
    start = resume(trial)
    assert [lost["reached_step"] for lost in start.interruptions] == [30, 40]
    assert read_interruptions(trial) == list(start.interruptions)


def test_attempt_that_is_known_by_its_checkpoint_alone_is_an_interruption(trial):
    resume(trial)
    save(CheckpointFolder(trial), 28)
    (lost,) = resume(trial).interruptions[1:]
    assert (lost["checkpoint_step"], lost["reached_step"], lost["lost_steps"]) == (28, 28, 0)


def test_attempt_that_did_no_step_is_no_interruption(trial):
    resume(trial)
    seen(trial, 0, 0.0)
    assert len(resume(trial).interruptions) == 1
    assert len(resume(trial).interruptions) == 1


def test_loss_is_recorded_once_if_the_next_attempt_is_killed_at_once(trial, monkeypatch):
    def killed(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("algoperf_core.resumption._cut_back", killed)
        with pytest.raises(KeyboardInterrupt):
            resume(trial)
    assert len(resume(trial).interruptions) == 1


def test_checkpoint_without_position_of_the_data_is_on_record(trial):
    save(CheckpointFolder(trial), 28, data_position=False)
    assert resume(trial).interruptions[0]["data_restarted"]


def test_damaged_list_of_interruptions_is_put_aside(trial, caplog):
    (trial / INTERRUPTIONS_FILE).write_text('[{"cau')
    assert len(resume(trial).interruptions) == 1
    assert "put aside" in caplog.text
    assert (trial / f"damaged_{INTERRUPTIONS_FILE}").exists()
