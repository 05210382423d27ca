"""The battery as a whole: source and short runs, and one verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from algoperf_core.check.findings import Finding, in_order, of_grade
from algoperf_core.check.modules import SubmissionFiles, read_submission
from algoperf_core.check.rules import Grade
from algoperf_core.check.short_runs import CheckPlan, WorkloadRun, run_workloads
from algoperf_core.check.static import read_rules
from algoperf_core.registry import WORKLOADS, installed
from algoperf_core.sources import SubmissionSource, find_submission
from algoperf_core.spec import Framework
from algoperf_scoring import available_benchmarks, load_benchmark


@dataclass(frozen=True)
class Verdict:
    """What a check came to.

    Args:
        submission: Name of the submission.
        findings: Everything that was found, by file and line.
        runs: The short runs.
    """

    submission: str
    findings: tuple[Finding, ...]
    runs: tuple[WorkloadRun, ...] = ()

    @property
    def keeps_the_rules(self) -> bool:
        """Whether there is no error."""
        return not of_grade(self.findings, Grade.ERROR)

    def summary(self) -> str:
        """The verdict in one line."""
        counts = ", ".join(
            _counted(len(of_grade(self.findings, grade)), str(grade)) for grade in Grade
        )
        ran = [run.workload for run in self.runs if run.not_run is None]
        how = f"read and run on {', '.join(ran)}" if ran else "read, not run"
        verdict = "nothing breaks the rules" if self.keeps_the_rules else "breaks the rules"
        return f"{self.submission}: {verdict} ({counts}; {how})"

    def to_dict(self) -> dict[str, Any]:
        """All of it, as JSON-able data."""
        return {
            "submission": self.submission,
            "verdict": self.summary(),
            "keeps_the_rules": self.keeps_the_rules,
            "findings": [finding.to_dict() for finding in self.findings],
            "workloads": [
                {
                    "name": run.workload,
                    "not_run": run.not_run,
                    "steps": run.steps,
                    "evaluations": run.evaluations,
                }
                for run in self.runs
            ],
        }


def _counted(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}" + ("" if number == 1 else "s")


def check_submission(
    reference: str,
    *,
    framework: Framework | None = None,
    workloads: tuple[str, ...] = (),
    run: bool = True,
    steps: int = 20,
    data_dir: Path = Path(),
    search_space: Path | None = None,
    twice: bool = True,
    told: Callable[[str], None] = lambda line: None,
) -> Verdict:
    """Checks a submission against the rules.

    Args:
        reference: Installed name, folder or file.
        framework: The framework to run in; None for every one that it is written for.
        workloads: Workloads to run; empty for all that are installed and small.
        run: Whether to run it at all.
        steps: Steps of each run, at least 2.
        data_dir: Where prepared datasets are.
        search_space: Tuning search space; None takes the one beside the submission, if any.
        twice: Whether to run each workload twice, to see whether the runs agree.
        told: Called with a line before each run.

    Raises:
        AlgoperfError: The submission, a workload or the framework does not exist.
    """
    files = read_submission(reference)
    found = read_rules(files, known_workloads())
    runs: list[WorkloadRun] = []
    # What the harness could not call it need not run.
    callable_ = not any(finding.rule_id in ("api", "search-space") for finding in found)
    if run and callable_:
        source = find_submission(reference)
        for each in _frameworks(files, source, framework):
            told(f"{files.name}: training {steps} steps per workload in {each}")
            plan = CheckPlan(
                source=source,
                framework=each,
                workloads=workloads,
                steps=steps,
                data_dir=data_dir,
                search_space=search_space,
                twice=twice,
            )
            runs += run_workloads(plan)
    seen = [finding for each_run in runs for finding in each_run.findings]
    return Verdict(files.name, tuple(in_order([*found, *seen])), tuple(runs))


def _frameworks(
    files: SubmissionFiles, source: SubmissionSource, wanted: Framework | None
) -> tuple[Framework, ...]:
    if wanted is not None:
        return (source.choose_framework(wanted),)
    # A file that imports neither may leave that to a module beside it.
    one_file = len(set(source.files.values())) == 1
    if one_file and len(files.frameworks) == 1:
        return tuple(files.frameworks & source.files.keys())
    return tuple(source.files)


def known_workloads() -> set[str]:
    """Names of all workloads that are installed or that an installed benchmark defines."""
    defined = (load_benchmark(name).workloads for name in available_benchmarks())
    return set(installed(WORKLOADS)).union(*defined)
