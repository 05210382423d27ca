"""Errors meant for the user: the message alone says what is wrong and what to do."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from algoperf_scoring.findings import Finding


class AlgoperfError(ValueError):
    """Base of every error whose message is complete without a traceback.

    Command lines print the message to standard error and exit with status 2.
    """


class DefinitionError(AlgoperfError):
    """A benchmark definition that cannot be used; names the file and the field."""


class LogError(AlgoperfError):
    """A log tree or measurement file that cannot be read; names the file."""


class OutputError(AlgoperfError):
    """A result that cannot be written; names the folder."""


class RuleViolationError(AlgoperfError):
    """Results that break rules of the benchmark, refused by strict scoring.

    Attributes:
      violations: All of them.
    """

    def __init__(self, violations: "Sequence[Finding]") -> None:
        self.violations = tuple(violations)
        noun = "violation" if len(self.violations) == 1 else "violations"
        lines = "".join(f"\n  {finding.message}" for finding in self.violations)
        super().__init__(f"{len(self.violations)} {noun} of the benchmark's rules:{lines}")
