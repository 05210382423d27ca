"""What people see while a campaign runs."""

import io
import math
from dataclasses import replace

import pytest
from rich.console import Console

from algoperf_core.campaign import Campaign, Running
from algoperf_core.display import CampaignDisplay
from algoperf_core.ledger import Ledger
from algoperf_core.outcomes import Outcome, TrialResult
from algoperf_core.progress import ProgressFile, Snapshot, parse_snapshot, read_snapshot
from algoperf_core.testing import FakeClock
from algoperf_core.trial_lines import describe, describe_result, progress_line, short_progress
from algoperf_core.trial_spec import (
    OUTCOME_FILE,
    PROGRESS_FILE,
    read_spec,
    write_json,
    write_spec,
)
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


def display(trial_dirs, terminal, width=160, height=25):
    clock, out = FakeClock(), io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=width, height=height)
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


def test_best_value_is_told_if_the_last_one_is_worse():
    worse = replace(SNAPSHOT, best=0.75)
    assert "accuracy 0.5000, best 0.7500 (target 0.97)" in describe(worse)
    assert "best" not in describe(replace(SNAPSHOT, best=0.5))


def test_narrow_progress_is_share_of_budget_best_against_target_and_time_left():
    assert short_progress(replace(SNAPSHOT, best=0.75), 90.0) == " 44%  0.75/0.97  90 s"
    assert short_progress(SNAPSHOT, None) == " 44%  0.5/0.97"
    assert short_progress(None, None) == progress_line(None, None) == "starting"
    assert short_progress(replace(SNAPSHOT, global_step=0), None) == "setting up"


@pytest.mark.parametrize("outcome", [Outcome.CRASHED, Outcome.OUT_OF_MEMORY])
def test_failure_names_the_console_log(outcome, tmp_path):
    result = TrialResult(outcome=outcome, message="ValueError: x")
    assert describe_result(result, tmp_path / "console.log").endswith(f"{tmp_path}/console.log)")
    assert str(tmp_path) in describe_result(None, tmp_path / "console.log")
    reached = TrialResult(outcome=Outcome.TARGET_REACHED, time_to_target_s=1.0, profiled=True)
    assert describe_result(reached).endswith("(profiled, does not count)")
    assert str(tmp_path) not in describe_result(reached, tmp_path / "console.log")


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
        "step 1,234, 5.2 of 12 s, accuracy 0.5000 (target 0.97), at most 6.8 s left\n"
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


@pytest.fixture
def many(trial_dirs, tmp_path):
    """Folders of as many trials as wanted, all of them with progress."""

    def create(number):
        spec = read_spec(trial_dirs[0])
        created = []
        for trial in range(1, number + 1):
            other = replace(spec, trial=trial)
            folder = other.directory(tmp_path / "runs")
            write_spec(folder, other)
            write_json(folder / PROGRESS_FILE, SNAPSHOT.__dict__ | {"wall_s": 6.0})
            created.append(folder)
        return created

    return create


def frame(trial_dirs, number, **size):
    """The last frame that a terminal shows while trials run."""
    shown, _, _ = display(trial_dirs, terminal=True, **size)
    with shown:
        for trial_dir in trial_dirs[:number]:
            shown.started(trial_dir)
        table = shown._table(shown._snapshots([Running(t, 0, None) for t in trial_dirs[:number]]))
    console = Console(file=io.StringIO(), width=size.get("width", 160), height=25)
    console.print(table)
    return console.file.getvalue().rstrip("\n").splitlines()


@pytest.mark.parametrize("number", [1, 2, 8, 40])
@pytest.mark.parametrize("width", [40, 80, 120, 200])
@pytest.mark.parametrize("height", [10, 24, 60])
def test_table_fits_every_terminal_and_keeps_the_total(many, number, width, height):
    lines = frame(many(number), number, width=width, height=height)
    assert len(lines) < height
    assert all(len(line) <= width for line in lines)
    assert f"0 of {number} trials done" in lines[-1]
    if number > height:
        assert f"and {number - (len(lines) - 2)} more running" in lines[-2]


def test_what_tells_trials_apart_survives_in_narrow_terminals(many):
    first, second, _ = frame(many(2), 2, width=60)
    assert first.startswith("toy s0 t1")
    assert second.startswith("toy s0 t2")


def test_total_tells_outcomes_and_time_left(many):
    trial_dirs = many(4)
    ledger = {"submission": 6.0, "evaluation": 2.0}
    reached = TrialResult(outcome=Outcome.TARGET_REACHED, time_to_target_s=5.0, ledger_s=ledger)
    write_json(trial_dirs[3] / OUTCOME_FILE, reached.to_dict())
    *_, total = frame(trial_dirs, 1)
    # 2 s are left of the running trial, and 8 s for each of the other two.
    assert "1 of 4 trials done, about 18 s left, 1 target reached" in total


def test_many_trials_are_one_plain_line(many):
    trial_dirs = many(8)
    shown, clock, out = display(trial_dirs, terminal=False)
    with shown:
        for trial_dir in trial_dirs:
            shown.started(trial_dir)
        clock.advance(11.0)
        shown.running([Running(trial_dir, 0, None) for trial_dir in trial_dirs])
    assert out.getvalue() == "[0/8] 8 trials are running, about 7.7 s left\n"


def test_outcomes_are_coloured_and_failures_show_where_to_look(many):
    trial_dirs = many(2)
    shown, _, out = display(trial_dirs, terminal=True)
    with shown:
        reached = TrialResult(outcome=Outcome.TARGET_REACHED, time_to_target_s=1.0)
        shown.finished(trial_dirs[0], reached)
        shown.finished(trial_dirs[1], TrialResult(outcome=Outcome.CRASHED, message="oops"))
    printed = out.getvalue()
    assert "\x1b[32mreached the target in 1.00 s\x1b[0m" in printed
    assert "\x1b[31mcrashed: oops (see " in printed
    assert str(trial_dirs[1] / "console.log") in printed


def test_damaged_progress_stops_no_campaign(many):
    trial_dirs = many(1)
    (trial_dirs[0] / PROGRESS_FILE).write_text("{")
    assert "starting" in frame(trial_dirs, 1)[0]


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


def test_time_of_a_trial_that_goes_on_is_that_of_its_ledger(tmp_path):
    clock = FakeClock()
    ledger = Ledger(clock)
    start = replace(SNAPSHOT, global_step=0, value=None)
    progress = ProgressFile(
        tmp_path / "p.json", start, lambda: False, now=lambda: ledger.elapsed_s, began_at=0.0
    )
    clock.advance(3.0)
    ledger.resume({"submission": {"update": 10.0}, "evaluation": {"evaluation": 5.0}})
    progress.after_step(20, 10.0)
    assert progress.snapshot().wall_s == 18.0


@pytest.mark.parametrize(
    ("direction", "values", "best", "reached"),
    [
        ("maximize", [0.5, math.nan, 0.98, 0.9], 0.98, True),
        ("maximize", [0.5, math.inf], 0.5, False),
        ("minimize", [2.0, 0.97, 3.0], 0.97, True),
        (None, [0.5], None, False),
        ("minimize", [], None, False),
    ],
)
def test_progress_keeps_the_best_finite_value(tmp_path, direction, values, best, reached):
    start = replace(SNAPSHOT, value=None, direction=direction)
    progress = ProgressFile(tmp_path / "p.json", start, lambda: False)
    for value in values:
        progress.after_evaluation({"validation/accuracy": value})
    assert progress.snapshot().best == best
    assert progress.snapshot().reached is reached


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"global_step": "x"}', "null"])
def test_what_is_no_snapshot_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        parse_snapshot(text)


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
