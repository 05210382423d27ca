"""Options for watching: those of `algoperf run` for trackers and profiles, and those of `algoperf status`."""

from __future__ import annotations

import argparse
from pathlib import Path

from algoperf_core.profiling_plan import PROFILE_FOLDER, TRACED_STEPS, WARM_UP_STEPS
from algoperf_core.trackers.catalogue import TENSORBOARD, is_available
from algoperf_core.trial_spec import TrialSpec
from algoperf_core.trial_status import STALE_AFTER_S

WATCH_PERIOD_S = 2.0


def add_watching_options(run: argparse.ArgumentParser) -> None:
    """Adds the options to the parser of `algoperf run`."""
    run.add_argument(
        "--track",
        action="append",
        default=[],
        metavar="NAME",
        help="also log to wandb, mlflow, or another installed tracker; may be repeated",
    )
    run.add_argument(
        "--no-tensorboard",
        action="store_true",
        help="write no TensorBoard files (default: written if tensorboardX or tensorboard is installed)",
    )
    run.add_argument(
        "--profile",
        action="store_true",
        help=f"trace {TRACED_STEPS} steps of a trial per submission and workload; such trials do not count",
    )


def chosen_trackers(options: argparse.Namespace) -> tuple[str, ...]:
    """Names of the trackers that the options choose; TensorBoard unless it is missing or unwanted."""
    always = [] if options.no_tensorboard or not is_available(TENSORBOARD) else [TENSORBOARD]
    return tuple(dict.fromkeys([*always, *options.track]))


def with_profile_defaults(options: argparse.Namespace) -> argparse.Namespace:
    """With `--profile`, as few trials and steps as a trace needs, where the user named no number."""
    if not options.profile:
        return options
    return argparse.Namespace(
        **vars(options)
        | {
            "studies": options.studies or 1,
            "trials": options.trials or 1,
            "max_steps": options.max_steps or WARM_UP_STEPS + TRACED_STEPS,
        }
    )


def describe_traces(specs: list[TrialSpec], runs: Path) -> list[str]:
    """Where the traces of profiled trials are, a line for each, or that there is none."""
    lines = []
    for spec in specs:
        folder = spec.directory(runs) / PROFILE_FOLDER
        lines.append(f"{spec.label()}: {folder if folder.is_dir() else 'no trace'}")
    return lines


def add_status_command(status: argparse.ArgumentParser) -> None:
    """Adds the options of `algoperf status`."""
    status.add_argument("runs", type=Path, metavar="RUNS", help="folder of the runs")
    status.add_argument("--json", action="store_true", help="print JSON, with every trial")
    status.add_argument(
        "--watch",
        action="store_true",
        help=f"show it anew every {WATCH_PERIOD_S:g} s until all is done",
    )
    status.add_argument(
        "--stale-after",
        type=float,
        default=STALE_AFTER_S,
        metavar="SECONDS",
        help="take a trial without a sign of life for so long for dead (default: %(default)g)",
    )
    status.set_defaults(command=_status)


def _status(options: argparse.Namespace) -> int:
    from algoperf_core.status_display import run_status

    return run_status(options)
