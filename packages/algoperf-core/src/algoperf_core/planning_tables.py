"""What `algoperf memory`, `estimate` and `calibrate` print: tables for people, JSON for machines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from algoperf_core.calibration import CalibratedWorkload
from algoperf_core.estimate import (
    KEPT_CHECKPOINTS,
    CampaignEstimate,
    TrialEstimate,
    hours,
    readable_time,
)
from algoperf_core.memory import available_host_bytes, host_bytes, readable
from algoperf_core.probing import Probed


def _table(*heads: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for number, head in enumerate(heads):
        table.add_column(head, justify="left" if number < 3 else "right", no_wrap=True)
    return table


def memory_table(probed: Sequence[Probed]) -> Table:
    """Peak memory, a row for each submission and workload."""
    table = _table(
        "workload",
        "submission",
        "result",
        "batch",
        "eval",
        "parameters",
        "optimizer",
        "host peak",
        "device peak",
        "of",
    )
    for probe in probed:
        found = probe.measurement
        table.add_row(
            probe.workload,
            probe.submission,
            "ok" if found.status == "measured" else found.status.replace("_", " "),
            _number(found.batch_size),
            _number(found.eval_batch_size),
            readable(found.parameter_bytes),
            readable(found.optimizer_bytes),
            readable(found.host_peak),
            readable(found.device_peak),
            readable(found.device_bytes),
        )
    return table


def _number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def troubles(probed: Iterable[Probed]) -> Iterator[str]:
    """What could not be measured, and why, a line for each."""
    for probe in probed:
        found = probe.measurement
        if found.status == "measured":
            continue
        what = f"{probe.workload} ({probe.submission}): {found.status.replace('_', ' ')}"
        yield (
            f"{what}: {probe.remedy}. {found.message}"
            if probe.remedy
            else f"{what}: {found.message}"
        )


def memory_json(probed: Sequence[Probed]) -> dict[str, Any]:
    """The same as data: `machine`, and `workloads`, an entry for each submission and workload."""
    return {"machine": {"host_bytes": host_bytes()}, "workloads": [_probe_json(p) for p in probed]}


def _probe_json(probe: Probed) -> dict[str, Any]:
    names = {
        "submission": probe.submission,
        "workload": probe.workload,
        "framework": probe.framework,
    }
    return names | asdict(probe.measurement) | {"remedy": probe.remedy}


def time_table(estimate: CampaignEstimate) -> Table:
    """What a trial takes at most, a row for each submission and workload."""
    table = _table(
        "workload",
        "submission",
        "compile",
        "step",
        "evaluation",
        "budget",
        "steps in it",
        "of hint",
        "evaluations",
        "trial at most",
    )
    for trial in estimate.trials:
        found = trial.measurement
        table.add_row(
            trial.workload,
            trial.submission,
            readable_time(found.compilation_s),
            readable_time(found.step_s),
            readable_time(found.evaluation_s) + ("" if found.evaluation_compiled else "*"),
            readable_time(trial.budget_s),
            f"{trial.budget_steps:,}",
            "-" if trial.horizon is None else f"{trial.horizon:.0%}",
            f"{trial.evaluations:,}",
            readable_time(trial.total_s),
        )
    return table


def size_table(estimate: CampaignEstimate) -> Table:
    """What a trial needs of memory and disk, a row for each submission and workload."""
    table = _table(
        "workload",
        "submission",
        "devices",
        "batch",
        "parameters",
        "optimizer",
        "host peak",
        "device peak",
        "disk",
    )
    for trial in estimate.trials:
        found = trial.measurement
        table.add_row(
            trial.workload,
            trial.submission,
            f"{found.device_count} x {found.device}",
            _number(found.batch_size),
            readable(found.parameter_bytes),
            readable(found.optimizer_bytes),
            readable(found.host_peak),
            readable(found.device_peak),
            readable(trial.disk_bytes),
        )
    return table


def estimate_notes(estimate: CampaignEstimate) -> Iterator[str]:
    """Totals, warnings, and what was measured and what assumed, line by line."""
    scale = estimate.scale
    yield ""
    if not estimate.trials:
        yield "nothing could be measured, so nothing is estimated"
        return
    yield (
        f"one study, {scale.trials} trials on each workload: {readable_time(estimate.study_s)} of trials "
        "one after another"
    )
    side = "one at a time" if scale.jobs == 1 else f"{scale.jobs} at a time"
    yield (
        f"campaign, {scale.studies} studies, {estimate.trial_count:,} trials, {side}: at most "
        f"{readable_time(estimate.total_s)}, {readable(estimate.disk_bytes)} on disk, "
        f"{readable(estimate.host_peak_bytes)} of host memory"
        + (
            f", {readable(estimate.device_peak_bytes)} on a device"
            if estimate.device_peak_bytes
            else ""
        )
    )
    yield from _warnings(estimate)
    yield from _assumptions(estimate)


def _warnings(estimate: CampaignEstimate) -> Iterator[str]:
    if estimate.host_peak_bytes > available_host_bytes():
        yield (
            f"warning: {readable(available_host_bytes())} of host memory are free now; run fewer trials at "
            "a time (--jobs)"
        )
    devices = [
        trial.measurement.device_bytes
        for trial in estimate.trials
        if trial.measurement.device_bytes
    ]
    if devices and estimate.device_peak_bytes > min(devices):
        yield (
            f"warning: a device has {readable(min(devices))}; run fewer trials at a time (--jobs)"
        )
    for trial in estimate.trials:
        if trial.horizon is not None and trial.horizon < 0.5:
            yield (
                f"warning: {trial.workload} ({trial.submission}): only {trial.horizon:.0%} of the "
                f"{trial.step_hint:,} steps that the benchmark plans for fit into the budget on this machine"
            )
    if estimate.unmeasured:
        yield f"warning: {len(estimate.unmeasured)} workloads were not measured and are in no sum"


def _assumptions(estimate: CampaignEstimate) -> Iterator[str]:
    steps = {trial.measurement.steps for trial in estimate.trials}
    yield ""
    yield (
        f"measured: seconds per step over {' or '.join(map(str, sorted(steps))) or 'no'} steps after "
        "compilation, at the point of each submission's first trial; seconds of an evaluation; set-up; "
        "peak memory; sizes of parameters and optimizer state"
    )
    yield (
        "assumed: every trial uses its whole budget (one that meets its targets ends earlier); an "
        "evaluation after the first step and then each evaluation period, not charged to the budget; "
        f"{KEPT_CHECKPOINTS} checkpoints of parameters and optimizer state kept per trial"
    )
    if any(not trial.measurement.evaluation_compiled for trial in estimate.trials):
        yield "* compilation included: the evaluation took too long to repeat it"


def estimate_json(estimate: CampaignEstimate, benchmark: str) -> dict[str, Any]:
    """The same as data: `trials`, `unmeasured`, and `campaign` with the totals."""
    return {
        "benchmark": benchmark,
        "machine": {"host_bytes": host_bytes()},
        "trials": [_trial_json(trial) for trial in estimate.trials],
        "unmeasured": [_probe_json(probe) for probe in estimate.unmeasured],
        "campaign": asdict(estimate.scale)
        | {
            "trial_count": estimate.trial_count,
            "study_hours": hours(estimate.study_s),
            "machine_hours": hours(estimate.machine_s),
            "total_hours": hours(estimate.total_s),
            "disk_bytes": estimate.disk_bytes,
            "host_peak_bytes": estimate.host_peak_bytes,
            "device_peak_bytes": estimate.device_peak_bytes,
        },
    }


def _trial_json(trial: TrialEstimate) -> dict[str, Any]:
    return asdict(trial) | {"hours": hours(trial.total_s), "horizon": trial.horizon}


def calibration_table(calibrated: Sequence[CalibratedWorkload]) -> Table:
    """Budgets before and after calibration, a row for each workload."""
    table = _table("workload", "compile", "step", "step hint", "budget was", "budget is", "factor")
    for found in calibrated:
        table.add_row(
            found.name,
            readable_time(found.compilation_s),
            readable_time(found.step_s),
            f"{found.step_hint:,}",
            f"{found.old_budget_s:,g} s",
            f"{found.budget_s:,g} s",
            f"{found.factor:.2f}",
        )
    return table


def calibration_json(calibrated: Sequence[CalibratedWorkload], path: Path) -> dict[str, Any]:
    """The same as data, with the path of the definition that was written."""
    workloads = [
        asdict(found)
        | {
            "budget_s": found.budget_s,
            "eval_period_s": found.eval_period_s,
            "factor": found.factor,
        }
        for found in calibrated
    ]
    return {"benchmark": str(path), "workloads": workloads}
