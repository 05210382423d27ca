"""Short runs of a submission on small workloads, each in a process of its own."""

from __future__ import annotations

import math
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path

from algoperf_core.check.findings import Finding
from algoperf_core.check.worker import RunReport, RunSpec, read_report
from algoperf_core.registry import WORKLOADS, installed, workload_provider
from algoperf_core.sources import SubmissionSource
from algoperf_core.spec import Framework
from algoperf_core.trial_spec import write_json
from algoperf_core.tuning import load_search_space
from algoperf_scoring import Benchmark, available_benchmarks, load_benchmark

# Larger workloads take too long for a check, unless somebody asks for them.
LARGEST_BUDGET_S = 600.0
LONGEST_RUN_S = 900.0
# Metrics of two runs with the same seed; on a GPU sums may be added up in another order.
AGREEMENT = 1e-3


@dataclass(frozen=True, kw_only=True)
class CheckPlan:
    """What to run.

    Args:
        source: The submission.
        framework: `jax` or `pytorch`.
        workloads: Workloads that were asked for; empty for all that are installed and small.
        steps: Number of steps of each run.
        data_dir: Where prepared datasets are.
        search_space: Tuning search space; None takes the one beside the submission, if any.
        twice: Whether to run each workload a second time, to see whether it agrees.
    """

    source: SubmissionSource
    framework: Framework
    workloads: tuple[str, ...] = ()
    steps: int = 20
    data_dir: Path = Path()
    search_space: Path | None = None
    twice: bool = True

    def point(self) -> dict[str, object] | None:
        """The first point of the search space; None without one, as in the self-tuning ruleset."""
        path = self.search_space or self.source.search_space
        if self.search_space is None and not path.exists():
            return None
        return load_search_space(path).points(1)[0]


@dataclass(frozen=True)
class WorkloadRun:
    """How the run on one workload went.

    Args:
        workload: Name of the workload.
        not_run: Why it did not run; None where it did.
        steps: Batches taken.
        evaluations: Number of evaluations.
        findings: What was seen.
    """

    workload: str
    not_run: str | None
    steps: int = 0
    evaluations: int = 0
    findings: tuple[Finding, ...] = field(default=())


def run_workloads(plan: CheckPlan) -> Iterator[WorkloadRun]:
    """Runs every workload of the plan, one after the other.

    Raises:
        AlgoperfError: A workload that was asked for is unknown, or the search space cannot be read.
    """
    for name in plan.workloads:
        workload_provider(name)
    large = [] if plan.workloads else [name for name in installed(WORKLOADS) if _is_large(name)]
    for name in plan.workloads or tuple(installed(WORKLOADS)):
        if name not in large:
            yield _run_workload(plan, name)
    yield from _left_out(large)


def _is_large(name: str) -> bool:
    benchmark = benchmark_with(name)
    return benchmark is not None and (
        (benchmark.workloads[name].budget_s or math.inf) > LARGEST_BUDGET_S
    )


def _left_out(names: Sequence[str]) -> Iterator[WorkloadRun]:
    """Workloads that nobody asked for, with one finding for all of them."""
    detail = f"not run because they are large: {', '.join(names)}"
    finding = Finding("not-run", None, 0, detail)
    for number, name in enumerate(names):
        yield WorkloadRun(name, "it is large", findings=() if number else (finding,))


def _run_workload(plan: CheckPlan, name: str) -> WorkloadRun:
    benchmark = benchmark_with(name)
    if benchmark is None:
        return _not_run(plan, name, "no installed benchmark sets its target and budget")
    spec = RunSpec(
        submission=_absolute(plan.source.reference),
        framework=plan.framework,
        workload=name,
        benchmark=benchmark.name,
        steps=plan.steps,
        point=plan.point(),
        data_dir=str(plan.data_dir.absolute()),
        chosen=bool(plan.workloads),
    )
    report = _in_a_process(spec)
    if isinstance(report, str):
        finding = Finding("run-failed", plan.source.files[plan.framework], 0, report, name)
        return WorkloadRun(name, None, findings=(finding,))
    if report.not_run is not None:
        return _not_run(plan, name, report.not_run)
    findings = report.as_findings(name)
    failed = any(finding.rule_id in ("run-failed", "api") for finding in findings)
    if plan.twice and not failed:
        findings += _disagreement(plan, name, report, _in_a_process(spec))
    return WorkloadRun(name, None, report.steps, len(report.evaluations), tuple(findings))


def _not_run(plan: CheckPlan, name: str, reason: str) -> WorkloadRun:
    finding = Finding("not-run", None, 0, f"{name} was not run: {reason}", name)
    return WorkloadRun(name, reason, findings=(finding,))


def _absolute(reference: str) -> str:
    path = Path(reference)
    return str(path.absolute()) if path.exists() else reference


@cache
def benchmark_with(workload: str) -> Benchmark | None:
    """The first installed benchmark that defines a workload."""
    for name in available_benchmarks():
        benchmark = load_benchmark(name)
        if workload in benchmark.workloads:
            return benchmark
    return None


def _in_a_process(spec: RunSpec) -> RunReport | str:
    """The report of a run, or how its process ended without one."""
    with tempfile.TemporaryDirectory(prefix="algoperf-check-") as folder:
        spec_path, report_path = Path(folder) / "spec.json", Path(folder) / "report.json"
        write_json(spec_path, asdict(spec))
        command = [sys.executable, "-m", "algoperf_core.check.worker", spec_path, report_path]
        try:
            ended = subprocess.run(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=LONGEST_RUN_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"the run did not end within {LONGEST_RUN_S:.0f} s"
        report = read_report(report_path)
    if report is not None:
        return report
    said = (ended.stderr.strip().splitlines() or ["it said nothing"])[-1]
    return f"the process ended with status {ended.returncode}: {said}"


def _disagreement(
    plan: CheckPlan, name: str, first: RunReport, second: RunReport | str
) -> list[Finding]:
    entry = plan.source.files[plan.framework]
    if isinstance(second, str):
        return [Finding("not-deterministic", entry, 0, f"the second run differs: {second}", name)]
    if first.digest == second.digest or _agree(first.evaluations, second.evaluations):
        return []
    detail = "two runs with the same seed end with different parameters and metrics"
    return [Finding("not-deterministic", entry, 0, detail, name)]


def _agree(first: Sequence[dict[str, float]], second: Sequence[dict[str, float]]) -> bool:
    times = {"score", "total_duration"}
    return len(first) == len(second) and all(
        math.isclose(a[key], b.get(key, math.nan), rel_tol=AGREEMENT, abs_tol=AGREEMENT)
        or (math.isnan(a[key]) and math.isnan(b.get(key, 0.0)))
        for a, b in zip(first, second, strict=True)
        for key in a
        if key not in times
    )
