"""A submission pays for what it computes while its clock is paused, however it does that."""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from algoperf_core.background import BackgroundWork, ChildTable
from algoperf_core.campaign import Campaign
from algoperf_core.ledger import Ledger, Phase
from algoperf_core.outcomes import Outcome
from algoperf_core.paused_work import PausedWork, Unwatched
from algoperf_core.testing import FakeClock
from algoperf_core.trial import run_trial
from algoperf_core.trial_spec import read_result
from algoperf_scoring import load_benchmark

PAUSE_S = 0.2
BURN = "import time\nend = time.process_time() + 20\nwhile time.process_time() < end: pass"


class Burning:
    """A thread that computes until it is told to stop."""

    def __init__(self, seconds=20.0):
        self._end = time.monotonic() + seconds
        self.thread = threading.Thread(target=self._burn, daemon=True)
        self.thread.start()

    def _burn(self):
        while time.monotonic() < self._end:
            sum(range(1000))

    def stop(self):
        self._end = 0.0
        self.thread.join()


@pytest.fixture
def burning():
    """Starts such threads, and stops them in the end."""
    started = []

    def start(seconds=20.0):
        started.append(Burning(seconds))
        return started[-1].thread

    yield start
    for work in started:
        work.stop()


@pytest.fixture
def ledger():
    return Ledger(time.perf_counter)


def paused(work, ledger, during=lambda: None, seconds=PAUSE_S):
    """Seconds that a pause charges."""
    ledger.switch(Phase.EVALUATION)
    with work.pause(ledger):
        during()
        time.sleep(seconds)
        charged = work.charge(ledger)
    ledger.switch(Phase.HARNESS)
    return charged


# Whose is whose.


def test_thread_of_the_submission_is_charged_by_name_and_said_once(burning, ledger, caplog):
    work = PausedWork()
    work.to_submission()
    thread = burning()
    with caplog.at_level(logging.WARNING):
        assert paused(work, ledger) > 0.0
        assert paused(work, ledger) > 0.0
    assert work.culprits == (f"thread {thread.name}",)
    (record,) = caplog.records
    assert f"thread {thread.name}" in record.message


def test_threads_of_the_harness_are_not_charged(burning, ledger):
    burning()
    work = PausedWork()
    burning()
    work.to_submission()
    work.to_harness()
    burning()
    work.to_submission()
    with work.harness_work():
        burning()
    assert paused(work, ledger, during=burning) == 0.0
    # What an evaluation left running is the harness's at the next one, too.
    assert paused(work, ledger) == 0.0
    assert work.culprits == ()


def test_thread_that_waits_is_not_charged(ledger):
    work = PausedWork()
    work.to_submission()
    with ThreadPoolExecutor(2) as pool:
        pool.submit(time.sleep, 0.0).result()
        assert paused(work, ledger) == 0.0


def test_thread_that_ends_during_the_pause_is_charged(burning, ledger):
    work = PausedWork()
    work.to_submission()
    thread = burning(seconds=PAUSE_S)
    assert paused(work, ledger, seconds=3 * PAUSE_S) > 0.0
    assert not thread.is_alive()


def test_name_of_a_harness_thread_helps_nobody(burning, ledger):
    work = PausedWork()
    work.to_submission()
    burning().name = "progress"
    assert paused(work, ledger) > 0.0


def test_thread_that_runs_code_of_the_submission_is_its_own_whenever_it_began(burning, ledger):
    work = PausedWork({__file__})
    work.to_submission()
    assert paused(work, ledger, during=burning) > 0.0
    assert paused(work, ledger) > 0.0


def test_process_of_the_submission_and_its_children_are_charged(ledger):
    work = PausedWork()
    work.to_submission()
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BURN!r}])"
    process = subprocess.Popen([sys.executable, "-c", code], process_group=0)
    assert paused(work, ledger, seconds=1.0) > 0.0
    assert any(name.startswith("process ") for name in work.culprits)
    end_group(process)


def test_processes_of_the_harness_and_theirs_are_not_charged(ledger):
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BURN!r}])"
    process = subprocess.Popen([sys.executable, "-c", code], process_group=0)
    work = PausedWork()
    work.to_submission()
    with work.harness_work():
        drawn = subprocess.Popen([sys.executable, "-c", BURN], process_group=0)
    evaluating = []
    start = [sys.executable, "-c", BURN]
    assert paused(work, ledger, lambda: evaluating.append(subprocess.Popen(start)), 1.0) == 0.0
    assert paused(work, ledger, seconds=0.5) == 0.0
    end_group(process)
    for process in (drawn, *evaluating):
        process.kill()
        process.wait()


