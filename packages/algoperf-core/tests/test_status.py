"""`algoperf status`: how a campaign stands, read from its files, whatever state these are in."""

import io
import json
import os
import time
from dataclasses import asdict, replace

import pytest
from rich.console import Console

from algoperf_core.campaign import Campaign
from algoperf_core.cli import main
from algoperf_core.outcomes import Outcome, TrialResult
from algoperf_core.progress import Snapshot
from algoperf_core.status import read_status, status_as_json
from algoperf_core.status_display import MAX_LISTED, show_status, status_table
from algoperf_core.trial_spec import (
    OUTCOME_FILE,
    PROGRESS_FILE,
    SPEC_FILE,
    read_spec,
    write_json,
    write_spec,
)
from algoperf_core.trial_status import State
from algoperf_scoring import LogError, load_benchmark

NOW = 1_800_000_000.0
SNAPSHOT = Snapshot(
    global_step=50,
    submission_s=5.0,
    budget_s=20.0,
    metric="loss",
    value=0.5,
    target=0.05,
    direction="minimize",
    best=0.4,
    wall_s=6.0,
)
REACHED = TrialResult(
    outcome=Outcome.TARGET_REACHED,
    time_to_target_s=4.0,
    ledger_s={"set_up": 1.0, "submission": 4.5, "evaluation": 2.0, "logging": 0.5},
)


@pytest.fixture
def trials(plugin, tmp_path):
    """Folders of the four trials of a campaign that has not begun."""
    campaign = Campaign(
        benchmark=load_benchmark("toy-benchmark"),
        ruleset="external",
        submissions=("toy_optimizer",),
        runs=tmp_path / "runs",
        data_dir=tmp_path,
    )
    return campaign.prepare()


@pytest.fixture
def status(tmp_path):
    return lambda: read_status(tmp_path / "runs", NOW)


def progress(trial_dir, snapshot=SNAPSHOT, age_s=1.0):
    write_json(trial_dir / PROGRESS_FILE, asdict(snapshot))
    os.utime(trial_dir / PROGRESS_FILE, (NOW - age_s, NOW - age_s))


def outcome(trial_dir, result=REACHED):
    write_json(trial_dir / OUTCOME_FILE, result.to_dict())


def shown(status, width=200):
    out = io.StringIO()
    Console(file=out, width=width).print(status_table(status))
    return out.getvalue()


def states(status):
    return [str(trial.state) for trial in status.trials]


def test_trials_are_done_running_stale_or_to_do(trials, status):
    outcome(trials[0])
    progress(trials[1], age_s=2.0)
    progress(trials[2], age_s=300.0)
    assert states(status()) == ["done", "running", "stale", "to_do"]
    assert not status().problems


def test_interrupted_trial_is_to_do_and_keeps_its_time(trials, status):
    result = TrialResult(outcome=Outcome.INTERRUPTED, ledger_s={"submission": 3.0})
    outcome(trials[0], result)
    (trial, *_) = status().trials
    assert (trial.state, trial.submission_s) == (State.TO_DO, 3.0)


def test_done_trial_is_done_however_old_its_progress_is(trials, status):
    progress(trials[0], age_s=1e6)
    outcome(trials[0])
    assert status().trials[0].state is State.DONE


def test_clock_of_another_machine_that_is_ahead_makes_no_trial_stale(trials, status):
    progress(trials[0], age_s=-20.0)
    assert status().trials[0].state is State.RUNNING
    assert status().trials[0].age_s == 0.0


def test_a_workload_sums_up_its_trials(trials, status):
    outcome(trials[0])
    outcome(trials[1], replace(REACHED, time_to_target_s=3.0))
    outcome(trials[2], TrialResult(outcome=Outcome.DIVERGED, ledger_s={"submission": 1.0}))
    (group,) = status().workloads
    assert group.outcomes == {"target_reached": 2, "diverged": 1}
    assert list(group.outcomes) == ["target_reached", "diverged"]
    assert group.best_time_to_target_s == 3.0
    assert group.submission_s == 10.0
    assert group.budget_s == 80.0


def test_profiled_trial_sets_no_best_time(trials, status):
    write_spec(trials[0], replace(read_spec(trials[0]), profile=True))
    outcome(trials[0])
    assert status().workloads[0].best_time_to_target_s is None


