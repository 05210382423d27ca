"""`algoperf memory`, `estimate`, `calibrate` and `doctor`: what to know before a campaign is started."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from algoperf_core.arguments import count, default_data_dir, framework
from algoperf_core.errors import CampaignError

if TYPE_CHECKING:
    from rich.console import Console

    from algoperf_core.campaign import Campaign
    from algoperf_core.probing import Effort, Probed
    from algoperf_scoring import Benchmark

EXIT_TROUBLE = 1
_TABLE_WIDTH = 140


def add_planning_commands(commands: Any) -> None:
    """Adds the four commands to the subparsers of `algoperf`."""
    memory = commands.add_parser(
        "memory", help="two steps and an evaluation at full batch size: peak memory per workload"
    )
    _add_subject(memory, "every installed workload")
    memory.set_defaults(command=run_memory)
    estimate = commands.add_parser(
        "estimate", help="hours, disk and memory of a campaign, from 20 measured steps per workload"
    )
    estimate.add_argument("benchmark", metavar="BENCHMARK", help="installed benchmark or TOML file")
    _add_subject(estimate, None)
    _add_scale(estimate)
    estimate.set_defaults(command=run_estimate)
    calibrate = commands.add_parser(
        "calibrate", help="budgets for this machine: the time that a reference algorithm needs here"
    )
    calibrate.add_argument(
        "benchmark", metavar="BENCHMARK", help="installed benchmark or TOML file"
    )
    _add_subject(calibrate, None)
    _add_calibration(calibrate)
    calibrate.set_defaults(command=run_calibrate)
    doctor = commands.add_parser("doctor", help="what is wrong with this installation and machine")
    doctor.add_argument("--benchmark", metavar="NAME", help="also look for its workloads and data")
    _add_paths(doctor)
    doctor.add_argument("--runs", type=Path, metavar="DIR", help="folder that runs would go to")
    doctor.set_defaults(command=run_doctor)


def _add_subject(parser: argparse.ArgumentParser, all_workloads: str | None) -> None:
    add = parser.add_argument
    add("submissions", nargs="+", metavar="SUBMISSION", help="installed name, folder, or .py file")
    if all_workloads is not None:
        add(
            "--benchmark", metavar="NAME", help=f"installed or TOML file (default: {all_workloads})"
        )
    add(
        "--workload",
        dest="workloads",
        action="extend",
        nargs="+",
        metavar="NAME",
        help="only these workloads",
    )
    add("--ruleset", default="external", metavar="NAME", help="external (default) or self")
    add("--framework", type=framework, metavar="jax|torch", help="for submissions written for both")
    add("--tuning-search-space", type=Path, metavar="FILE", help="default: beside each submission")
    add(
        "--imagenet-v2-data-dir",
        type=Path,
        metavar="DIR",
        help="ImageNet's test split, for workloads that keep it apart",
    )
    add("--seed", type=int, default=0, metavar="N", help="root of all seeds (default: 0)")
    add("--timeout", type=count, metavar="SECONDS", help="give up on a workload after so long")
    _add_paths(parser)


def _add_paths(parser: argparse.ArgumentParser) -> None:
    where = f"prepared datasets (default: {default_data_dir()})"
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help=where)
    parser.add_argument("--json", action="store_true", help="print JSON")


def _add_scale(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--steps", type=count, default=20, metavar="N", help="steps to measure (default: 20)")
    add("--studies", type=count, metavar="N", help="plan for so many studies")
    add("--trials", type=count, metavar="N", help="plan for so many trials per study")
    add("--max-steps", type=count, metavar="N", help="plan for trials of at most N steps")
    add("--jobs", type=count, default=1, metavar="N", help="plan for N trials at a time")


def _add_calibration(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--steps", type=count, default=50, metavar="N", help="steps to measure (default: 50)")
    add("--jobs", type=count, default=1, metavar="N", help="as with N trials at a time")
    add("--output", type=Path, metavar="FILE", help="default: BENCHMARK.calibrated.toml")


def _campaign(options: argparse.Namespace, benchmark: Benchmark) -> Campaign:
    from algoperf_core.campaign import Campaign

    return Campaign(
        benchmark=benchmark,
        ruleset=options.ruleset,
        submissions=tuple(options.submissions),
        runs=Path("runs"),
        data_dir=options.data_dir or default_data_dir(),
        framework=options.framework,
        search_space=options.tuning_search_space,
        workloads=tuple(options.workloads) if options.workloads else None,
        seed=options.seed,
        imagenet_v2_data_dir=options.imagenet_v2_data_dir,
    )


def _console() -> Console:
    from rich.console import Console

    console = Console(highlight=False, markup=False, soft_wrap=True)
    # A table that a terminal wraps, or a file scrolls, is better than one without its numbers.
    console.width = max(console.width, _TABLE_WIDTH)
    return console


def _probe(options: argparse.Namespace, campaigns: list[Campaign], effort: Effort) -> list[Probed]:
    from rich.console import Console

    from algoperf_core.probing import probe_campaign

    effort = replace(effort, timeout_s=options.timeout)
    progress = Console(stderr=True, highlight=False)
    with progress.status("measuring") as status:
        return [
            probed
            for campaign in campaigns
            for probed in probe_campaign(campaign, effort, status.update)
        ]


def run_memory(options: argparse.Namespace) -> int:
    """`algoperf memory`.

    Returns:
        0 if every workload that could be run has enough memory, else 1.
    """
    from algoperf_core.planning_tables import memory_json, memory_table, troubles
    from algoperf_core.probing import TWO_STEPS, covering_campaigns
    from algoperf_scoring import available_benchmarks, load_benchmark

    named = None if options.benchmark is None else load_benchmark(options.benchmark)
    template = _campaign(options, named or load_benchmark(next(iter(available_benchmarks()))))
    probed = _probe(options, covering_campaigns(template, named), TWO_STEPS)
    if options.json:
        print(json.dumps(memory_json(probed), indent=2))  # noqa: T201
    else:
        console = _console()
        console.print(memory_table(probed))
        for line in troubles(probed):
            console.print(line)
    measured = [probe for probe in probed if probe.measurement.status != "unavailable"]
    fine = all(probe.measurement.status == "measured" for probe in measured)
    return 0 if fine and measured else EXIT_TROUBLE


def run_estimate(options: argparse.Namespace) -> int:
    """`algoperf estimate`.

    Returns:
        0 if every workload could be measured, else 1.
    """
    from algoperf_core.estimate import Scale, estimate_campaign
    from algoperf_core.planning_tables import (
        estimate_json,
        estimate_notes,
        size_table,
        time_table,
        troubles,
    )
    from algoperf_core.probe import WARM_UP_STEPS
    from algoperf_core.probing import Effort
    from algoperf_scoring import load_benchmark

    benchmark = load_benchmark(options.benchmark)
    ruleset = benchmark.ruleset(options.ruleset)
    effort = Effort(warm_up=WARM_UP_STEPS, steps=options.steps, repeat=True, jobs=options.jobs)
    probed = _probe(options, [_campaign(options, benchmark)], effort)
    scale = Scale(
        studies=min(options.studies or ruleset.studies, ruleset.studies),
        trials=min(options.trials or ruleset.trials, ruleset.trials),
        jobs=options.jobs,
        max_global_steps=options.max_steps,
    )
    estimate = estimate_campaign(probed, benchmark, ruleset.name, scale)
    if options.json:
        print(json.dumps(estimate_json(estimate, benchmark.name), indent=2))  # noqa: T201
    else:
        console = _console()
        if estimate.trials:
            console.print(time_table(estimate), size_table(estimate), sep="\n\n")
        for line in (*troubles(estimate.unmeasured), *estimate_notes(estimate)):
            console.print(line)
    return EXIT_TROUBLE if estimate.unmeasured else 0


def run_calibrate(options: argparse.Namespace) -> int:
    """`algoperf calibrate`: writes the benchmark with the budgets of this machine.

    Returns:
        0; a workload that cannot be measured is an error.
    """
    from algoperf_core.calibration import calibrated_document, calibrated_workloads
    from algoperf_core.durable import write_durable
    from algoperf_core.machine import hardware
    from algoperf_core.planning_tables import calibration_json, calibration_table
    from algoperf_core.probe import WARM_UP_STEPS
    from algoperf_core.probing import Effort
    from algoperf_scoring import load_benchmark

    if len(options.submissions) > 1:
        raise CampaignError(
            f"one reference algorithm sets the budgets, {len(options.submissions)} were given; name one"
        )
    benchmark = load_benchmark(options.benchmark)
    effort = Effort(warm_up=WARM_UP_STEPS, steps=options.steps, repeat=False, jobs=options.jobs)
    probed = _probe(options, [_campaign(options, benchmark)], effort)
    calibrated = calibrated_workloads(probed, benchmark)
    machine = hardware()
    facts = {
        "reference algorithm": f"{probed[0].submission}, {probed[0].framework}",
        "machine": f"{machine['cpu_model_name']}, {machine['cpu_count']} processors for "
        f"{options.jobs} trials at a time",
    }
    output = options.output or Path(f"{benchmark.name}.calibrated.toml")
    write_durable(output, calibrated_document(benchmark, calibrated, facts).encode())
    if options.json:
        print(json.dumps(calibration_json(calibrated, output), indent=2))  # noqa: T201
    else:
        console = _console()
        console.print(calibration_table(calibrated))
        console.print(f"\nUse them with: --benchmark {output}")
    return 0


def run_doctor(options: argparse.Namespace) -> int:
    """`algoperf doctor`.

    Returns:
        1 if there is a problem, else 0.
    """
    from algoperf_core.doctor import diagnose

    findings = diagnose(
        benchmark=options.benchmark,
        data_dir=options.data_dir or default_data_dir(),
        runs=options.runs or Path("runs"),
    )
    if options.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))  # noqa: T201
    else:
        _print_findings(findings)
    return EXIT_TROUBLE if any(finding.grade == "problem" for finding in findings) else 0


def _print_findings(findings: list[Any]) -> None:
    from rich.text import Text

    console = _console()
    styles = {"ok": "green", "warning": "yellow", "problem": "bold red"}
    for finding in findings:
        grade = Text(f"{finding.grade:8}", style=styles[finding.grade])
        console.print(Text.assemble(grade, f"{finding.subject}: {finding.message}"))
        if finding.remedy:
            console.print(f"{'':8}-> {finding.remedy}")
    counts = {grade: sum(f.grade == grade for f in findings) for grade in styles}
    console.print(", ".join(f"{number} {grade}" for grade, number in counts.items()))
