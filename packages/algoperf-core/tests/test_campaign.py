"""Campaigns: expansion, trial processes, and what happens when they are run again."""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from algoperf_core.campaign import Campaign, Watcher, run_campaign
from algoperf_core.cli import main
from algoperf_core.errors import CampaignError, SearchSpaceError, SubmissionError, WorkloadError
from algoperf_core.executors import LocalExecutor
from algoperf_core.outcomes import Outcome, TrialResult
from algoperf_core.registry import workload_provider
from algoperf_core.status import read_status
from algoperf_core.trial import run_trial
from algoperf_core.trial_lines import describe_result
from algoperf_core.trial_spec import OUTCOME_FILE, read_result, read_spec, write_json
from algoperf_scoring import UnknownNameError, load_benchmark

pytest.importorskip("jax")

TOY_OPTIMIZER = Path(__file__).parent / "plugin" / "toy_plugin" / "toy_optimizer"


@pytest.fixture
def campaign(plugin, tmp_path):
    return Campaign(
        benchmark=load_benchmark("toy-benchmark"),
        ruleset="external",
        submissions=("toy_optimizer",),
        runs=tmp_path / "runs",
        data_dir=tmp_path / "data",
    )


class FakeProcess:
    def __init__(self, status):
        self.status = status
        self.stopped = False

    def poll(self):
        return self.status

    def stop(self):
        self.stopped = True


class FakeExecutor:
    """Ends every trial at once; `script` maps the number of a start to what happens."""

    def __init__(self, slots=1, script=None):
        self.slots = slots
        self.script = script or {}
        self.started = []
        self.processes = []

    def start(self, trial_dir, slot):
        what = self.script.get(len(self.started), Outcome.TARGET_REACHED)
        self.started.append((trial_dir, slot))
        if isinstance(what, Outcome):
            write_json(trial_dir / OUTCOME_FILE, TrialResult(outcome=what).to_dict())
            what = 0
        self.processes.append(FakeProcess(what))
        return self.processes[-1]


def run(campaign, executor, watcher=None):
    return run_campaign(campaign, executor, watcher or Watcher(), sleep=lambda seconds: None)


def names(executor):
    return [str(Path(*trial_dir.parts[-4:])) for trial_dir, _ in executor.started]


def test_campaign_is_the_product_of_submissions_studies_and_trials(campaign):
    specs = campaign.expand()
    assert [(spec.study, spec.trial) for spec in specs] == [(0, 1), (0, 2), (1, 1), (1, 2)]
    assert len({spec.seed for spec in specs}) == 4
    assert len({str(spec.hyperparameters) for spec in specs}) == 4
    assert {spec.workload for spec in specs} == {"toy"}


def test_self_tuning_has_no_points(campaign):
    (spec,) = replace(campaign, ruleset="self").expand()
    assert spec.hyperparameters is None
    assert spec.search_space is None


def test_self_tuning_refuses_a_search_space(campaign, tmp_path):
    with pytest.raises(SearchSpaceError, match="self ruleset takes no search space"):
        replace(campaign, ruleset="self", search_space=tmp_path / "x.json").expand()


def test_subset_keeps_seeds_and_points_of_the_whole(campaign):
    whole = {(spec.study, spec.trial): spec for spec in campaign.expand()}
    (part,) = replace(campaign, studies=1, trials=1).expand()
    assert part == whole[0, 1]


@pytest.mark.parametrize(("points", "trials"), [("0:1", {1}), ("1:", {2}), ("1,0", {1, 2})])
def test_chosen_points_are_those_of_the_whole_campaign(campaign, points, trials):
    whole = {(spec.study, spec.trial): spec for spec in campaign.expand()}
    part = replace(campaign, points=points).expand()
    assert part == [whole[study, trial] for study in (0, 1) for trial in sorted(trials)]


