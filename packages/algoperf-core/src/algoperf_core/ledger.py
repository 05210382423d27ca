"""The ledger of a trial: every moment belongs to exactly one account, so the accounts add up to wall-clock.

Only the submission account counts towards the budget and the score (Dahl et al. 2023, section 4.2).
Time comes from a monotonic clock that the caller injects.
"""

from __future__ import annotations

import enum
from collections.abc import Callable

Clock = Callable[[], float]


class Account(enum.StrEnum):
    """Who a stretch of time is charged to."""

    SET_UP = "set_up"
    SUBMISSION = "submission"
    EVALUATION = "evaluation"
    LOGGING = "logging"


class Ledger:
    """Charges time to the one account that is open.

    Args:
        now: Monotonic clock, in seconds.
    """

    def __init__(self, now: Clock) -> None:
        self._now = now
        self._charged_until = self._start = now()
        self._open = Account.SET_UP
        self._seconds = dict.fromkeys(Account, 0.0)

    def charge(self) -> None:
        """Charges the time since the last charge to the open account."""
        now = self._now()
        self._seconds[self._open] += now - self._charged_until
        self._charged_until = now

    def switch(self, account: Account) -> None:
        """Charges the open account up to now and opens another."""
        self.charge()
        self._open = account

    def seconds(self, account: Account) -> float:
        """Seconds charged to an account so far."""
        return self._seconds[account]

    @property
    def total_s(self) -> float:
        """Seconds from the start to the last charge: the sum of all accounts."""
        return self._charged_until - self._start

    def entries(self) -> dict[str, float]:
        """Seconds by account name."""
        return {str(account): seconds for account, seconds in self._seconds.items()}
