"""The command `algoperf`: begin, check and run submissions, watch campaigns, list what is installed."""

from __future__ import annotations

import argparse
import json
import shlex
import signal
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from types import FrameType

from algoperf_core import __version__
from algoperf_core.arguments import count as _count
from algoperf_core.arguments import default_data_dir
from algoperf_core.arguments import framework as _framework
from algoperf_core.arguments import period as _period
from algoperf_core.check.command import add_check_arguments
from algoperf_core.data_commands import add_data_commands
from algoperf_core.errors import CampaignError
from algoperf_core.planning_commands import add_planning_commands
from algoperf_core.targets.command import add_targets_command
from algoperf_core.watching_options import (
    add_status_command,
    add_watching_options,
    chosen_trackers,
    describe_traces,
    with_profile_defaults,
)
from algoperf_scoring import AlgoperfError, load_benchmark

EXIT_BAD_INPUT = 2
EXIT_UNFINISHED = 1
EXIT_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit status.

    0: done; 1: trials are left to run; 2: input that the user must mend; 130: interrupted.
    """
    options = _parser().parse_args(arguments)
    try:
        return int(options.command(options))
    except AlgoperfError as error:
        print(f"algoperf: error: {error}", file=sys.stderr)  # noqa: T201
        return EXIT_BAD_INPUT
    except KeyboardInterrupt:
        print("algoperf: stopped; run the same command again to continue", file=sys.stderr)  # noqa: T201
        return EXIT_INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="algoperf", description="Which training algorithm is fastest?"
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_run(commands.add_parser("run", help="run submissions on a benchmark and score them"))
    _add_new(commands.add_parser("new", help="write a submission to begin with"))
    add_status_command(
        commands.add_parser("status", help="show how the trials in a folder of runs stand")
    )
    check = commands.add_parser("check", help="check a submission against the rules")
    add_check_arguments(check, _framework, default_data_dir())
    check.add_argument(
        "--memory", action="store_true", help="measure peak memory, as algoperf memory"
    )
    check.set_defaults(command=_check)
    add_data_commands(
        commands.add_parser("data", help="list, prepare and verify the data of workloads")
    )
    listing = commands.add_parser(
        "list", help="show installed benchmarks, workloads and submissions"
    )
    listing.add_argument("--json", action="store_true", help="print JSON")
    listing.set_defaults(command=_list)
    add_planning_commands(commands)
    add_targets_command(commands)
    return parser


def _add_run(run: argparse.ArgumentParser) -> None:
    add = run.add_argument
    add("submissions", nargs="*", metavar="SUBMISSION", help="installed name, folder, or .py file")
    add("--benchmark", metavar="NAME", help="installed benchmark or TOML file")
    add(
        "--from",
        dest="from_trial",
        type=Path,
        metavar="TRIAL_DIR",
        help="run exactly this trial again (default of --runs: runs/BENCHMARK-reruns)",
    )
    add("--ruleset", default="external", metavar="NAME", help="external (default) or self")
    add(
        "--framework", type=_framework, metavar="jax|torch", help="for submissions written for both"
    )
    add("--runs", type=Path, metavar="DIR", help="folder of the runs (default: runs/BENCHMARK)")
    add(
        "--data-dir",
        type=Path,
        metavar="DIR",
        help=f"prepared datasets (default: {default_data_dir()})",
    )
    add(
        "--imagenet-v2-data-dir",
        type=Path,
        metavar="DIR",
        help="ImageNet's test split, for workloads that keep it apart",
    )
    add(
        "--tuning-search-space",
        type=Path,
        metavar="FILE",
        help="default: the one beside each submission",
    )
    add("--workloads", metavar="A,B", help="only these workloads")
    add("--studies", type=_count, metavar="N", help="only the first N studies")
    add("--trials", type=_count, metavar="N", help="only the first N trials of each study")
    add(
        "--points",
        metavar="A:B",
        help="only these trials of each study, by index from 0: a slice, or a list such as 0,3",
    )
    add("--max-steps", type=_count, metavar="N", help="end every trial after N steps")
    add("--seed", type=int, default=0, metavar="N", help="root of all seeds (default: 0)")
    add(
        "--jobs",
        type=_count,
        default=1,
        metavar="N",
        help="trials at a time, each on its own processors",
    )
    add(
        "--processes",
        type=_count,
        default=1,
        metavar="N",
        help="processes that train each trial together, one per GPU (default: 1)",
    )
    add(
        "--prepare",
        action="store_true",
        help="only write the trials' folders, for torchrun or another launcher, and print those to run",
    )
    add("--retry-crashed", action="store_true", help="run crashed trials again")
    add(
        "--checkpoint-period",
        type=_period,
        default=300.0,
        metavar="SECONDS",
        help="time between two checkpoints of a trial (default: 300); 0: after every evaluation; or never",
    )
    add(
        "--plot",
        type=Path,
        metavar="FILE",
        help="write the performance profiles as PNG, SVG or PDF",
    )
    add("--json", type=Path, metavar="FILE", help="write the leaderboard for machines")
    add_watching_options(run)
    run.set_defaults(command=_run)


def _add_new(new: argparse.ArgumentParser) -> None:
    add = new.add_argument
    add("name", metavar="NAME", help="name of the submission and of its folder")
    add("--framework", type=_framework, required=True, metavar="jax|torch")
    add(
        "--style",
        choices=("optimizer", "full"),
        default="optimizer",
        help="an optimizer that a complete submission is made of (default), or every function of the API",
    )
    add(
        "--folder", type=Path, default=Path(), metavar="DIR", help="where to create it (default: .)"
    )
    new.set_defaults(command=_new)


def _new(options: argparse.Namespace) -> int:
    from algoperf_core.scaffold import write_submission

    folder = write_submission(options.name, options.framework, options.style, options.folder)
    for path in sorted(folder.iterdir()):
        print(path)  # noqa: T201
    print(  # noqa: T201
        f"Try it: algoperf run {shlex.quote(str(folder))} --benchmark algoperf-digits --studies 1 --trials 1"
    )
    return 0


def _check(options: argparse.Namespace) -> int:
    from algoperf_core.check.command import run_check
    from algoperf_core.planning_commands import run_memory

    if not options.memory:
        return run_check(options)
    return run_memory(
        argparse.Namespace(
            submissions=[options.submission],
            benchmark=None,
            workloads=[name for names in options.workload for name in names] or None,
            ruleset="external",
            framework=options.framework,
            tuning_search_space=options.tuning_search_space,
            imagenet_v2_data_dir=None,
            seed=0,
            timeout=None,
            data_dir=options.data_dir,
            json=options.json == "-",
        )
    )


def _list(options: argparse.Namespace) -> int:
    from algoperf_core.registry import catalogue

    listed = catalogue()
    if options.json:
        print(json.dumps(listed, indent=2))  # noqa: T201
        return 0
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for group, entries in listed.items():
        table.add_row(Text(group, style="bold"))
        for entry in entries:
            what = Text.assemble(entry["summary"], " ", (f"({entry['package']})", "dim"))
            table.add_row(Text(f"  {entry['name']}"), what)
    Console(highlight=False).print(table)
    return 0


def _run(options: argparse.Namespace) -> int:
    from rich.console import Console

    from algoperf_core.campaign import Campaign, run_campaign
    from algoperf_core.display import CampaignDisplay
    from algoperf_core.executors import LocalExecutor
    from algoperf_core.rerun_command import rerun

    # A terminated campaign stops its trials as an interrupted one does.
    signal.signal(signal.SIGTERM, _interrupt)
    if options.from_trial is not None:
        return rerun(options)
    if not options.submissions or options.benchmark is None:
        raise CampaignError(
            "a run needs SUBMISSION and --benchmark, or --from TRIAL_DIR; algoperf list shows what is there"
        )
    options = with_profile_defaults(options)
    _check_outputs(options)
    benchmark = load_benchmark(options.benchmark)
    campaign = Campaign(
        benchmark=benchmark,
        ruleset=benchmark.ruleset(options.ruleset).name,
        submissions=tuple(options.submissions),
        runs=options.runs or Path("runs") / (benchmark.name + "-profile" * options.profile),
        data_dir=options.data_dir or default_data_dir(),
        framework=options.framework,
        search_space=options.tuning_search_space,
        workloads=tuple(options.workloads.split(",")) if options.workloads else None,
        studies=options.studies,
        trials=options.trials,
        points=options.points,
        seed=options.seed,
        max_global_steps=options.max_steps,
        imagenet_v2_data_dir=options.imagenet_v2_data_dir,
        retry_crashed=options.retry_crashed,
        checkpoint_period_s=options.checkpoint_period,
        trackers=chosen_trackers(options),
        profile=options.profile,
        processes=options.processes,
    )
    if options.prepare:
        print(*campaign.prepare(), sep="\n")  # noqa: T201
        return 0
    console = Console(stderr=False)
    specs = campaign.expand()
    trial_dirs = [spec.directory(campaign.runs) for spec in specs]
    console.print(
        f"{benchmark.name}: {_counted(len(trial_dirs), 'trial')} of "
        f"{_counted(len(campaign.submissions), 'submission')}, logs in {campaign.runs}",
        highlight=False,
        soft_wrap=True,
    )
    with CampaignDisplay(trial_dirs, console) as display:
        complete = run_campaign(campaign, LocalExecutor(options.jobs), display)
    if options.profile:
        print(*describe_traces(specs, campaign.runs), sep="\n")  # noqa: T201
        scored = 0
    else:
        scored = _show_leaderboard(options, campaign.runs)
    return scored or (0 if complete else EXIT_UNFINISHED)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _check_outputs(options: argparse.Namespace) -> None:
    # A run takes long; what would fail at its end fails now.
    if options.plot and find_spec("matplotlib") is None:
        raise CampaignError('--plot needs matplotlib: pip install "algoperf-scoring[plot]"')
    for path in filter(None, (options.plot, options.json)):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CampaignError(f"{path}: cannot write there: {error.strerror}") from None


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _show_leaderboard(options: argparse.Namespace, runs: Path) -> int:
    from algoperf_scoring.cli import main as score

    arguments = [str(runs), "--ruleset", options.ruleset]
    for flag, value in (("--plot", options.plot), ("--json", options.json)):
        arguments += [flag, str(value)] if value else []
    return score(arguments)
