"""What the guards of a short run see, with scripted workloads and without a framework."""

from __future__ import annotations

import copy
import math
import threading
import time
from pathlib import Path

import pytest

from algoperf_core.check.audit import Audit
from algoperf_core.check.frozen_names import FrozenNames
from algoperf_core.check.observations import Observations
from algoperf_core.check.recording import RecordingDict, RecordingList
from algoperf_core.check.watched_run import RunSettings, WatchedRun
from algoperf_core.spec import TrainingCompleteError
from algoperf_core.submission import Submission, next_batch
from algoperf_core.testing import FakeBackend, ScriptedWorkload

HERE = Path(__file__).resolve()
LINES = HERE.read_text().splitlines()


def line_of(mark):
    return next(n for n, line in enumerate(LINES, 1) if line.endswith(f"# {mark}"))


class Params:
    """Parameters that can be changed in place."""

    def __init__(self):
        self.value = 0


class Watch:
    """A run whose submission does what a test gives it to do, and the findings."""

    def __init__(
        self, goal, clock, step=None, select=None, prepare=None, init=None, audit=False, **options
    ):
        evaluations = options.pop("evaluations", ({"validation/accuracy": 0.1},))
        self.workload = ScriptedWorkload(goal, clock, evaluations=evaluations)
        self.observations = Observations(frozenset({HERE}), HERE, "scripted")
        self.audit = Audit(self.observations, HERE.parent) if audit else None
        self.run = WatchedRun(
            self.workload,
            FakeBackend(),
            self.observations,
            FrozenNames(("time", "math")),
            self.audit,
            linger_s=0.05 if audit else 0.0,
        )
        if self.audit is not None:
            self.audit.install()
        submission = Submission(
            get_batch_size=lambda name: 8,
            init_optimizer_state=init or (lambda *args: {"steps": 0}),
            update_params=step or honest_step,
            data_selection=select or next_batch,
            prepare_for_eval=prepare,
        )
        try:
            self.run.train(submission, RunSettings(steps=options.pop("steps", 8)))
        finally:
            if self.audit is not None:
                self.audit.remove()

    @property
    def rules(self):
        return {finding.rule_id for finding in self.observations.findings}

    def lines(self, rule_id):
        return {f.line for f in self.observations.findings if f.rule_id == rule_id}


def honest_step(*, optimizer_state, current_param_container, model_state, **rest):
    return optimizer_state, {"w": rest["global_step"]}, model_state


@pytest.fixture
def watch(goal, clock):
    return lambda **options: Watch(goal, clock, **options)


def test_honest_submission_has_no_findings_and_is_evaluated_several_times(watch):
    seen = watch()
    assert seen.observations.findings == []
    assert [step for step, _ in seen.workload.evaluated] == [1, 3, 5, 7, 8]
    assert seen.run.queue.taken == 8


def test_two_steps_give_two_evaluations(watch):
    assert len(watch(steps=2).workload.evaluated) == 2


def test_replaced_function_of_the_workload_is_seen_at_the_function_that_did_it(watch):
    def step(*, workload, **rest):  # replaces the loss
        workload.loss_fn = print
        return honest_step(**rest)

    assert watch(step=step).lines("fixed-functions") == {line_of("replaces the loss")}


def test_changed_target_is_seen(watch):
    def init(workload, *rest):
        object.__setattr__(workload.goal, "validation_target", 0.0)
        return {}

    assert watch(init=init).rules == {"fixed-functions"}


def test_evaluation_that_is_replaced_on_the_class_is_seen(watch, monkeypatch):
    monkeypatch.setattr(ScriptedWorkload, "is_output_params", ScriptedWorkload.is_output_params)

    def step(**keywords):
        ScriptedWorkload.is_output_params = print
        return honest_step(**keywords)

    assert "fixed-functions" in watch(step=step).rules


def test_patched_clock_is_seen_once(watch, monkeypatch):
    monkeypatch.setattr(time, "monotonic", time.monotonic)

    def step(**keywords):  # patches the clock
        time.monotonic = math.sqrt
        return honest_step(**keywords)

    seen = watch(step=step)
    assert seen.rules == {"patching"}
    assert seen.lines("patching") == {line_of("patches the clock")}
    assert len(seen.observations.findings) == 1


