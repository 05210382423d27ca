"""Budgets that fit a machine: as much time as a reference algorithm needs there for the step hint.

Published budgets are seconds on one kind of hardware. On another machine they would hold fewer steps, or
more, than whoever set them meant; a benchmark that is run on any laptop has to say seconds of that laptop.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from algoperf_core.errors import CampaignError
from algoperf_core.probing import Probed
from algoperf_scoring import Benchmark, BenchmarkWorkload

_DIGITS = 3


@dataclass(frozen=True, kw_only=True)
class CalibratedWorkload:
    """A workload's budget before and after.

    Args:
        name: Name of the workload.
        compilation_s: Seconds that the reference algorithm takes to compile.
        step_s: Seconds of one of its steps.
        step_hint: Number of steps that the budget shall hold.
        old_budget_s: Budget that the benchmark sets, in seconds of submission time.
        old_eval_period_s: Submission time between two evaluations; None where the benchmark sets none.
    """

    name: str
    compilation_s: float
    step_s: float
    step_hint: int
    old_budget_s: float
    old_eval_period_s: float | None

    @property
    def budget_s(self) -> float:
        """Seconds that compilation and `step_hint` steps take, rounded up to three digits."""
        return _rounded_up(self.compilation_s + self.step_hint * self.step_s)

    @property
    def factor(self) -> float:
        """The new budget, relative to the old one."""
        return self.budget_s / self.old_budget_s

    @property
    def eval_period_s(self) -> float | None:
        """The evaluation period, in proportion, so that as many evaluations fit into the budget."""
        if self.old_eval_period_s is None:
            return None
        return _rounded_up(self.old_eval_period_s * self.factor)


def _rounded_up(seconds: float) -> float:
    unit = 10.0 ** (math.floor(math.log10(seconds)) - _DIGITS + 1)
    # Rounding away the noise first: 3.0000000000000004 units are 3.
    return round(math.ceil(round(seconds / unit, 6)) * unit, 12)


def calibrated_workloads(
    probed: Sequence[Probed], benchmark: Benchmark
) -> tuple[CalibratedWorkload, ...]:
    """Turns measurements of one reference algorithm into budgets.

    Args:
        probed: A measurement of every workload to calibrate.
        benchmark: The benchmark that they belong to.

    Raises:
        CampaignError: A workload could not be measured, or has no budget or no step hint.
    """
    return tuple(_calibrated(probe, benchmark.workload(probe.workload)) for probe in probed)


def _calibrated(probe: Probed, workload: BenchmarkWorkload) -> CalibratedWorkload:
    found = probe.measurement
    if found.status != "measured" or found.step_s is None:
        raise CampaignError(
            f"{probe.workload} could not be measured with {probe.submission}, so its budget cannot be "
            f"calibrated: {found.message}; mend that, or leave the workload out with --workload"
        )
    if workload.budget_s is None or workload.step_hint is None:
        raise CampaignError(
            f"workload {workload.name!r}: the benchmark sets no "
            f"{'budget_s' if workload.budget_s is None else 'step_hint'}, which calibration starts from; "
            "add it to the definition"
        )
    return CalibratedWorkload(
        name=workload.name,
        compilation_s=found.compilation_s or 0.0,
        step_s=found.step_s,
        step_hint=workload.step_hint,
        old_budget_s=workload.budget_s,
        old_eval_period_s=workload.eval_period_s,
    )


def calibrated_benchmark(
    benchmark: Benchmark, calibrated: Sequence[CalibratedWorkload]
) -> Benchmark:
    """The same benchmark with budgets and evaluation periods of this machine.

    It keeps its name: what it asks is unchanged. Workloads that are not in `calibrated` stay as they are.
    """
    changed = {
        found.name: replace(
            benchmark.workload(found.name),
            budget_s=found.budget_s,
            eval_period_s=found.eval_period_s,
        )
        for found in calibrated
    }
    return replace(benchmark, workloads={**benchmark.workloads, **changed})


def calibrated_document(
    benchmark: Benchmark, calibrated: Sequence[CalibratedWorkload], facts: Mapping[str, str]
) -> str:
    """The calibrated definition as TOML, headed by comments that say what it rests on.

    Args:
        benchmark: The benchmark before calibration.
        calibrated: Its workloads.
        facts: What to say of the machine and the reference algorithm, one line each.
    """
    lines = [
        f"{benchmark.name} with the budgets of this machine, as `algoperf calibrate` found them:"
    ]
    lines += [f"{name}: {value}" for name, value in facts.items()]
    lines += [
        f"{found.name}: {found.compilation_s:.3g} s to compile + {found.step_hint} steps of "
        f"{found.step_s:.3g} s; the budget was {found.old_budget_s:g} s"
        for found in calibrated
    ]
    comments = "".join(f"# {' '.join(line.split())}\n" for line in lines)
    return f"{comments}\n{calibrated_benchmark(benchmark, calibrated).to_toml()}"
