"""Processes that train one trial: how they agree, and what happens when one of them goes away."""

import argparse
import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from algoperf_core.errors import CampaignError, SubmissionError
from algoperf_core.host_link import (
    Failure,
    Listener,
    PeerFailedError,
    ProcessLostError,
    connect,
)
from algoperf_core.outcomes import Outcome, StoppedBy
from algoperf_core.placement_arguments import add_placement_arguments, placement_of, rank_of
from algoperf_core.processes import (
    ALONE,
    BAD_INPUT,
    Placement,
    Processes,
    start_processes,
    torchrun_placement,
)
from algoperf_core.spec import TrainingCompleteError
from algoperf_core.submission import Submission
from algoperf_core.testing import (
    FakeBackend,
    FakeClock,
    MemoryRecorder,
    ScriptedWorkload,
    SilentProgress,
)
from algoperf_core.training import TrainingRun, TrialPlan
from algoperf_scoring import AlgoperfError

LIMIT_S = 60
LINKS = []


@pytest.fixture(autouse=True)
def hang_up():
    """Closes all lines at the end of a test."""
    yield
    while LINKS:
        LINKS.pop().close()


def linked(count):
    """Processes that are threads of this one."""
    listener = Listener("127.0.0.1")
    with ThreadPoolExecutor(count) as pool:
        first = pool.submit(listener.accept, count)
        others = [
            pool.submit(connect, listener.invitation, rank) for rank in range(count - 1, 0, -1)
        ]
        links = [first.result(LIMIT_S), *(other.result(LIMIT_S) for other in reversed(others))]
    LINKS.extend(links)
    return [Processes(Placement(rank=rank, count=count), link) for rank, link in enumerate(links)]


def on_all(processes, work):
    """What `work(process)` returns on each, all at the same time."""
    with ThreadPoolExecutor(len(processes)) as pool:
        results = [pool.submit(work, process) for process in processes]
        return [result.result(LIMIT_S) for result in results]


def test_processes_agree_on_the_largest_of_each_number():
    mine = {0: (1.0, 1e-300, -5.0), 1: (3.0, 0.1, -7.0), 2: (2.0, 0.1 + 1e-16, -6.0)}
    agreed = on_all(linked(3), lambda process: process.agree(mine[process.rank]))
    assert agreed == [(3.0, 0.1 + 1e-16, -5.0)] * 3


def test_a_flag_in_one_process_is_up_in_all():
    assert on_all(linked(3), lambda process: process.any(process.rank == 2)) == [True] * 3
    assert on_all(linked(2), lambda process: process.any(False)) == [False] * 2


def test_what_the_first_process_finds_is_known_to_all():
    found = {0: {"step": 7, "why": ["killed", None]}}
    heard = on_all(linked(3), lambda process: process.first(lambda: found[process.rank]))
    assert heard == [found[0]] * 3


def test_first_process_then_one_of_each_machine_then_the_rest():
    order, lock = [], threading.Lock()
    processes = linked(4)
    for process, local_rank in zip(processes, (0, 1, 0, 1), strict=True):
        process._placement = Placement(rank=process.rank, count=4, local_rank=local_rank)

    def make(rank):
        with lock:
            order.append(rank)
        return rank

    assert on_all(processes, lambda p: p.in_turns(lambda: make(p.rank))) == [0, 1, 2, 3]
    assert order[:2] == [0, 2]
    assert sorted(order[2:]) == [1, 3]


def test_a_process_that_is_alone_exchanges_nothing():
    assert ALONE.agree((1.0, 2.0)) == (1.0, 2.0)
    assert ALONE.any(True)
    assert ALONE.first(lambda: {1}) == {1}
    ALONE.barrier()
    ALONE.stop()


def test_a_stranger_on_the_port_is_turned_away():
    listener = Listener("127.0.0.1")
    host, port, _ = json.loads(listener.invitation)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(listener.accept, 2)
        with socket.create_connection((host, port)) as stranger:
            stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
        second = pool.submit(connect, listener.invitation, 1)
        links = [first.result(LIMIT_S), second.result(LIMIT_S)]
    LINKS.extend(links)
    pair = [Processes(Placement(rank=rank, count=2), link) for rank, link in enumerate(links)]
    assert on_all(pair, lambda process: process.agree((float(process.rank),))) == [(1.0,)] * 2


