"""What people see while a campaign runs."""

import io
import math
from dataclasses import replace

import pytest
from rich.console import Console

from algoperf_core.campaign import Campaign, Running
from algoperf_core.display import CampaignDisplay, describe, describe_result
from algoperf_core.outcomes import Outcome, TrialResult
from algoperf_core.progress import ProgressFile, Snapshot, read_snapshot
from algoperf_core.testing import FakeClock
from algoperf_core.trial_spec import OUTCOME_FILE, PROGRESS_FILE, write_json
from algoperf_scoring import load_benchmark

SNAPSHOT = Snapshot(
    global_step=1234, submission_s=5.25, budget_s=12.0, metric="accuracy", value=0.5, target=0.97
)


@pytest.fixture
def trial_dirs(plugin, tmp_path):
    campaign = Campaign(
        benchmark=load_benchmark("toy-benchmark"),
        ruleset="external",
        submissions=("toy_optimizer",),
        runs=tmp_path / "runs",
        data_dir=tmp_path,
    )
    return campaign.prepare()


def display(trial_dirs, terminal):
    clock, out = FakeClock(), io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=140)
    return CampaignDisplay(trial_dirs, console, now=clock), clock, out


def test_progress_names_step_elapsed_of_budget_and_metric_against_target():
    assert describe(SNAPSHOT) == "step 1,234, 5.2 of 12 s, accuracy 0.5000 (target 0.97)"


def test_progress_before_the_first_evaluation_says_so():
    assert "accuracy not evaluated yet (target 0.97)" in describe(replace(SNAPSHOT, value=None))


def test_progress_before_the_first_step_says_so():
    assert describe(replace(SNAPSHOT, global_step=0)) == "setting up"


def test_progress_of_a_diverged_trial_shows_nan():
    assert "accuracy nan (target" in describe(replace(SNAPSHOT, value=math.nan))


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (TrialResult(outcome=Outcome.TARGET_REACHED, time_to_target_s=4.567), "in 4.57 s"),
        (TrialResult(outcome=Outcome.BUDGET_EXHAUSTED, global_step=1500), "after 1,500 steps"),
        (TrialResult(outcome=Outcome.CRASHED, message="ValueError: x"), "crashed: ValueError: x"),
        (None, "run the same command again"),
    ],
)
def test_end_of_a_trial_is_one_line(result, text):
    assert text in describe_result(result)


def test_plain_lines_come_now_and_then_without_a_terminal(trial_dirs):
    shown, clock, out = display(trial_dirs, terminal=False)
    write_json(trial_dirs[0] / PROGRESS_FILE, SNAPSHOT.__dict__)
    running = [Running(trial_dirs[0], 0, None), Running(trial_dirs[1], 1, None)]
    with shown:
        shown.running(running)
        assert out.getvalue() == ""
        clock.advance(11.0)
        shown.running(running)
        shown.running(running)
    assert out.getvalue() == (
        "[0/4] toy_optimizer / toy / study 0 / trial 1: "
        "step 1,234, 5.2 of 12 s, accuracy 0.5000 (target 0.97)\n"
    )


def test_terminal_shows_every_running_trial_and_the_whole(trial_dirs):
    shown, _, out = display(trial_dirs, terminal=True)
    write_json(trial_dirs[0] / PROGRESS_FILE, SNAPSHOT.__dict__)
    with shown:
        shown.running([Running(trial_dirs[0], 0, None), Running(trial_dirs[1], 1, None)])
        shown._live.refresh()
    printed = out.getvalue()
    assert "study 0 / trial 1" in printed
    assert "accuracy 0.5000 (target 0.97)" in printed
    assert "starting" in printed
    assert "0 of 4 trials done" in printed


def test_finished_trials_are_counted(trial_dirs):
    write_json(trial_dirs[3] / OUTCOME_FILE, TrialResult(outcome=Outcome.DIVERGED).to_dict())
    shown, _, out = display(trial_dirs, terminal=False)
    with shown:
        result = TrialResult(outcome=Outcome.DIVERGED, global_step=7)
        write_json(trial_dirs[0] / OUTCOME_FILE, result.to_dict())
        shown.finished(trial_dirs[0], result)
        shown.finished(trial_dirs[1], None)
    lines = out.getvalue().splitlines()
    assert lines[0] == "1 of 4 trials are done already."
    assert lines[1].startswith(
        "[2/4] toy_optimizer / toy / study 0 / trial 1: diverged after 7 steps"
    )
    assert lines[2].startswith("[2/4] toy_optimizer / toy / study 0 / trial 2: was killed")


def test_retried_trial_is_not_done_until_it_ends_again(trial_dirs):
    result = TrialResult(outcome=Outcome.CRASHED, message="oops")
    write_json(trial_dirs[0] / OUTCOME_FILE, result.to_dict())
    shown, _, out = display(trial_dirs, terminal=True)
    with shown:
        (trial_dirs[0] / OUTCOME_FILE).unlink()
        shown.started(trial_dirs[0])
        shown.running([Running(trial_dirs[0], 0, None)])
        shown._live.refresh()
        assert "0 of 4 trials done" in out.getvalue()
        write_json(trial_dirs[0] / OUTCOME_FILE, result.to_dict())
        shown.finished(trial_dirs[0], result)
    assert "[1/4] toy_optimizer" in out.getvalue()


def test_progress_file_holds_the_last_state_when_the_trial_ends(tmp_path):
    path = tmp_path / "progress.json"
    clock = FakeClock()
    start = replace(SNAPSHOT, global_step=0, value=None)
    with ProgressFile(path, start, lambda: False, now=clock) as progress:
        clock.advance(3.0)
        progress.after_step(1, 0.5)
        progress.after_evaluation({"validation/accuracy": 0.25, "train/accuracy": 0.75})
        progress.after_step(2, 0.75)
    expected = replace(SNAPSHOT, global_step=2, submission_s=0.75, value=0.25, wall_s=3.0)
    assert read_snapshot(path) == expected


def test_trial_without_progress_has_no_snapshot(tmp_path):
    assert read_snapshot(tmp_path / "progress.json") is None


def test_orphaned_trial_ends_itself(tmp_path, monkeypatch):
    monkeypatch.setattr("algoperf_core.progress.PERIOD_S", 0.01)
    killed = []
    monkeypatch.setattr("os.kill", lambda pid, number: killed.append(number))
    with ProgressFile(tmp_path / "p.json", SNAPSHOT, orphaned=lambda: True) as progress:
        while not killed:
            progress.after_step(1, 0.1)
    assert killed[0].name == "SIGTERM"