def test_machines_that_share_a_study_make_up_the_whole(campaign, tmp_path):
    shares = [
        replace(campaign, runs=tmp_path / f"machine_{n}", points=points)
        for n, points in enumerate((":1", "1:"))
    ]
    for share in shares:
        run(share, FakeExecutor())
        shutil.copytree(share.runs, campaign.runs, dirs_exist_ok=True)
    executor = FakeExecutor()
    assert run(campaign, executor)
    assert executor.started == []


def test_points_of_the_self_tuning_ruleset_are_trials(campaign):
    (spec,) = replace(campaign, ruleset="self", points="0").expand()
    assert spec.trial == 1


@pytest.mark.parametrize("points", ["2", "0:3", "x"])
def test_points_outside_the_study_are_refused(campaign, points):
    with pytest.raises(SearchSpaceError, match="indices from 0 to 1"):
        replace(campaign, points=points).expand()


def test_points_and_trials_together_are_refused(campaign):
    with pytest.raises(CampaignError, match="give one of them"):
        replace(campaign, points="0", trials=1).expand()


def test_seeds_do_not_depend_on_who_else_is_run(campaign, tmp_path):
    alone = campaign.expand()
    shutil.copytree(TOY_OPTIMIZER, tmp_path / "other")
    both = replace(campaign, submissions=(str(tmp_path / "other"), "toy_optimizer")).expand()
    assert [spec for spec in both if spec.submission_name == "toy_optimizer"] == alone


def test_root_seed_changes_seeds_and_order_of_points(campaign):
    specs, others = campaign.expand(), replace(campaign, seed=1).expand()
    assert {spec.seed for spec in specs}.isdisjoint(spec.seed for spec in others)
    assert [s.hyperparameters for s in specs] != [s.hyperparameters for s in others]


def test_trials_are_run_study_by_study_and_never_again(campaign):
    first = FakeExecutor()
    assert run(campaign, first)
    assert names(first) == [
        f"toy_optimizer/study_{study}/toy_jax/trial_{trial}" for study in (0, 1) for trial in (1, 2)
    ]
    second = FakeExecutor()
    assert run(campaign, second)
    assert second.started == []


@pytest.mark.parametrize("outcome", list(Outcome))
def test_only_interrupted_trials_run_again(campaign, outcome):
    run(campaign, FakeExecutor(script={2: outcome}))
    again = FakeExecutor()
    run(campaign, again)
    assert len(again.started) == (1 if outcome is Outcome.INTERRUPTED else 0)


@pytest.mark.parametrize("outcome", [Outcome.CRASHED, Outcome.OUT_OF_MEMORY, Outcome.DIVERGED])
def test_crashed_trials_run_again_when_asked(campaign, outcome):
    run(campaign, FakeExecutor(script={1: outcome}))
    again = FakeExecutor()
    run(replace(campaign, retry_crashed=True), again)
    assert len(again.started) == (0 if outcome is Outcome.DIVERGED else 1)


def test_killed_trial_leaves_the_campaign_incomplete_and_runs_again(campaign):
    assert not run(campaign, FakeExecutor(script={1: -9}))
    again = FakeExecutor()
    assert run(campaign, again)
    assert names(again) == ["toy_optimizer/study_0/toy_jax/trial_2"]


def test_slots_are_filled_and_reused(campaign):
    executor = FakeExecutor(slots=3)
    run(campaign, executor)
    assert [slot for _, slot in executor.started] == [0, 1, 2, 0]


def test_input_error_of_a_trial_stops_the_campaign_and_the_other_trials(campaign):
    class Console(FakeExecutor):
        def start(self, trial_dir, slot):
            (trial_dir / "console.log").write_text("noise\nerror: batch size 7 is odd\n")
            return super().start(trial_dir, slot)

    executor = Console(slots=2, script={0: 2, 1: None})
    with pytest.raises(CampaignError, match="batch size 7 is odd"):
        run(campaign, executor)
    assert executor.processes[1].stopped


def test_interrupt_stops_all_trials(campaign):
    class Interrupted(Watcher):
        def running(self, running):
            raise KeyboardInterrupt

    executor = FakeExecutor(slots=2, script={0: None, 1: None})
    with pytest.raises(KeyboardInterrupt):
        run(campaign, executor, Interrupted())
    assert all(process.stopped for process in executor.processes)


