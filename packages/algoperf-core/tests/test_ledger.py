import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from algoperf_core.ledger import Account, Ledger, Phase
from algoperf_core.testing import FakeClock
from algoperf_core.timed_queue import TimedQueue


def test_ledger_starts_with_set_up(clock):
    ledger = Ledger(clock)
    clock.advance(2.0)
    ledger.charge()
    assert ledger.entries() == {"set_up": 2.0, "submission": 0.0, "evaluation": 0.0, "logging": 0.0}


def test_switch_charges_the_account_that_was_open(clock):
    ledger = Ledger(clock)
    ledger.switch(Account.SUBMISSION)
    clock.advance(3.0)
    ledger.switch(Account.EVALUATION)
    clock.advance(5.0)
    ledger.switch(Account.SUBMISSION)
    assert ledger.seconds(Account.SUBMISSION) == 3.0
    assert ledger.seconds(Account.EVALUATION) == 5.0


@given(st.lists(st.tuples(st.sampled_from(list(Account)), st.floats(0, 1e4))))
def test_accounts_add_up_to_the_total_whatever_happens(moves):
    clock = FakeClock()
    ledger = Ledger(clock)
    for account, seconds in moves:
        ledger.switch(account)
        clock.advance(seconds)
    ledger.charge()
    assert abs(sum(ledger.entries().values()) - ledger.total_s) <= 1e-6
    assert abs(ledger.total_s - (clock() - 100.0)) <= 1e-6


@given(st.lists(st.tuples(st.sampled_from([*Phase, *Account]), st.floats(0, 1e4))))
def test_phases_add_up_to_their_account_whatever_happens(moves):
    clock = FakeClock()
    ledger = Ledger(clock)
    for to, seconds in moves:
        ledger.switch(to)
        clock.advance(seconds)
    ledger.charge()
    for account, phases in ledger.breakdown().items():
        assert sum(phases.values()) == pytest.approx(ledger.seconds(Account(account)))


@given(
    st.lists(st.tuples(st.sampled_from(list(Phase)), st.floats(0, 1e4)), min_size=1),
    st.lists(
        st.tuples(st.floats(-1e4, 1e5), st.sampled_from(list(Phase)), st.sampled_from(list(Phase)))
    ),
)
def test_moved_time_keeps_the_total_and_no_phase_owes_any(charges, moves):
    clock = FakeClock()
    ledger = Ledger(clock)
    for phase, seconds in charges:
        ledger.switch(phase)
        clock.advance(seconds)
    ledger.charge()
    for seconds, source, to in moves:
        had, got = ledger.phase_s(source), ledger.phase_s(to)
        moved = ledger.move(seconds, source, to)
        assert 0.0 <= moved <= max(seconds, 0.0)
        assert moved <= had
        if source is not to:
            assert ledger.phase_s(to) == got + moved
    assert all(ledger.phase_s(phase) >= 0.0 for phase in Phase)
    assert sum(ledger.entries().values()) == pytest.approx(ledger.total_s, abs=1e-6)


def test_elapsed_time_goes_on_between_charges_and_from_a_checkpoint(clock):
    ledger = Ledger(clock)
    ledger.resume({"submission": {"update": 7.0}})
    clock.advance(2.0)
    assert (ledger.total_s, ledger.elapsed_s) == (7.0, 9.0)


def test_every_phase_belongs_to_one_account():
    assert len({phase.position for phase in Phase}) == len(Phase)
    breakdown = Ledger(FakeClock()).breakdown()
    assert set(breakdown["submission"]) == {
        *("data_selection", "waiting_for_data", "update"),
        *("prepare_for_eval", "synchronize", "harness", "background"),
    }
    assert set(breakdown["logging"]) == {"measurements", "checkpoint"}
    assert set(breakdown["set_up"]) == {"start", "data", "model", "optimizer", "restore"}


def test_ledger_goes_on_from_that_of_a_checkpoint(clock):
    first = Ledger(clock)
    first.switch(Phase.UPDATE)
    clock.advance(5.0)
    first.switch(Phase.CHECKPOINT)
    clock.advance(100.0)  # between the attempts: on nobody's account
    second = Ledger(clock)
    clock.advance(2.0)
    second.charge()
    second.resume(first.breakdown())
    second.switch(Phase.UPDATE)
    clock.advance(3.0)
    second.charge()
    assert second.entries() == {"set_up": 2.0, "submission": 8.0, "evaluation": 0.0, "logging": 0.0}
    assert (second.total_s, second.attempt_s) == (10.0, 5.0)


def test_waiting_in_the_queue_is_told_apart(clock):
    def batches():
        while True:
            clock.advance(2.0)
            yield "batch"

    ledger = Ledger(clock)
    queue = TimedQueue(batches(), ledger)
    ledger.switch(Phase.DATA_SELECTION)
    clock.advance(1.0)
    assert next(queue) == "batch"
    clock.advance(1.0)
    ledger.charge()
    submission = ledger.breakdown()["submission"]
    assert (submission["data_selection"], submission["waiting_for_data"]) == (2.0, 2.0)


def test_queue_that_ends_leaves_the_phase_as_it_was(clock):
    ledger = Ledger(clock)
    ledger.switch(Phase.UPDATE)
    with pytest.raises(StopIteration):
        next(TimedQueue(iter(()), ledger))
    assert ledger.open is Phase.UPDATE


def test_threads_of_a_submission_draw_batches_without_touching_the_ledger(clock):
    ledger = Ledger(clock)
    ledger.switch(Phase.UPDATE)
    opened = []

    def batches():
        opened.append(ledger.open)
        yield 1

    queue = TimedQueue(batches(), ledger)
    thread = threading.Thread(target=lambda: next(queue))
    thread.start()
    thread.join()
    assert opened == [Phase.UPDATE]


def test_queue_passes_on_what_else_it_offers(clock):
    class Queue:
        def get_state(self):
            return 7

    assert TimedQueue(Queue(), Ledger(clock)).get_state() == 7