def test_forecast_counts_what_runs_and_what_is_to_do(trials, status):
    outcome(trials[0])
    progress(trials[1])
    # 8 s as the finished trial took: 2 s are left of the running one, and two are to do.
    assert status().seconds_left == pytest.approx(2.0 + 8.0 + 8.0)


def test_nothing_is_forecast_when_nothing_runs(trials, status):
    assert status().seconds_left is None
    for trial in trials:
        outcome(trial)
    assert status().seconds_left == 0.0
    assert status().complete


@pytest.mark.parametrize(
    "damage", [b"", b"{", b'{"outcome": "targ', b"[1, 2]", b"\xff\xfe", b"[" * 100_000]
)
@pytest.mark.parametrize("name", [SPEC_FILE, OUTCOME_FILE, PROGRESS_FILE])
def test_damaged_files_are_named_and_the_rest_is_read(trials, status, name, damage):
    (trials[0] / name).write_bytes(damage)
    outcome(trials[1])
    read = status()
    assert [problem.path for problem in read.problems] == [str(trials[0] / name)]
    assert states(read) == ["unknown", "done", "to_do", "to_do"]
    assert str(trials[0] / name) in shown(read)
    assert "1 in an unknown state" in shown(read)


def test_damaged_progress_of_a_done_trial_is_named_but_it_is_done(trials, status):
    (trials[0] / PROGRESS_FILE).write_text('{"global_step": "many"}')
    outcome(trials[0])
    assert states(status())[0] == "done"
    assert "global_step is 'many'" in status().problems[0].reason


def test_files_of_another_version_are_read_as_far_as_they_are_known(trials, status):
    write_json(trials[0] / OUTCOME_FILE, {"outcome": "paused_for_lunch", "ledger_s": [1]})
    write_json(trials[1] / PROGRESS_FILE, asdict(SNAPSHOT) | {"mood": "good"})
    os.utime(trials[1] / PROGRESS_FILE, (NOW, NOW))
    data = json.loads((trials[2] / SPEC_FILE).read_text())
    write_json(trials[2] / SPEC_FILE, data | {"mood": "good"})
    read = status()
    assert not read.problems
    assert states(read) == ["done", "running", "to_do", "to_do"]
    assert read.workloads[0].outcomes == {"paused_for_lunch": 1}
    assert "paused for lunch" in shown(read)


def test_damaged_definition_is_named_and_budgets_are_unknown(trials, status):
    (trials[0].parents[2] / "benchmark.toml").write_text("name = ")
    read = status()
    assert len(read.problems) == 1
    assert read.problems[0].path.endswith("benchmark.toml")
    assert read.workloads[0].budget_s is None


def test_logs_that_no_campaign_wrote_are_in_an_unknown_state(tmp_path, status):
    trial = tmp_path / "runs" / "published" / "study_0" / "ogbg_jax" / "trial_1"
    trial.mkdir(parents=True)
    (trial / "eval_measurements.csv").write_text("score\n1.0\n")
    (tmp_path / "runs" / "notes.txt").write_text("x")
    assert states(status()) == ["unknown"]


def test_folder_of_one_submission_is_enough(trials):
    assert len(read_status(trials[0].parents[2], NOW).trials) == 4


def test_folder_that_cannot_be_listed_is_named(trials, status, monkeypatch):
    from algoperf_core import trial_status

    real, hidden = trial_status.subfolders, str(trials[0].parents[2] / "study_1")

    def listing(folder):
        if folder == hidden:
            raise LogError(f"{folder}: cannot list this folder: Permission denied.")
        return real(folder)

    monkeypatch.setattr(trial_status, "subfolders", listing)
    read = status()
    assert states(read) == ["to_do", "to_do"]
    assert read.problems[0].path == hidden


def test_table_names_counts_outcomes_failures_and_time_left(trials, status):
    outcome(trials[0])
    crash = TrialResult(outcome=Outcome.CRASHED, message="ValueError: x", ledger_s={})
    outcome(trials[1], crash)
    progress(trials[2])
    text = shown(status())
    assert "1 target reached, 1 crashed" in text
    assert "4.0 s" in text
    assert f"crashed: ValueError: x, see {trials[1] / 'console.log'}" in text
    assert "step 50, 5.0 of 20 s, loss 0.5000, best 0.4000 (target 0.05), at most 18 s left" in text
    assert "2 of 4 trials done; submission time 9.5 s of at most 80 s; about 10 s left" in text


