"""The ledger of a trial: every moment belongs to one account and one phase, so all add up to wall-clock.

Only the submission account counts towards the budget and the score (Dahl et al. 2023, section 4.2).
Time comes from a monotonic clock that the caller injects. The ledger of a trial that continues from a
checkpoint starts from that of the checkpoint.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping

Clock = Callable[[], float]


class Account(enum.StrEnum):
    """Who a stretch of time is charged to."""

    SET_UP = "set_up"
    SUBMISSION = "submission"
    EVALUATION = "evaluation"
    LOGGING = "logging"


class Phase(enum.Enum):
    """What an account's time went into; the value is the account and the name of the phase."""

    START = (Account.SET_UP, "start")
    DATA = (Account.SET_UP, "data")
    MODEL = (Account.SET_UP, "model")
    OPTIMIZER = (Account.SET_UP, "optimizer")
    RESTORE = (Account.SET_UP, "restore")
    DATA_SELECTION = (Account.SUBMISSION, "data_selection")
    WAITING_FOR_DATA = (Account.SUBMISSION, "waiting_for_data")
    UPDATE = (Account.SUBMISSION, "update")
    PREPARE_FOR_EVAL = (Account.SUBMISSION, "prepare_for_eval")
    SYNCHRONIZE = (Account.SUBMISSION, "synchronize")
    HARNESS = (Account.SUBMISSION, "harness")
    BACKGROUND = (Account.SUBMISSION, "background")
    EVALUATION = (Account.EVALUATION, "evaluation")
    MEASUREMENTS = (Account.LOGGING, "measurements")
    CHECKPOINT = (Account.LOGGING, "checkpoint")

    def __init__(self, account: Account, label: str) -> None:
        self.account = account
        self.label = label
        self.position = len(type(self).__members__)


# The phase of time that is charged to an account without saying what it went into.
_UNNAMED = {
    Account.SET_UP: Phase.START,
    Account.SUBMISSION: Phase.HARNESS,
    Account.EVALUATION: Phase.EVALUATION,
    Account.LOGGING: Phase.MEASUREMENTS,
}
_PHASES = tuple(Phase)

Breakdown = dict[str, dict[str, float]]


class Ledger:
    """Charges time to the one phase that is open, and so to its account.

    Args:
        now: Monotonic clock, in seconds.
    """

    def __init__(self, now: Clock) -> None:
        self._now = now
        self._charged_until = self._start = now()
        self._open = Phase.START
        self._seconds = [0.0] * len(_PHASES)
        self._earlier_s = 0.0

    @property
    def open(self) -> Phase:
        """The phase that time is charged to now."""
        return self._open

    def charge(self) -> None:
        """Charges the time since the last charge to the open phase."""
        now = self._now()
        self._seconds[self._open.position] += now - self._charged_until
        self._charged_until = now

    def switch(self, to: Account | Phase) -> None:
        """Charges the open phase up to now and opens another."""
        now = self._now()
        self._seconds[self._open.position] += now - self._charged_until
        self._charged_until = now
        self._open = to if isinstance(to, Phase) else _UNNAMED[to]

    def move(self, seconds: float, source: Phase, to: Phase) -> float:
        """Takes time from one phase and gives it to another; what all add up to stays.

        Args:
            seconds: How much, at least 0.
            source: The phase that was charged.
            to: The phase that should have been.

        Returns:
            Seconds that were moved: never more than the phase was charged.
        """
        moved = min(max(seconds, 0.0), self._seconds[source.position])
        self._seconds[source.position] -= moved
        self._seconds[to.position] += moved
        return moved

    def phase_s(self, phase: Phase) -> float:
        """Seconds charged to a phase so far."""
        return self._seconds[phase.position]

    def seconds(self, account: Account) -> float:
        """Seconds charged to an account so far."""
        return sum(self._seconds[_SPANS[account]])

    @property
    def total_s(self) -> float:
        """Seconds that were charged so far: the sum of all accounts."""
        return self.attempt_s + self._earlier_s

    @property
    def elapsed_s(self) -> float:
        """Seconds until now, also those of the checkpoint that a trial continued from."""
        return self._now() - self._start + self._earlier_s

    @property
    def attempt_s(self) -> float:
        """Seconds that were charged in this process, without those of a checkpoint."""
        return self._charged_until - self._start

    def entries(self) -> dict[str, float]:
        """Seconds by account name."""
        return {str(account): self.seconds(account) for account in Account}

    def breakdown(self) -> Breakdown:
        """Seconds by account name and phase name; the phases of an account add up to it."""
        phases: Breakdown = {str(account): {} for account in Account}
        for phase in _PHASES:
            phases[phase.account][phase.label] = self._seconds[phase.position]
        return phases

    def resume(self, earlier: Mapping[str, Mapping[str, float]]) -> None:
        """Adds the breakdown of the checkpoint that a trial continues from."""
        for phase in _PHASES:
            seconds = earlier.get(phase.account, {}).get(phase.label, 0.0)
            self._seconds[phase.position] += seconds
            self._earlier_s += seconds


def _span(account: Account) -> slice:
    positions = [phase.position for phase in _PHASES if phase.account is account]
    return slice(positions[0], positions[-1] + 1)


# The phases of an account stand beside each other: adding them up is part of every step.
_SPANS = {account: _span(account) for account in Account}
