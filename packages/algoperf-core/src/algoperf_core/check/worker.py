"""A short run in a process of its own: `python -m algoperf_core.check.worker SPEC REPORT`.

Reads what to run from a JSON file and writes what was seen to another. Whatever happens, the report is
written; without it the process was killed.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from algoperf_core.backends import load_backend
from algoperf_core.background import child_processes
from algoperf_core.check.audit import Audit
from algoperf_core.check.findings import Finding
from algoperf_core.check.frozen_names import names_of
from algoperf_core.check.modules import read_submission
from algoperf_core.check.observations import Observations
from algoperf_core.check.watched_run import RunSettings, WatchedRun
from algoperf_core.errors import SubmissionError
from algoperf_core.registry import workload_provider
from algoperf_core.sources import find_submission, load
from algoperf_core.spec import Framework, Workload
from algoperf_core.submission import Submission
from algoperf_core.trial_spec import write_json
from algoperf_core.tuning import hyperparameters
from algoperf_scoring import load_benchmark


@dataclass(frozen=True, kw_only=True)
class RunSpec:
    """What a process shall run.

    Args:
        submission: What the user named.
        framework: `jax` or `pytorch`.
        workload: Name of the workload.
        benchmark: A benchmark that defines it: installed name or file.
        steps: Number of steps.
        point: Hyperparameters; None in the self-tuning ruleset.
        data_dir: Where prepared datasets are.
        chosen: Whether the user asked for this workload by name.
    """

    submission: str
    framework: Framework
    workload: str
    benchmark: str
    steps: int
    point: dict[str, Any] | None
    data_dir: str
    chosen: bool = False


@dataclass(kw_only=True)
class RunReport:
    """What was seen.

    Args:
        not_run: Why it could not run; None where it ran.
        steps: Batches taken.
        evaluations: Metrics of each evaluation.
        digest: Digest of the last parameters.
        findings: As `(rule, file, line, detail)`.
    """

    not_run: str | None = None
    steps: int = 0
    evaluations: list[dict[str, float]] = field(default_factory=list)
    digest: str | None = None
    findings: list[tuple[str, str | None, int, str]] = field(default_factory=list)

    def as_findings(self, workload: str) -> list[Finding]:
        """The findings as such."""
        return [
            Finding(rule_id, Path(path) if path else None, line, detail, workload)
            for rule_id, path, line, detail in self.findings
        ]


def read_report(path: Path) -> RunReport | None:
    """The report of a process; None where it wrote none."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return RunReport(**data)


class _Reporting:
    """Writes the report however the run ends."""

    def __init__(self, path: Path, report: RunReport, observations: Observations) -> None:
        self._path = path
        self._report = report
        self._observations = observations
        self.run: WatchedRun | None = None
        self.importing = False
        self.audit: Audit | None = None

    def __enter__(self) -> _Reporting:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if self.audit is not None:
            self.audit.remove()
        if isinstance(error, KeyboardInterrupt):
            return False
        if error is not None:
            self._note_error(error, trace)
        self._report.findings = [
            (f.rule_id, None if f.path is None else str(f.path), f.line, f.detail)
            for f in self._observations.findings
        ]
        write_json(self._path, asdict(self._report))
        return True

    def _note_error(self, error: BaseException, trace: TracebackType | None) -> None:
        message = "".join(traceback.format_exception_only(error)).strip().splitlines()[-1]
        line = self._observations.line_of_error(trace)
        involved = self.importing or (self.run is not None and self.run.submission_involved)
        if isinstance(error, SubmissionError) and line is None:
            self._observations.add("api", str(error))
        elif line is not None or involved:
            self._observations.add("run-failed", f"the run ended with {message}", line)
        else:
            self._report.not_run = message


def run(spec: RunSpec, report_path: Path) -> None:
    """Runs what a specification says and writes the report."""
    files = read_submission(spec.submission)
    source = find_submission(spec.submission)
    entry = source.files[spec.framework]
    observations = Observations(files.paths, entry, spec.workload)
    report = RunReport()
    with _Reporting(report_path, report, observations) as reporting:
        backend = load_backend(spec.framework)
        goal = load_benchmark(spec.benchmark).workload(spec.workload)
        workload = workload_provider(spec.workload).create(spec.framework, goal)
        audit = reporting.audit = Audit(observations, files.folder)
        audit.install()
        watched = WatchedRun(workload, backend, observations, names_of(spec.framework), audit)
        reporting.importing = True
        submission = watched.load(lambda: load(source, spec.framework))
        reporting.importing = False
        if reason := _no_batch_size(spec, submission, workload):
            report.not_run = reason
            return
        reporting.run = watched
        point = None if spec.point is None else hyperparameters(spec.point)
        watched.train(
            submission, RunSettings(steps=spec.steps, hyperparameters=point, data_dir=spec.data_dir)
        )
        report.steps = watched.queue.taken if watched.queue is not None else 0
        report.evaluations = watched.measured.evaluations
        report.digest = watched.final_digest


def _no_batch_size(spec: RunSpec, submission: Submission, workload: Workload) -> str | None:
    """Why a submission is not written for a workload; None where it is."""
    if spec.chosen or workload.suggested_batch_size is not None:
        return None
    names = (workload.name, workload.goal.variant_of or workload.name)
    for name in names:
        try:
            submission.get_batch_size(name)
        except (ValueError, KeyError, NotImplementedError):
            continue
        return None
    return f"its get_batch_size knows no {workload.name}"


def main() -> None:
    """Command line of the process, which ends whatever the submission left running."""
    spec = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    run(RunSpec(**spec), Path(sys.argv[2]))
    for process in child_processes():
        process.kill()
    # Threads and exit handlers of a submission have no say any more.
    os._exit(0)


if __name__ == "__main__":
    main()