def test_other_settings_in_the_same_folder_are_refused(campaign):
    run(campaign, FakeExecutor())
    with pytest.raises(
        CampaignError, match=r"trial\.json.*max_global_steps: None before, 5 now.*--runs"
    ):
        run(replace(campaign, max_global_steps=5), FakeExecutor())


def test_period_of_checkpoints_may_change_between_runs(campaign):
    run(campaign, FakeExecutor(script={3: Outcome.INTERRUPTED}))
    again = FakeExecutor()
    run(replace(campaign, checkpoint_period_s=10.0), again)
    ((trial_dir, _),) = again.started
    assert read_spec(trial_dir).checkpoint_period_s == 10.0


@pytest.mark.parametrize(("text", "seconds"), [("60", 60.0), ("0", 0.0), ("never", None)])
def test_period_of_checkpoints_is_an_option(campaign, tmp_path, text, seconds):
    options = ["--benchmark", "toy-benchmark", "--runs", str(campaign.runs), "--trials", "1"]
    paths = ["--data-dir", str(tmp_path), "--studies", "1", "--checkpoint-period", text]
    assert main(["run", "toy_optimizer", *options, *paths]) == 0
    (trial_dir,) = campaign.runs.glob("*/*/*/trial_1")
    assert read_spec(trial_dir).checkpoint_period_s == seconds
    flags = json.loads((trial_dir / "flags_0.json").read_text())
    assert flags["save_checkpoints"] == (seconds is not None)


@pytest.mark.parametrize("text", ["-1", "often", "inf", "nan"])
def test_period_of_checkpoints_that_is_none_is_refused(text, capsys):
    with pytest.raises(SystemExit):
        main(["run", "x", "--benchmark", "toy-benchmark", "--checkpoint-period", text])
    assert "is not a number of seconds from 0, nor never" in capsys.readouterr().err


def test_retried_trial_says_what_it_is_retried_for(campaign):
    run(campaign, FakeExecutor(script={1: Outcome.CRASHED}))
    trial_dir = replace(campaign, retry_crashed=True).prepare()[0]
    result = read_result(trial_dir)
    assert result.outcome is Outcome.INTERRUPTED
    assert result.message.startswith("crashed: ")


def test_submission_that_was_edited_since_is_refused(campaign, tmp_path):
    shutil.copytree(TOY_OPTIMIZER, tmp_path / "mine")
    own = replace(campaign, submissions=(str(tmp_path / "mine"),))
    run(own, FakeExecutor())
    with (tmp_path / "mine" / "submission_jax.py").open("a") as file:
        file.write("# better\n")
    with pytest.raises(
        CampaignError, match=r"other files of mine: they were edited.*delete .*/mine$"
    ):
        run(own, FakeExecutor())


def test_another_definition_of_the_benchmark_in_the_same_folder_is_refused(campaign):
    run(campaign, FakeExecutor())
    goal = replace(campaign.benchmark.workloads["toy"], validation_target=0.01)
    other = replace(campaign.benchmark, workloads={"toy": goal})
    with pytest.raises(CampaignError, match=r"benchmark\.toml.*another definition"):
        run(replace(campaign, benchmark=other), FakeExecutor())


def test_runs_carry_a_copy_of_the_benchmark(campaign):
    run(campaign, FakeExecutor())
    assert load_benchmark(campaign.runs / "toy_optimizer" / "benchmark.toml") == campaign.benchmark


def test_unwritable_folder_of_runs_is_named(campaign, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CampaignError, match=r"file/runs: cannot write there.*--runs"):
        run(replace(campaign, runs=tmp_path / "file" / "runs"), FakeExecutor())


def test_two_campaigns_in_one_folder_are_refused(campaign):
    class Nested(FakeExecutor):
        def start(self, trial_dir, slot):
            with pytest.raises(CampaignError, match="another campaign is running here"):
                run(campaign, FakeExecutor())
            return super().start(trial_dir, slot)

    run(campaign, Nested())


