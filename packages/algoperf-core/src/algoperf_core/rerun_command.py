"""`algoperf run --from TRIAL_DIR` on the command line."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from algoperf_core.errors import CampaignError

if TYPE_CHECKING:
    from rich.console import Console

# What a rerun takes from the trial, by the name of the option that would say otherwise.
_FIXED = (
    *("submissions", "benchmark", "framework", "tuning_search_space", "workloads", "studies"),
    *("trials", "points", "max_steps", "imagenet_v2_data_dir", "retry_crashed", "plot", "json"),
)


def rerun(options: argparse.Namespace) -> int:
    """Runs the trial of `options.from_trial` again and says what differs.

    Returns:
        0 when it came to an end, 1 when it was killed.

    Raises:
        AlgoperfError: Something that the user must mend.
    """
    from rich.console import Console

    from algoperf_core.campaign import run_campaign
    from algoperf_core.display import CampaignDisplay
    from algoperf_core.executors import LocalExecutor
    from algoperf_core.rerun import Rerun, spec_of

    _check_options(options)
    again = Rerun(
        origin=options.from_trial,
        runs=options.runs or Path("runs") / f"{spec_of(options.from_trial).benchmark}-reruns",
        data_dir=options.data_dir,
    )
    console = Console(stderr=False, highlight=False, soft_wrap=True)
    again.prepare()
    console.print(f"{again.spec.label()} again, logs in {again.trial_dir}", markup=False)
    _print_differences(console, again.differences())
    with CampaignDisplay([again.trial_dir], console) as display:
        complete = run_campaign(again, LocalExecutor(again.slots()), display)
    _print_differences(console, again.accelerator_differences())
    console.print(again.comparison(), markup=False)
    return 0 if complete else 1


def _print_differences(console: Console, lines: list[str]) -> None:
    for line in lines:
        console.print(f"differs: {line}", markup=False)


def _check_options(options: argparse.Namespace) -> None:
    given = [name for name in _FIXED if getattr(options, name)]
    if given:
        names = ", ".join(
            "SUBMISSION" if name == "submissions" else "--" + name.replace("_", "-")
            for name in given
        )
        raise CampaignError(
            f"--from runs exactly that trial and takes no {names}; --runs, --data-dir go with it"
        )
