"""Every rule that needs no run: hostile files are caught on the marked lines, and nowhere else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from algoperf_core.check.modules import read_submission
from algoperf_core.check.static import read_rules

HERE = Path(__file__).parent
HELPERS = {"honest", "settings", "sizes"}
HOSTILE = sorted(p for p in (HERE / "hostile").glob("*.py") if p.stem not in HELPERS)
HARMLESS = sorted(p for p in (HERE / "harmless").glob("*.py") if p.stem not in HELPERS)
MARK = re.compile(r"# caught: ([\w\- ]+)$")


def marked(path):
    """What the comments of a file say: `(file, line, rule)`."""
    lines = path.read_text().splitlines()
    found = ((number, MARK.search(line)) for number, line in enumerate(lines, 1))
    return {(path.name, n, rule) for n, mark in found if mark for rule in mark[1].split()}


def caught(path):
    files = read_submission(str(path))
    findings = read_rules(files)
    return {(f.path.name, f.line, f.rule_id) for f in findings}, files.paths


@pytest.mark.parametrize("path", HOSTILE + HARMLESS, ids=lambda path: path.stem)
def test_what_is_marked_is_caught_and_nothing_else(path):
    found, paths = caught(path)
    expected = set().union(*map(marked, paths))
    assert sorted(found - expected) == []
    assert sorted(expected - found) == []