def test_missing_search_space_names_file_and_option(campaign, tmp_path):
    shutil.copy(TOY_OPTIMIZER / "submission_jax.py", tmp_path / "mine.py")
    with pytest.raises(SearchSpaceError, match=r"tuning_search_space\.json.*--tuning-search-space"):
        replace(campaign, submissions=(str(tmp_path / "mine.py"),)).expand()


def test_unknown_workload_of_the_benchmark_suggests_the_nearest(campaign):
    with pytest.raises(UnknownNameError, match=r"tooy.*toy"):
        replace(campaign, workloads=("tooy",)).expand()


def test_benchmark_whose_workload_is_not_installed_is_refused(campaign):
    with pytest.raises(UnknownNameError, match="criteo1tb"):
        replace(campaign, benchmark=load_benchmark("algoperf-v0.6")).expand()


def test_two_submissions_of_one_name_are_refused(campaign):
    with pytest.raises(CampaignError, match="two submissions are called toy_optimizer"):
        replace(campaign, submissions=("toy_optimizer", str(TOY_OPTIMIZER))).expand()


# Real trials.


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("framework", ["jax", "pytorch"])
def test_real_trial_leaves_every_file_of_the_published_layout(campaign, framework):
    campaign = replace(campaign, framework=framework, studies=1, trials=1)
    assert run_campaign(campaign, LocalExecutor(), Watcher())
    (trial_dir,) = campaign.runs.glob(f"toy_optimizer/study_0/toy_{framework}/trial_1")
    result = read_result(trial_dir)
    assert result.outcome is Outcome.TARGET_REACHED
    assert {path.name for path in trial_dir.iterdir()} == {
        "benchmark.toml",
        "console.log",
        "environment.json",
        "eval_measurements.csv",
        "flags_0.json",
        "hparams.json",
        "measurements.csv",
        "meta_data_0.json",
        "outcome.json",
        "progress.json",
        "submission.zip",
        "trial.json",
    }
    evaluations = rows(trial_dir / "eval_measurements.csv")
    assert evaluations[0]["global_step"] == "1"
    assert float(evaluations[-1]["validation/loss"]) <= 0.05
    assert all(row["score"] == row["accumulated_submission_time"] for row in evaluations)
    assert result.time_to_target_s in [float(row["score"]) for row in evaluations]
    measurements = rows(trial_dir / "measurements.csv")
    assert list(measurements[0])[:3] == ["global_step", "grad_norm", "loss"]
    assert float(measurements[-1]["score"]) >= float(evaluations[-1]["score"])
    spec = read_spec(trial_dir)
    assert json.loads((trial_dir / "hparams.json").read_text()) == spec.hyperparameters
    meta = json.loads((trial_dir / "meta_data_0.json").read_text())
    assert meta["workload.target_metric_name"] == "loss"
    assert meta["workload.max_allowed_runtime_sec"] == 20.0
    assert meta["rng_seed"] == spec.seed
    assert meta["cpu_count"] >= 1
    assert not [name for name in meta if "train_mean" in name]
    flags = json.loads((trial_dir / "flags_0.json").read_text())
    assert flags["framework"] == framework
    slice_ = ("num_tuning_trials", "hparam_start_index", "hparam_end_index")
    assert [flags[name] for name in slice_] == [2, 0, 1]


def test_real_trial_accounts_for_its_wall_clock(campaign):
    campaign = replace(campaign, studies=1, trials=1)
    campaign.prepare()
    (trial_dir,) = campaign.runs.glob("*/*/*/trial_1")
    run_trial(trial_dir)
    result = read_result(trial_dir)
    last = rows(trial_dir / "eval_measurements.csv")[-1]
    # Of the last row, only its own logging and what follows it are missing.
    accounts = sum(result.ledger_s.values()) - result.ledger_s["set_up"]
    assert result.ledger_s["set_up"] > 0.0
    assert float(last["total_duration"]) <= accounts
    assert float(last["accumulated_submission_time"]) <= result.ledger_s["submission"]
    assert float(last["accumulated_eval_time"]) == result.ledger_s["evaluation"]


