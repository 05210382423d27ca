"""Findings: what a check found, where, and the rule that it rests on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from algoperf_core.check.rules import RULES, Grade, Rule


@dataclass(frozen=True)
class Finding:
    """Something that a check found.

    Args:
        rule_id: The rule that it rests on.
        path: File; None where it concerns no file.
        line: Line in the file, from 1; 0 where it concerns the whole file.
        detail: What was found, as a clause.
        workload: The workload of the short run that showed it; None for what was read in the source.
    """

    rule_id: str
    path: Path | None
    line: int
    detail: str
    workload: str | None = None

    @property
    def rule(self) -> Rule:
        """The rule."""
        return RULES[self.rule_id]

    @property
    def grade(self) -> Grade:
        """How grave it is."""
        return self.rule.grade

    def text(self) -> str:
        """The line of the file, without its indentation; empty where there is none."""
        if self.path is None or self.line < 1 or not self.path.is_file():
            return ""
        lines = self.path.read_text(encoding="utf-8", errors="replace").splitlines()
        return lines[self.line - 1].strip() if self.line <= len(lines) else ""

    def to_dict(self) -> dict[str, Any]:
        """All about it, as JSON-able data."""
        return {
            "rule": self.rule_id,
            "grade": str(self.grade),
            "file": None if self.path is None else str(self.path),
            "line": self.line,
            "text": self.text(),
            "detail": self.detail,
            "workload": self.workload,
            "sentence": self.rule.sentence,
            "source": self.rule.source,
            "remedy": self.rule.remedy,
        }


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Findings by file and line, one per rule and line.

    A line that breaks the same rule on several workloads is one finding; so is a line that was read and
    seen to run.
    """
    first: dict[tuple[str, Path | None, int, str], Finding] = {}
    for finding in findings:
        # Without a line, only the words tell two findings apart.
        words = "" if finding.line else finding.detail
        key = (finding.rule_id, finding.path, finding.line, words)
        known = first.setdefault(key, finding)
        if known.workload != finding.workload:
            first[key] = replace(known, workload=known.workload and None)
    return sorted(first.values(), key=lambda finding: (str(finding.path or ""), finding.line))


def of_grade(findings: Iterable[Finding], grade: Grade) -> list[Finding]:
    """The findings of one grade."""
    return [finding for finding in findings if finding.grade is grade]