def end_group(process):
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_process_that_a_thread_of_the_submission_starts_in_a_pause_is_charged(ledger):
    work = PausedWork()
    work.to_submission()
    begin, started = threading.Event(), []

    def wait_and_start():
        begin.wait(20)
        started.append(subprocess.Popen([sys.executable, "-c", BURN]))
        time.sleep(2)

    threading.Thread(target=wait_and_start, daemon=True).start()
    assert paused(work, ledger, during=begin.set, seconds=1.0) > 0.0
    assert paused(work, ledger) > 0.0
    started[0].kill()
    started[0].wait()


def test_processes_are_listed_with_those_below_them():
    table = ChildTable()
    before = table.list()
    code = "import subprocess, sys; subprocess.run(['sleep', '20'])"
    process = subprocess.Popen([sys.executable, "-c", code], process_group=0)
    deadline = time.monotonic() + 20
    while len(table.list() - before) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert process.pid in table.list()
    (below,) = table.below({process.pid})
    assert table.list() - before == {process.pid, below}
    end_group(process)
    assert not table.list() & {process.pid}


# How much.


class Done(BackgroundWork):
    """Work as scripted."""

    def __init__(self, script):
        super().__init__(lambda: ())
        self._script = list(script)

    def start(self):
        pass

    def stop(self):
        return {threading.main_thread(): self._script.pop(0)}


seconds = st.floats(0, 1e3)


@given(st.lists(st.tuples(seconds, seconds, seconds, seconds, seconds), min_size=1, max_size=8))
def test_sum_of_the_accounts_stays_and_no_pause_costs_more_than_it_took(pauses):
    clock = FakeClock()
    ledger, begun = Ledger(clock), clock()
    work = PausedWork()
    work._work = Done(done for pause in pauses for done in pause[3:])
    work.to_submission()
    for evaluation_s, logging_s, step_s, *_ in pauses:
        ledger.switch(Phase.UPDATE)
        clock.advance(step_s)
        ledger.switch(Phase.EVALUATION)
        with work.pause(ledger):
            clock.advance(evaluation_s)
            first = work.charge(ledger)
            assert 0.0 <= first <= evaluation_s + 1e-6
            ledger.switch(Phase.MEASUREMENTS)
            clock.advance(logging_s)
            assert 0.0 <= work.charge(ledger) <= logging_s + 1e-6
    ledger.charge()
    assert sum(ledger.entries().values()) == pytest.approx(clock() - begun, abs=1e-5)
    assert ledger.phase_s(Phase.UPDATE) == pytest.approx(sum(p[2] for p in pauses), abs=1e-5)
    assert all(ledger.phase_s(phase) >= 0.0 for phase in Phase)


@pytest.mark.parametrize(
    ("pause_s", "done_s", "charged_s"),
    [
        (2.0, 0.0, 0.0),
        (2.0, 0.01, 0.0),
        (2.0, 0.5, 0.5),
        (2.0, 7.0, 2.0),
        # Waking up once in a while is no work: a thousandth of a long pause.
        (100.0, 0.09, 0.0),
        (100.0, 0.5, 0.5),
    ],
)
def test_work_above_the_tolerance_is_charged_up_to_the_pause(clock, pause_s, done_s, charged_s):
    ledger, work = Ledger(clock), PausedWork()
    work._work = Done([done_s])
    work.to_submission()
    ledger.switch(Phase.EVALUATION)
    with work.pause(ledger):
        clock.advance(pause_s)
        assert work.charge(ledger) == charged_s
    assert ledger.breakdown()["submission"]["background"] == charged_s
    assert ledger.breakdown()["evaluation"]["evaluation"] == pause_s - charged_s


def test_runs_whose_clock_does_not_count_are_not_watched(burning, ledger):
    work = Unwatched()
    work.to_submission()
    burning()
    assert paused(work, ledger) == 0.0


# Real trials.

SUBMISSION = """
import hashlib
import multiprocessing
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from toy_plugin.toy_optimizer import submission_pytorch

functions = submission_pytorch.submission
get_batch_size = functions.get_batch_size
data_selection = functions.data_selection
kept = []

def burn():
    # Computes without the interpreter's lock, which would slow down the trial for nothing.
    deadline, block = time.monotonic() + 200, bytes(2**22)
    while not Path({stop!r}).exists() and time.monotonic() < deadline:
        hashlib.sha256(block)

{at_import}

def init_optimizer_state(*arguments):
    {in_init}
    return functions.init_optimizer_state(*arguments)

def update_params(**arguments):
    if arguments["global_step"] == 0:
        {in_update}
    return functions.update_params(**arguments)

def prepare_for_eval(optimizer_state, current_param_container, model_state, **rest):
    {in_prepare}
    return optimizer_state, current_param_container, model_state
"""
THREAD = "threading.Thread(target=burn, daemon=True).start()"
WAYS = {
    "thread at import": {"at_import": THREAD},
    "thread in init_optimizer_state": {"in_init": THREAD},
    "thread in update_params": {"in_update": THREAD},
    "thread in prepare_for_eval": {"in_prepare": THREAD},
    "pool": {"in_update": "kept.append(ThreadPoolExecutor(1)); kept[0].submit(burn)"},
    "program": {
        "in_update": "kept.append(subprocess.Popen("
        "[sys.executable, '-S', '-c', 'while True: pass']))"
    },
    "multiprocessing": {
        "in_update": "kept.append(multiprocessing.get_context('fork').Process(target=burn)); "
        "kept[0].start()"
    },
}
INNOCENT = {
    "nothing": {},
    "pool that waits": {
        "in_update": "kept.append(ThreadPoolExecutor(1)); kept[0].submit(bool).result()"
    },
    "thread that is joined": {
        "in_update": "kept.append(threading.Thread(target=sum, args=(range(10**6),))); "
        "kept[0].start(); kept[0].join()"
    },
}