SLOW = """
import time
from toy_plugin.toy_optimizer import submission_jax

functions = submission_jax.submission

def get_batch_size(workload_name):
    return 64

init_optimizer_state = functions.init_optimizer_state
data_selection = functions.data_selection

def update_params(**everything):
    time.sleep(0.05)
    return everything["optimizer_state"], everything["current_param_container"], None
"""


@pytest.fixture
def slow_command(campaign, tmp_path):
    """A campaign of one trial that would take 20 s, as a command line."""
    folder = tmp_path / "slow"
    folder.mkdir()
    (folder / "submission.py").write_text(SLOW)
    (folder / "tuning_search_space.json").write_text(
        '[{"learning_rate": 0.1}, {"learning_rate": 1}]'
    )
    options = ["--benchmark", "toy-benchmark", "--studies", "1", "--trials", "1"]
    return [
        *(sys.executable, "-m", "algoperf_core", "run", str(folder), *options),
        *("--framework", "jax", "--runs", str(tmp_path / "runs"), "--data-dir", str(tmp_path)),
    ]


def wait_for(condition, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_running(runs):
    return bool(list(runs.glob("slow/*/*/trial_1/eval_measurements.csv")))


def test_ctrl_c_stops_trials_and_the_same_command_continues(slow_command, tmp_path):
    runs = tmp_path / "runs"
    process = subprocess.Popen(
        slow_command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_for(lambda: is_running(runs))
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "run the same command again" in errors
    assert "Traceback" not in errors
    (trial_dir,) = runs.glob("slow/*/*/trial_1")
    assert read_result(trial_dir).outcome is Outcome.INTERRUPTED
    spec = read_spec(trial_dir)
    write_json(trial_dir / "hparams.json", {"stale": True})
    again = subprocess.Popen(slow_command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: not (trial_dir / OUTCOME_FILE).exists() and is_running(runs))
    again.send_signal(signal.SIGINT)
    again.wait(30)
    assert json.loads((trial_dir / "hparams.json").read_text()) == spec.hyperparameters
    steps = [int(row["global_step"]) for row in rows(trial_dir / "eval_measurements.csv")]
    assert steps == sorted(set(steps))


def test_trial_ends_with_a_campaign_that_was_killed(slow_command, tmp_path):
    runs = tmp_path / "runs"
    process = subprocess.Popen(slow_command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: is_running(runs))
    process.send_signal(signal.SIGKILL)
    process.wait()
    (progress,) = runs.glob("slow/*/*/trial_1/progress.json")
    wait_for(lambda: time.time_ns() - progress.stat().st_mtime_ns > 2e9)
    assert read_result(progress.parent).outcome is Outcome.INTERRUPTED


def trial_of(campaign, text, tmp_path):
    folder = tmp_path / "faulty"
    folder.mkdir()
    (folder / "submission.py").write_text(text)
    (folder / "tuning_search_space.json").write_text('{"learning_rate": {"min": 0.1, "max": 0.2}}')
    faulty = replace(campaign, submissions=(str(folder),), studies=1, trials=1)
    return faulty.prepare()[0]


def test_trial_whose_submission_raises_has_crashed_and_says_why(campaign, tmp_path):
    text = SLOW.replace("time.sleep(0.05)", "raise ZeroDivisionError('oops')")
    trial_dir = trial_of(campaign, text, tmp_path)
    with pytest.raises(ZeroDivisionError):
        run_trial(trial_dir)
    result = read_result(trial_dir)
    assert result.outcome is Outcome.CRASHED
    assert result.message == "ZeroDivisionError: oops"
    assert (trial_dir / "measurements.csv").exists()


def test_crash_is_charged_up_to_its_moment(campaign, tmp_path):
    text = SLOW.replace("time.sleep(0.05)", "time.sleep(0.2); raise ZeroDivisionError")
    trial_dir = trial_of(campaign, text, tmp_path)
    with pytest.raises(ZeroDivisionError):
        run_trial(trial_dir)
    assert read_result(trial_dir).ledger_s["submission"] >= 0.2


def test_run_that_cannot_be_scored_is_no_success(campaign, capfd):
    assert run(campaign, FakeExecutor())
    (campaign.runs / "other").mkdir()
    other = replace(campaign.benchmark, name="another")
    (campaign.runs / "other" / "benchmark.toml").write_text(other.to_toml())
    options = ["--benchmark", "toy-benchmark", "--runs", str(campaign.runs)]
    assert main(["run", "toy_optimizer", *options, "--data-dir", str(campaign.data_dir)]) == 2
    printed = capfd.readouterr()
    assert "4 of 4 trials are done already" in printed.out
    assert "benchmark.toml" in printed.err


def test_trial_that_fails_before_its_submission_is_involved_has_no_outcome(campaign, monkeypatch):
    def init_model_fn(self, rng):
        raise FileNotFoundError("no data here")

    workload = workload_provider("toy").create("jax", None)
    monkeypatch.setattr(type(workload), "init_model_fn", init_model_fn)
    trial_dir = campaign.prepare()[0]
    with pytest.raises(FileNotFoundError):
        run_trial(trial_dir)
    assert read_result(trial_dir) is None


def test_submission_that_fails_in_its_set_up_has_crashed(campaign, tmp_path):
    text = SLOW.replace("functions.init_optimizer_state", "lambda *arguments: 1 / 0")
    trial_dir = trial_of(campaign, text, tmp_path)
    with pytest.raises(ZeroDivisionError):
        run_trial(trial_dir)
    assert read_result(trial_dir).outcome is Outcome.CRASHED


def test_trial_that_could_not_begin_stops_the_campaign_with_the_reason(campaign):
    class Broken(FakeExecutor):
        def start(self, trial_dir, slot):
            (trial_dir / "console.log").write_text(
                "Traceback ...\nFileNotFoundError: no data here\n"
            )
            return super().start(trial_dir, slot)

    with pytest.raises(CampaignError, match="FileNotFoundError: no data here"):
        run(campaign, Broken(script={0: 1}))


@pytest.mark.parametrize(
    ("before", "statement", "said"),
    [
        ("time.sleep(0.05)", "bytearray(2**62)", "during a training step"),
        (
            "time.sleep(0.05)",
            "raise jax.errors.JaxRuntimeError('RESOURCE_EXHAUSTED: 9 GB')",
            "micro_batches= of from_optax and from_torch); algoperf memory tells what fits",
        ),
        (
            "functions.init_optimizer_state",
            "lambda *arguments: bytearray(2**62)",
            "during set-up",
        ),
    ],
)
def test_trial_without_memory_says_when_and_the_peak_and_the_remedy(
    campaign, tmp_path, capsys, before, statement, said
):
    text = "import jax\n" + SLOW.replace(before, statement)
    trial_dir = trial_of(campaign, text, tmp_path)
    with pytest.raises((MemoryError, RuntimeError)) as error:
        run_trial(trial_dir)
    result = read_result(trial_dir)
    assert result.outcome is Outcome.OUT_OF_MEMORY
    assert result.message.startswith("ran out of memory during ")
    assert re.search(r"at most [\d.]+ [MG]iB were in use before by this process", result.message)
    assert said in result.message
    assert type(error.value).__name__ in result.message
    # On the console, in the campaign's line and in the status.
    assert said in capsys.readouterr().out
    assert said in describe_result(result)
    assert said in read_status(campaign.runs, 0.0).failed[0].message


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("return 64", "return 0", "get_batch_size('toy') gives 0"),
        (
            'return everything["optimizer_state"], everything["current_param_container"], None',
            "return 1, 2",
            "update_params returned 2 values",
        ),
    ],
)
def test_faulty_submission_is_said_and_leaves_no_outcome(campaign, tmp_path, before, after, said):
    trial_dir = trial_of(campaign, SLOW.replace(before, after), tmp_path)
    with pytest.raises(SubmissionError) as error:
        run_trial(trial_dir)
    assert said in str(error.value)
    assert read_result(trial_dir) is None