def test_changes_of_train_state_are_seen_at_their_line_and_have_no_effect(watch):
    def step(*, train_state, **keywords):
        assert train_state["is_time_remaining"]
        train_state["is_time_remaining"] = False  # writes train_state
        train_state.update(training_complete=True)  # updates train_state
        return honest_step(**keywords)

    seen = watch(step=step)
    assert seen.lines("harness-state") == {
        line_of("writes train_state"),
        line_of("updates train_state"),
    }
    assert seen.run.queue.taken == 8


def test_changes_of_eval_results_are_seen_at_their_line_and_have_no_effect(watch):
    def step(*, eval_results, **keywords):
        if len(eval_results) == 2:
            eval_results.pop()  # pops eval_results
            eval_results[0][1]["score"] = 0.0  # writes a score
        assert all(row["score"] > 0 for _, row in eval_results[1:])
        return honest_step(**keywords)

    assert watch(step=step).lines("harness-state") == {
        line_of("pops eval_results"),
        line_of("writes a score"),
    }


def test_reading_and_copying_the_records_is_fine(watch):
    def step(*, train_state, eval_results, **keywords):
        mine = copy.deepcopy(eval_results)
        mine.append(dict(train_state))
        copy.copy(train_state)["own"] = 1
        return honest_step(**keywords)

    assert watch(step=step).rules == set()


@pytest.mark.parametrize("method", ["append", "extend", "insert", "clear", "sort", "reverse"])
def test_every_way_of_changing_a_recorded_list_is_told(method):
    told = []
    arguments = {"append": [1], "extend": [[1]], "insert": [0, 1]}.get(method, [])
    getattr(RecordingList([2, 3], told.append), method)(*arguments)
    assert told == [method]


@pytest.mark.parametrize("method", ["clear", "popitem", "update", "setdefault", "__delitem__"])
def test_every_way_of_changing_a_recorded_dict_is_told(method):
    told = []
    arguments = {"setdefault": ["b", 1], "__delitem__": ["a"]}.get(method, [])
    getattr(RecordingDict({"a": 1}, told.append), method)(*arguments)
    assert told == [method]


def test_queue_that_is_changed_or_looked_into_is_seen_and_stays_what_it_is(watch):
    def select(workload, input_queue, *rest):
        input_queue.__next__ = lambda: None  # replaces next
        input_queue._hidden = 3  # hides something
        assert getattr(input_queue, "_buffer", None) is None  # looks inside
        return next(input_queue)

    seen = watch(select=select)
    expected = {line_of(m) for m in ("replaces next", "hides something", "looks inside")}
    assert seen.lines("input-queue") == expected
    assert seen.run.queue.taken == 8


def test_batch_that_is_changed_in_place_is_fine(watch):
    def select(workload, input_queue, *rest):
        batch = next(input_queue)
        batch["inputs"] = -1
        return batch

    assert watch(select=select).rules == set()


def test_taking_several_batches_or_the_queue_itself_is_fine(watch):
    def select(workload, input_queue, *rest):
        return input_queue

    def step(*, batch, **keywords):
        assert next(batch)["inputs"] < next(batch)["inputs"]
        return honest_step(**keywords)

    seen = watch(select=select, step=step)
    assert seen.rules == set()
    assert seen.run.queue.taken == 16


def test_queue_that_a_submission_builds_is_seen(watch):
    def select(workload, input_queue, *rest):
        workload._build_input_queue()  # builds
        return next(input_queue)

    assert watch(select=select).lines("input-queue-built") == {line_of("builds")}


def test_evaluation_that_a_submission_starts_is_noted(watch):
    def step(*, workload, **keywords):
        workload.eval_model(8, {}, None, None, "")  # evaluates
        return honest_step(**keywords)

    assert watch(step=step).lines("evaluation-on-clock") == {line_of("evaluates")}


def test_data_selection_that_changes_the_state_is_seen_at_its_definition(watch):
    def select(workload, input_queue, optimizer_state, *rest):  # selects and changes
        optimizer_state["steps"] += 1
        return next(input_queue)

    seen = watch(select=select)
    assert seen.lines("data-selection") == {line_of("selects and changes")}