def test_stale_trials_are_listed_with_their_console(trials, status):
    progress(trials[0], age_s=300.0)
    text = shown(status())
    assert "Stale" in text
    assert f"for 5 min, see {trials[0] / 'console.log'}" in text
    assert "nothing is running" in text


def test_long_lists_are_cut(trials, status, tmp_path):
    spec = read_spec(trials[0])
    for number in range(10, 10 + MAX_LISTED):
        other = replace(spec, trial=number)
        write_spec(other.directory(tmp_path / "runs"), other)
        progress(other.directory(tmp_path / "runs"), age_s=1000.0)
    for trial in trials:
        progress(trial, age_s=1000.0)
    assert "and 4 more" in shown(status())


@pytest.mark.parametrize("width", [70, 80])
def test_narrow_terminals_lose_no_numbers(trials, status, width):
    outcome(trials[0])
    text = shown(status(), width)
    row = next(line for line in text.splitlines() if line.startswith("toy"))
    assert row.split()[-3:] == ["4.0", "s", "6%"]
    assert "1 target" in text
    assert "1 of 4 trials done" in text


def test_json_is_strict_and_has_every_trial(trials, status):
    progress(trials[0], replace(SNAPSHOT, value=float("nan")))
    data = json.loads(json.dumps(status_as_json(status()), allow_nan=False))
    assert (data["running"], data["to_do"], data["complete"]) == (1, 3, False)
    assert len(data["trials"]) == 4
    assert data["trials"][0]["snapshot"]["value"] is None
    assert data["trials"][0]["seconds_left"] == pytest.approx(18.0)
    assert data["workloads"][0]["workload"] == "toy"


def watching(status, trials, **options):
    """Watches until the last trial is done, which happens one at each look."""
    out, left = io.StringIO(), list(trials)
    console = Console(file=out, width=150, force_terminal=options.pop("terminal", False))
    show_status(status, console, watch=True, sleep=lambda seconds: outcome(left.pop(0)), **options)
    assert not left
    return out.getvalue()


def test_watching_ends_when_all_is_done(trials, status):
    text = watching(status, trials)
    assert text.index("0 of 4 trials done") < text.index("4 of 4 trials done")


def test_watching_in_a_terminal_changes_one_table(trials, status):
    assert "4 of 4 trials done" in watching(status, trials, terminal=True)


def test_watching_as_json_prints_an_object_per_line(trials, status):
    lines = watching(status, trials, as_json=True).splitlines()
    assert [json.loads(line)["done"] for line in lines] == [0, 1, 2, 3, 4]


def test_command_says_that_there_are_no_trials_yet(tmp_path, capsys):
    assert main(["status", str(tmp_path)]) == 0
    assert "no trials yet" in capsys.readouterr().out


def test_command_names_a_folder_that_is_not_there(tmp_path, capsys):
    assert main(["status", str(tmp_path / "missing")]) == 2
    assert "missing: no such folder" in capsys.readouterr().err


def test_command_takes_its_own_idea_of_stale(trials, tmp_path, capsys):
    write_json(trials[0] / PROGRESS_FILE, asdict(SNAPSHOT))
    moment = time.time() - 5.0
    os.utime(trials[0] / PROGRESS_FILE, (moment, moment))
    for seconds, state in (("60", "running"), ("1", "stale")):
        arguments = ["status", str(tmp_path / "runs"), "--json", "--stale-after", seconds]
        assert main(arguments) == 0
        assert json.loads(capsys.readouterr().out)["trials"][0]["state"] == state


def test_trial_that_was_profiled_is_told_from_those_that_count(trials, status):
    outcome(trials[0], replace(REACHED, profiled=True))
    outcome(trials[1], replace(REACHED, time_to_target_s=9.0))
    (group,) = status().workloads
    assert [trial.scored for trial in group.trials] == [False, True, True, True]
    assert group.best_time_to_target_s == 9.0
    assert "(1 profiled)" in shown(status())
