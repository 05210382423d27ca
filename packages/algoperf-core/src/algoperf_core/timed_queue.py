"""The queue of batches as a submission sees it: what it waits there is on the ledger as waiting for data."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from algoperf_core.ledger import Account, Ledger, Phase


class TimedQueue(Iterator[Any]):
    """Hands out the batches of a queue; whatever else the queue offers is passed on.

    Args:
        queue: The workload's queue.
        ledger: Where the time goes.
        first_draw: Gives a context for drawing the first batch, with which a queue may start workers.
    """

    def __init__(
        self,
        queue: Iterator[Any],
        ledger: Ledger,
        first_draw: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._queue = queue
        self._first_draw = first_draw
        # Replaced after the first batch, so that no later one pays for it.
        self._draw: Callable[[], Any] = self._draw_first
        self._ledger = ledger
        self._owner = threading.get_ident()

    def __next__(self) -> Any:
        before = self._ledger.open
        # A submission may draw batches in a thread of its own; the ledger is the loop's.
        if before.account is not Account.SUBMISSION or threading.get_ident() != self._owner:
            return self._draw()
        self._ledger.switch(Phase.WAITING_FOR_DATA)
        try:
            return self._draw()
        finally:
            self._ledger.switch(before)

    def _draw_first(self) -> Any:
        with self._first_draw():
            batch = next(self._queue)
        self._draw = self._queue.__next__
        return batch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queue, name)
