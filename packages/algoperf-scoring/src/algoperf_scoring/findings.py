"""Findings: what was left out, looked odd or broke a rule while reading and scoring.

Every exclusion is a finding. Many findings of a kind are told in one line.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, NamedTuple

from algoperf_scoring.text_tables import printable

Severity = Literal["note", "warning", "violation"]


class Kind(NamedTuple):
    """A kind of finding.

    Attributes:
      severity: ``"note"``: nothing is wrong; ``"warning"``: something is, or something was left
        out; ``"violation"``: a rule of the benchmark is broken, which strict scoring refuses.
      one: What a single finding says.
      many: The same of several, to follow their number.
    """

    severity: Severity
    one: str
    many: str


_KINDS: dict[str, Kind] = {
    "no_measurements_file": Kind(
        "warning",
        "trial without eval_measurements.csv",
        "trials without eval_measurements.csv",
    ),
    "unscored": Kind(
        "warning",
        "trial marked as unscored, for example profiled, left out",
        "trials marked as unscored, for example profiled, left out",
    ),
    "no_header": Kind(
        "warning",
        "trial whose eval_measurements.csv has no complete header",
        "trials whose eval_measurements.csv has no complete header",
    ),
    "cut_row": Kind(
        "warning", "incomplete last row left out", "files whose incomplete last row was left out"
    ),
    "no_rows": Kind("warning", "trial without evaluations", "trials without evaluations"),
    "one_row": Kind("note", "trial with a single evaluation", "trials with a single evaluation"),
    "missing_values": Kind(
        "warning",
        "trial with missing values of the target metric",
        "trials with missing values of the target metric",
    ),
    "time_order": Kind(
        "warning", "trial whose time runs backwards", "trials whose time runs backwards"
    ),
    "over_budget": Kind(
        "warning",
        "trial evaluated after its budget was used up",
        "trials evaluated after their budget was used up",
    ),
    "reached_after_budget": Kind(
        "violation",
        "trial that met the target after its budget was used up",
        "trials that met the target after their budget was used up",
    ),
    "other_target": Kind(
        "violation",
        "trial that was run for another target",
        "trials that were run for another target",
    ),
    "other_budget": Kind(
        "violation",
        "trial that was run with another budget",
        "trials that were run with another budget",
    ),
    "other_eval_period": Kind(
        "warning",
        "trial evaluated at another period",
        "trials evaluated at another period",
    ),
    "unreadable_metadata": Kind(
        "warning", "metadata that cannot be read", "metadata files that cannot be read"
    ),
    "symbolic_link": Kind("warning", "symbolic link followed", "symbolic links followed"),
    "same_trial": Kind(
        "warning",
        "trial folder ignored because another has its number",
        "trial folders ignored because others have their number",
    ),
    "no_trial": Kind(
        "note",
        "folder beside trials that is none ignored",
        "folders beside trials that are none ignored",
    ),
    "stray_trial": Kind(
        "warning",
        "trial folder outside a workload folder ignored",
        "trial folders outside a workload folder ignored",
    ),
    "no_trials": Kind("note", "folder without trials ignored", "folders without trials ignored"),
    "not_scored": Kind(
        "note",
        "workload ignored because the benchmark does not score it",
        "workloads ignored because the benchmark does not score them",
    ),
    "time_stamped": Kind(
        "note",
        "time-stamped folder counted to its submission",
        "time-stamped folders counted to their submissions",
    ),
    "workload_missing": Kind(
        "violation",
        "scored workload without measurements",
        "scored workloads without measurements",
    ),
    "study_count": Kind(
        "violation",
        "unexpected number of studies",
        "workloads with an unexpected number of studies",
    ),
    "trial_count": Kind(
        "violation",
        "unexpected number of trials in a study",
        "studies with an unexpected number of trials",
    ),
    "suspicious_time": Kind(
        "warning", "time to target to be reviewed", "times to target to be reviewed"
    ),
}
KINDS: Mapping[str, Kind] = MappingProxyType(_KINDS)
"""Every kind of finding by its name."""


@dataclass(frozen=True)
class Finding:
    """One exclusion, oddity or violation.

    Attributes:
      kind: Its name in `KINDS`.
      submission: Whose it is.
      workload: On which workload; empty if on none.
      place: Where it is, as in a path from the folder of submissions.
      detail: What was found, in words; may be empty.
    """

    kind: str
    submission: str
    workload: str
    place: str
    detail: str = ""

    @property
    def severity(self) -> Severity:
        """How bad it is."""
        return KINDS[self.kind].severity

    @property
    def message(self) -> str:
        """The finding in one line."""
        detail = f" ({self.detail})" if self.detail else ""
        return printable(f"{KINDS[self.kind].one}: {self.place}{detail}")


def summarise(findings: Iterable[Finding]) -> tuple[str, ...]:
    """Returns one line per kind of finding, violations first, then in order of appearance.

    A kind that occurs once keeps its place and detail; of more, the line says how many each
    submission has.
    """
    by_kind: dict[str, list[Finding]] = {}
    for finding in findings:
        by_kind.setdefault(finding.kind, []).append(finding)
    order = ("violation", "warning", "note")
    kinds = sorted(by_kind, key=lambda kind: order.index(KINDS[kind].severity))
    return tuple(_summary(kind, by_kind[kind]) for kind in kinds)


def _summary(kind: str, findings: list[Finding]) -> str:
    if len(findings) == 1:
        return findings[0].message
    counts = Counter(finding.submission for finding in findings)
    listed = ", ".join(f"{name} {count}" for name, count in counts.items())
    return f"{len(findings)} {KINDS[kind].many}: {listed}"