def test_nobody_waits_for_a_process_that_is_gone():
    first, second, third = linked(3)
    second._link.close()
    with pytest.raises(ProcessLostError, match="process 1 of the trial is gone"):
        first.agree((1.0,))
    first._link.close()
    with pytest.raises(ProcessLostError, match="process 0 of the trial is gone"):
        third.agree((1.0,))


def failing(process, error, outcome):
    with process.sharing_failures(lambda error: outcome):
        raise error


def test_an_error_elsewhere_is_known_for_what_it_is():
    first, second = linked(2)
    with pytest.raises(MemoryError):
        failing(second, MemoryError("all of it"), "out_of_memory")
    second._link.close()
    # The framework of rank 0 sees a broken connection only.
    with pytest.raises(PeerFailedError, match="process 1: MemoryError: all of it") as caught:
        failing(first, RuntimeError("Connection closed by peer"), "crashed")
    assert caught.value.failure.outcome == "out_of_memory"


def test_faulty_input_in_one_process_is_faulty_input_of_the_trial():
    first, second = linked(2)
    with pytest.raises(SubmissionError):
        failing(second, SubmissionError("data_selection is missing"), BAD_INPUT)
    with (
        pytest.raises(AlgoperfError, match=r"^data_selection is missing$"),
        first.sharing_failures(lambda error: "crashed"),
    ):
        first.agree((1.0,))


def test_a_process_that_was_killed_comes_before_those_it_took_down():
    first, second, third = linked(3)
    with pytest.raises(RuntimeError):
        failing(second, RuntimeError("Connection reset by peer"), "crashed")
    third._link.close()
    with (
        pytest.raises(ProcessLostError, match="process 2"),
        first.sharing_failures(lambda error: "crashed"),
    ):
        first.agree((1.0,))


def test_an_error_of_its_own_stays_what_it_is(monkeypatch):
    monkeypatch.setattr("algoperf_core.processes.CAUSE_S", 0.05)
    first, _ = linked(2)
    with pytest.raises(ZeroDivisionError):
        failing(first, ZeroDivisionError(), "crashed")
    with pytest.raises(RuntimeError, match="mine"):
        failing(first, RuntimeError("mine"), "crashed")


def test_the_earliest_failure_is_the_cause():
    first, second, third = linked(3)
    for process, at in ((second, 9.0), (third, 5.0)):
        process._link.report(Failure(rank=process.rank, outcome="crashed", message="no", at=at))
    with pytest.raises(PeerFailedError, match="process 2: no"):
        failing(first, RuntimeError("Connection closed by peer"), "crashed")


# The clock.


class Member:
    """One process of a trial by script, with a clock of its own."""

    def __init__(self, goal, processes, step_s, **options):
        self.clock = FakeClock()
        self.step_s, self.complete_at = step_s, options.pop("complete_at", None)
        self.seen = []
        budget_s, max_steps = options.pop("budget_s", 100.0), options.pop("max_steps", None)
        self.workload = ScriptedWorkload(goal, self.clock, **options)
        self.recorder = MemoryRecorder(self.clock)
        submission = Submission(
            get_batch_size=lambda name: 8,
            init_optimizer_state=lambda *arguments: {},
            update_params=self.update_params,
        )
        plan = TrialPlan(
            workload=self.workload,
            submission=submission,
            hyperparameters=None,
            seed=1,
            budget_s=budget_s,
            data_dir="",
            max_global_steps=max_steps,
        )
        self.run = TrainingRun(
            plan,
            FakeBackend(self.clock),
            self.recorder,
            SilentProgress(),
            self.clock,
            processes=processes,
        )

    def update_params(self, *, optimizer_state, global_step, train_state, **rest):
        self.clock.advance(self.step_s(global_step))
        if global_step == self.complete_at:
            raise TrainingCompleteError
        self.seen.append(dict(train_state))
        return optimizer_state, {"w": global_step}, None


def train(goal, *members):
    """Runs members `(step_s, options)` as processes of one trial; returns them and their results."""
    made = [
        Member(goal, processes, step_s, **options)
        for processes, (step_s, options) in zip(linked(len(members)), members, strict=True)
    ]
    with ThreadPoolExecutor(len(made)) as pool:
        return made, list(pool.map(lambda member: member.run.run(), made, timeout=LIMIT_S))