def test_trial_that_is_done_is_not_repeated(campaign):
    trial_dir = campaign.prepare()[0]
    write_json(trial_dir / OUTCOME_FILE, TrialResult(outcome=Outcome.DIVERGED).to_dict())
    assert run_trial(trial_dir).outcome is Outcome.DIVERGED
    assert not (trial_dir / "hparams.json").exists()


@pytest.mark.parametrize("file", ["trial.json", "outcome.json"])
def test_damaged_file_of_a_trial_is_named(campaign, file):
    trial_dir = campaign.prepare()[0]
    (trial_dir / file).write_text('{"half": ')
    with pytest.raises(CampaignError, match=file):
        run_trial(trial_dir)


def test_trials_side_by_side_get_processors_of_their_own(monkeypatch):
    monkeypatch.setattr("algoperf_core.executors.usable_cpus", lambda: [0, 1, 4, 5])
    assert LocalExecutor(2)._cpus == [[0, 1], [4, 5]]
    assert LocalExecutor(1)._cpus == [[0, 1, 4, 5]]
    assert LocalExecutor(6)._cpus == [[0], [1], [4], [5], [0], [1]]


def test_command_line_runs_a_campaign_and_ends_with_a_leaderboard(campaign, tmp_path, capfd):
    options = ["--benchmark", "toy-benchmark", "--studies", "1", "--trials", "1", "--jobs", "2"]
    paths = [
        "--runs",
        str(tmp_path / "r"),
        "--data-dir",
        str(tmp_path),
        "--json",
        str(tmp_path / "s.json"),
    ]
    assert main(["run", "toy_optimizer", *options, *paths]) == 0
    printed = capfd.readouterr().out
    assert "toy-benchmark: 1 trial of 1 submission, logs in" in printed
    assert "toy_optimizer / toy / study 0 / trial 1: reached the target in" in printed
    scores = json.loads((tmp_path / "s.json").read_text())
    assert scores["scores"] == {"toy_optimizer": 1.0}
    assert scores["times"]["toy_optimizer"]["toy"] > 0.0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "toy_optimizer", "--benchmark", "toy-bench"], "toy-benchmark"),
        (["run", "toy_optimiser", "--benchmark", "toy-benchmark"], "toy_optimizer"),
        (["run", "toy_optimizer", "--benchmark", "toy-benchmark", "--ruleset", "selfs"], "self"),
        (["run", "toy_optimizer", "--benchmark", "toy-benchmark", "--workloads", "tyo"], "toy"),
    ],
)
def test_bad_input_is_one_line_with_the_nearest_name(
    plugin, tmp_path, monkeypatch, capsys, arguments, said
):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    errors = capsys.readouterr().err
    assert errors.startswith("algoperf: error: ")
    assert said in errors
    assert "Traceback" not in errors
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("option", ["--plot", "--json"])
def test_output_that_cannot_be_written_is_said_before_anything_runs(
    plugin, tmp_path, capsys, option
):
    (tmp_path / "file").write_text("")
    runs = tmp_path / "runs"
    command = ["run", "toy_optimizer", "--benchmark", "toy-benchmark", "--runs", str(runs)]
    assert main([*command, option, str(tmp_path / "file" / "out.png")]) == 2
    assert "out.png: cannot write there" in capsys.readouterr().err
    assert not runs.exists()


def test_plot_without_matplotlib_is_said_before_anything_runs(
    plugin, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("algoperf_core.cli.find_spec", lambda name: None)
    command = [
        "run",
        "toy_optimizer",
        "--benchmark",
        "toy-benchmark",
        "--plot",
        str(tmp_path / "p.png"),
    ]
    assert main(command) == 2
    assert "algoperf-scoring[plot]" in capsys.readouterr().err


def test_missing_budget_is_said_before_anything_runs(campaign):
    goal = replace(campaign.benchmark.workloads["toy"], budget_s=None)
    with pytest.raises((WorkloadError, ValueError), match="budget"):
        replace(campaign, benchmark=replace(campaign.benchmark, workloads={"toy": goal})).expand()