def test_parameters_that_change_while_they_are_evaluated_are_seen(watch):
    params = Params()

    def step(**keywords):
        return keywords["optimizer_state"], params, None

    class Changing(dict):
        def __iter__(self):
            params.value += 1
            return super().__iter__()

        def keys(self):
            params.value += 1
            return super().keys()

    seen = watch(step=step, evaluations=[Changing({"validation/accuracy": 0.1})])
    assert "evaluated-parameters" in seen.rules


def test_parameters_that_change_in_place_in_the_update_are_fine(watch):
    params = Params()

    def step(**keywords):
        params.value += 1
        return keywords["optimizer_state"], params, None

    assert watch(step=step).rules == set()


def test_preparation_for_evaluation_decides_what_is_evaluated(watch):
    def prepare(*, optimizer_state, model_state, **rest):
        return optimizer_state, {"w": "averaged"}, model_state

    seen = watch(prepare=prepare)
    assert seen.rules == set()
    assert seen.workload.evaluated[-1] == (8, {"w": "averaged"})


def test_end_of_training_keeps_the_old_parameters_without_findings(watch):
    def step(**keywords):
        if keywords["global_step"] == 3:
            raise TrainingCompleteError
        return honest_step(**keywords)

    seen = watch(step=step)
    assert seen.rules == set()
    assert seen.workload.evaluated[-1] == (4, {"w": 2})


def test_metric_that_is_not_a_number_is_noted(watch):
    assert watch(evaluations=[{"validation/accuracy": math.nan}]).rules == {"nan-loss"}


def burn(stop):
    while not stop.is_set():
        math.factorial(300)


def test_thread_that_computes_while_the_clock_is_paused_is_seen_with_its_seconds(watch):
    stop = threading.Event()

    def init(*args):
        threading.Thread(target=burn, args=(stop,), daemon=True).start()  # leaves a thread
        return {}

    try:
        seen = watch(init=init, audit=True)
    finally:
        stop.set()
    assert seen.rules == {"paused-work"}
    assert seen.lines("paused-work") == {line_of("leaves a thread")}
    assert all(" s of it" in finding.detail for finding in seen.observations.findings)


def test_thread_that_only_waits_is_a_warning(watch):
    stop = threading.Event()

    def init(*args):
        threading.Thread(target=stop.wait, daemon=True).start()  # waits
        return {}

    try:
        seen = watch(init=init, audit=True)
    finally:
        stop.set()
    assert seen.lines("threads") == {line_of("waits")}
    assert "paused-work" not in seen.rules


def test_thread_that_is_joined_is_fine(watch):
    def step(**keywords):
        thread = threading.Thread(target=math.factorial, args=(300,))
        thread.start()
        thread.join()
        return honest_step(**keywords)

    assert watch(step=step, audit=True).rules == set()


def test_threads_of_the_harness_are_not_the_submissions(watch):
    stop = threading.Event()
    thread = threading.Thread(target=burn, args=(stop,), daemon=True)
    thread.start()
    try:
        assert watch(audit=True).rules == set()
    finally:
        stop.set()


def test_file_that_is_written_is_seen_at_its_line(watch, tmp_path):
    def step(**keywords):
        (tmp_path / "notes.txt").write_text("0.1")  # writes a file
        return honest_step(**keywords)

    assert watch(step=step, audit=True).lines("files") == {line_of("writes a file")}


def test_file_beside_the_submission_may_be_read_with_a_warning(watch):
    def init(*args):
        HERE.read_text()  # reads its own file
        return {}

    seen = watch(init=init, audit=True)
    assert seen.rules == {"own-files"}
    assert seen.lines("own-files") == {line_of("reads its own file")}


def test_environment_network_and_frames_are_seen_at_their_lines(watch, monkeypatch):
    import os
    import socket
    import sys

    monkeypatch.setenv("ALGOPERF_TEST", "0")

    def init(*args):
        os.environ["ALGOPERF_TEST"] = "1"  # sets a variable
        socket.socket().close()  # opens a socket
        sys._getframe()  # takes a frame
        return {}

    seen = watch(init=init, audit=True)
    assert seen.lines("environment-write") == {line_of("sets a variable")}
    assert seen.lines("network") == {line_of("opens a socket")}
    assert seen.lines("harness-internals") == {line_of("takes a frame")}