def test_the_slowest_process_counts(goal):
    options = {"budget_s": 30.0}
    (fast, slow), results = train(goal, (lambda step: 1.0, options), (lambda step: 3.0, options))
    assert [result.stopped_by for result in results] == [StoppedBy.BUDGET] * 2
    assert [result.global_step for result in results] == [10, 10]
    assert fast.run.submission_s == slow.run.submission_s == 30.0
    # Evaluations are due by the slow clock: after the first step, and ten seconds later.
    assert [step for step, _ in fast.workload.evaluated] == [1, 5, 9]
    assert fast.workload.evaluated == slow.workload.evaluated


def test_processes_see_the_same_times(goal):
    options = {"max_steps": 6, "eval_s": 2.0}
    (one, other), _ = train(
        goal, (lambda step: 1.0 + step % 2, options), (lambda step: 2.5 - step % 2, options)
    )
    assert one.seen == other.seen
    assert one.recorder.evaluations == other.recorder.evaluations


def test_training_that_is_complete_in_one_process_is_complete_in_all(goal):
    members = (lambda step: 1.0, {}), (lambda step: 1.0, {"complete_at": 3})
    _, results = train(goal, *members)
    assert [result.stopped_by for result in results] == [StoppedBy.TRAINING_COMPLETE] * 2
    assert [result.global_step for result in results] == [4, 4]


def test_evaluation_that_fails_in_one_process_is_tried_again_in_all(goal):
    metrics = {"validation/accuracy": 0.1}
    fine = (lambda step: 1.0, {"evaluations": [metrics], "max_steps": 3})
    script = [RuntimeError("lost"), metrics]
    (one, other), results = train(
        goal, fine, (lambda step: 1.0, {"evaluations": script, "max_steps": 3})
    )
    for member in (one, other):
        assert [step for step, _ in member.workload.evaluated] == [1, 2, 3]
    assert [result.evaluations for result in results] == [2, 2]
    assert [result.outcome for result in results] == [Outcome.TRAINING_COMPLETE] * 2


# Where a process stands.


def test_place_under_torchrun_is_read_from_its_environment():
    environment = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}
    environment |= {"MASTER_ADDR": "node0", "MASTER_PORT": "29500"}
    placement = torchrun_placement(environment)
    assert (placement.rank, placement.count, placement.local_rank) == (5, 8, 1)
    assert placement.host == "node0"
    assert torchrun_placement({}) is None


def test_half_of_torchruns_environment_is_refused():
    with pytest.raises(CampaignError, match=r"LOCAL_RANK is set.*'RANK'"):
        torchrun_placement({"LOCAL_RANK": "0"})


def parsed(*arguments):
    parser = argparse.ArgumentParser()
    add_placement_arguments(parser)
    return parser.parse_args(arguments)


def test_place_of_a_jax_process_is_given_on_its_command_line():
    options = parsed("--coordinator", "[::1]:80", "--processes", "4", "--process-id", "3")
    placement = placement_of(options)
    assert (placement.rank, placement.count, placement.host) == (3, 4, "::1")
    assert rank_of(options, {}) == 3
    assert placement_of(parsed()) is None
    assert placement_of(parsed("--cluster")).cluster
    assert rank_of(parsed("--cluster"), {"SLURM_PROCID": "2"}) == 2
    assert rank_of(parsed(), {"SLURM_PROCID": "2"}) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--processes", "2"], "go together"),
        (["--coordinator", "a:1", "--processes", "2", "--process-id", "2"], "allowed are 0 to 1"),
        (["--cluster", "--processes", "2"], "leave them out"),
    ],
)
def test_places_that_make_no_sense_are_refused(arguments, message):
    with pytest.raises(CampaignError, match=message):
        placement_of(parsed(*arguments))


@pytest.mark.parametrize("framework", ["jax", "pytorch"])
def test_a_trial_runs_in_as_many_processes_as_it_is_specified_for(framework):
    with pytest.raises(CampaignError, match="for 2 processes, but 1 were started"):
        start_processes(framework, None, 2)
