"""The command `algoperf check`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from algoperf_core.errors import SubmissionError

if TYPE_CHECKING:
    from algoperf_core.check.findings import Finding
    from algoperf_core.check.verdict import Verdict

EXIT_BREAKS_RULES = 1
DEFAULT_STEPS = 20


def add_check_arguments(
    check: argparse.ArgumentParser, framework: Callable[[str], object], data_dir: Path
) -> None:
    """Adds the command's arguments.

    Args:
        check: Its parser.
        framework: Reads the name of a framework.
        data_dir: Where prepared datasets are by default.
    """
    add = check.add_argument
    add("submission", metavar="SUBMISSION", help="installed name, folder, or .py file")
    add("--framework", type=framework, metavar="jax|torch", help="default: all it is written for")
    add(
        "--workload",
        action="append",
        nargs="+",
        default=[],
        metavar="NAME",
        help="run these (default: every installed small workload)",
    )
    add(
        "--tuning-search-space",
        type=Path,
        metavar="FILE",
        help="default: the one beside the submission",
    )
    add("--static", action="store_true", help="read the source and run nothing")
    add("--steps", type=_steps, default=DEFAULT_STEPS, metavar="N", help="steps of a run (20)")
    add("--json", metavar="FILE|-", help="write the findings for machines; - for standard output")
    add("--data-dir", type=Path, default=data_dir, metavar="DIR", help="prepared datasets")
    check.set_defaults(command=run_check)


def _steps(text: str) -> int:
    if not text.isdecimal() or int(text) < 2:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 1")
    return int(text)


def run_check(options: argparse.Namespace) -> int:
    """Checks a submission, prints the verdict and returns the exit status.

    0: no errors; 1: errors; input that cannot be used raises an `AlgoperfError`, for status 2.
    """
    from algoperf_core.check.verdict import check_submission

    if options.static and options.workload:
        raise SubmissionError("--static runs nothing: leave out --workload, or --static")
    quiet = options.json == "-"
    verdict = check_submission(
        options.submission,
        framework=options.framework,
        workloads=tuple(name for names in options.workload for name in names),
        run=not options.static,
        steps=options.steps,
        data_dir=options.data_dir,
        search_space=options.tuning_search_space,
        told=lambda line: print(line, file=sys.stderr, flush=True),  # noqa: T201
    )
    text = json.dumps(verdict.to_dict(), indent=2)
    if options.json and not quiet:
        _write(Path(options.json), text)
    print(text if quiet else "\n".join(as_lines(verdict)))  # noqa: T201
    return 0 if verdict.keeps_the_rules else EXIT_BREAKS_RULES


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise SubmissionError(f"{path}: cannot write there: {error.strerror}") from None


def as_lines(verdict: Verdict) -> Iterator[str]:
    """A verdict for people: findings by grade, each with its line, its rule and what to do."""
    from algoperf_core.check.findings import of_grade
    from algoperf_core.check.rules import Grade

    for grade in Grade:
        findings = of_grade(verdict.findings, grade)
        if findings:
            yield f"{grade}s ({len(findings)})"
        for finding in findings:
            yield from _finding_lines(finding)
    yield verdict.summary()


def _finding_lines(finding: Finding) -> Iterator[str]:
    rule = finding.rule
    where = f"{_shown(finding.path)}:{finding.line}: " if finding.path else ""
    seen = f" (seen on {finding.workload})" if finding.workload else ""
    yield f"  {where}{rule.id}: {finding.detail}{seen}"
    if text := finding.text():
        yield f"      {text if len(text) <= 100 else text[:97] + '...'}"
    yield f"    rule: {rule.sentence} [{rule.source}]"
    yield f"    do:   {rule.remedy}"
    yield ""


def _shown(path: Path) -> str:
    """A path as short as it can be and still be opened from here."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
