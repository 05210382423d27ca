"""Worker processes of the input pipeline are the harness's, however busy they are."""

import time

import numpy as np

from algoperf_core.ledger import Ledger, Phase
from algoperf_core.paused_work import PausedWork
from algoperf_core.timed_queue import TimedQueue
from algoperf_workloads.pipeline import training_queue


def busy_batches():
    """Batches that take a while to compute; of a class that travels to other processes by value."""

    class BusyBatches:
        def __len__(self):
            return 10_000

        def __getitem__(self, number):
            end = time.process_time() + 0.02
            while time.process_time() < end:
                pass
            return np.full(8, number)

    return BusyBatches()


def test_batches_that_workers_prepare_during_a_pause_are_not_charged():
    work, ledger = PausedWork(), Ledger(time.perf_counter)
    work.to_submission()
    batches = training_queue(busy_batches(), lambda batch: batch, workers=2)
    queue = TimedQueue(batches, ledger, work.harness_work)
    ledger.switch(Phase.DATA_SELECTION)
    before = int(next(queue)[0])
    for _ in range(3):
        ledger.switch(Phase.EVALUATION)
        with work.pause(ledger):
            time.sleep(0.3)
            assert work.charge(ledger) == 0.0
        ledger.switch(Phase.DATA_SELECTION)
        assert int(next(queue)[0]) > before
    assert work.culprits == ()
    assert ledger.phase_s(Phase.BACKGROUND) == 0.0