@pytest.fixture
def trial(plugin, tmp_path, monkeypatch):
    """Runs a trial of three evaluations in this process, each of which takes a while."""
    pytest.importorskip("torch")
    workload = plugin_workload()
    evaluate = workload.eval_model

    def slow(*arguments, **options):
        time.sleep(PAUSE_S)
        return evaluate(*arguments, **options)

    monkeypatch.setattr(workload, "eval_model", slow)
    stop, modules = tmp_path / "stop", []

    def run(framework="pytorch", reference=None, **parts):
        folder = tmp_path / "busy"
        folder.mkdir()
        texts = dict.fromkeys(("in_init", "in_update", "in_prepare"), "pass") | {"at_import": ""}
        (folder / "submission.py").write_text(SUBMISSION.format(stop=str(stop), **(texts | parts)))
        (folder / "tuning_search_space.json").write_text(
            '[{"learning_rate": 0.1}, {"learning_rate": 0.2}]'
        )
        benchmark = load_benchmark("toy-benchmark")
        goal = replace(
            benchmark.workloads["toy"],
            validation_target=-1.0,
            test_target=-1.0,
            eval_period_s=1e-6,
            budget_s=1000.0,
        )
        campaign = Campaign(
            benchmark=replace(benchmark, workloads={"toy": goal}),
            ruleset="external",
            submissions=(reference or str(folder),),
            runs=tmp_path / "runs",
            data_dir=tmp_path / "data",
            framework=framework,
            studies=1,
            trials=1,
            max_global_steps=3,
            checkpoint_period_s=0.0,
        )
        trial_dir = campaign.prepare()[0]
        begun = time.perf_counter()
        result = run_trial(trial_dir)
        return trial_dir, result, time.perf_counter() - begun

    yield run
    stop.touch()
    for name, module in list(sys.modules.items()):
        if Path(getattr(module, "__file__", None) or "/").parent == tmp_path / "busy":
            modules.append((name, module))
    for _, module in modules:
        for worker in getattr(module, "kept", ()):
            if hasattr(worker, "kill"):
                worker.kill()
                getattr(worker, "wait", getattr(worker, "join", None))()


def plugin_workload():
    from toy_plugin.workload import ToyWorkload

    return ToyWorkload


@pytest.mark.filterwarnings("ignore:.*fork.*")
@pytest.mark.parametrize("way", WAYS)
def test_trial_that_works_while_its_clock_is_paused_pays(trial, way, caplog):
    trial_dir, result, wall_s = trial(**WAYS[way])
    assert result.outcome is Outcome.TRAINING_COMPLETE
    background_s = result.phases_s["submission"]["background"]
    assert 0.0 < background_s < wall_s
    assert sum(result.ledger_s.values()) < wall_s
    assert sum(result.phases_s["submission"].values()) == pytest.approx(
        result.ledger_s["submission"], abs=1e-9
    )
    assert read_result(trial_dir).paused_workers == result.paused_workers != ()
    assert "charged for work while its clock was paused" in result.summary()
    assert caplog.text.count("computed while its clock was paused") == 1
    # The row of an evaluation holds what was done beside it.
    rows = (trial_dir / "eval_measurements.csv").read_text().splitlines()
    column = rows[0].split(",").index("accumulated_submission_time")
    submission_s = [float(row.split(",")[column]) for row in rows[1:]]
    assert submission_s == sorted(set(submission_s))
    assert submission_s[-1] > background_s / 2


@pytest.mark.parametrize("way", INNOCENT)
def test_trial_that_leaves_nothing_at_work_pays_nothing(trial, way):
    _, result, _ = trial(**INNOCENT[way])
    assert result.outcome is Outcome.TRAINING_COMPLETE
    assert result.phases_s["submission"]["background"] == 0.0
    assert result.paused_workers == ()
    assert "paused" not in result.summary()
    assert "background" not in result.summary()


@pytest.mark.parametrize("framework", ["jax", "pytorch"])
def test_installed_submission_with_checkpoints_pays_nothing(trial, framework):
    pytest.importorskip("jax")
    _, result, _ = trial(framework, "toy_optimizer")
    assert result.evaluations == 3
    assert result.failed_checkpoints == 0
    assert result.paused_workers == ()
