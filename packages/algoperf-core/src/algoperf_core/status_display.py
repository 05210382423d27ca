"""`algoperf status RUNS`: how a campaign stands, from any process or machine that sees its folder."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import IO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from algoperf_core.durations import in_words
from algoperf_core.forecast import trial_seconds_left
from algoperf_core.status import (
    CampaignStatus,
    WorkloadStatus,
    read_status,
    status_as_json,
    work,
)
from algoperf_core.trial_lines import OUTCOME_STYLES, outcome_words, progress_line
from algoperf_core.trial_status import State, TrialStatus
from algoperf_core.watching_options import WATCH_PERIOD_S

WIDTH_WITHOUT_TERMINAL = 1000  # a path that is cut in two cannot be copied
MAX_LISTED = 20


def run_status(options: argparse.Namespace) -> int:
    """Prints the status once, or until all is done or the user has seen enough."""

    def read() -> CampaignStatus:
        return read_status(options.runs, time.time(), options.stale_after)

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=WIDTH_WITHOUT_TERMINAL)
    try:
        show_status(read, console, as_json=options.json, watch=options.watch)
    except KeyboardInterrupt:
        if not options.watch:
            raise
    return 0


def show_status(
    read: Callable[[], CampaignStatus],
    console: Console,
    *,
    as_json: bool = False,
    watch: bool = False,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Prints a status, and with `watch` every new one until the campaign is complete.

    Args:
        read: Reads the status.
        console: Where to print; a terminal that watches shows one table, which changes.
        as_json: Whether to print JSON; with `watch`, an object per line.
        watch: Whether to go on.
        sleep: Waits so many seconds.
    """
    status = read()
    if as_json:
        _print_json(status, console.file, indent=None if watch else 2)
    elif watch and console.is_terminal:
        _watch_live(status, read, console, sleep)
        return
    else:
        console.print(status_table(status))
    while watch and not status.complete:
        sleep(WATCH_PERIOD_S)
        status = read()
        if as_json:
            _print_json(status, console.file, indent=None)
        else:
            console.print(Text(), status_table(status), sep="\n")


def _watch_live(
    status: CampaignStatus,
    read: Callable[[], CampaignStatus],
    console: Console,
    sleep: Callable[[float], None],
) -> None:
    with Live(status_table(status), console=console, auto_refresh=False) as live:
        while not status.complete:
            sleep(WATCH_PERIOD_S)
            status = read()
            live.update(status_table(status), refresh=True)


def _print_json(status: CampaignStatus, file: IO[str], indent: int | None) -> None:
    print(json.dumps(status_as_json(status), indent=indent), file=file, flush=True)


def status_table(status: CampaignStatus) -> RenderableType:
    """Everything about a status, for people."""
    if not status.trials:
        return Group(Text(f"{status.runs}: no trials yet."), *_problems(status))
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
    for title in ("submission", "workload"):
        table.add_column(title, overflow="fold")
    for title in ("done", "run", "stale", "to do"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("outcomes", min_width=8)
    for title in ("best time", "used"):
        table.add_column(title, justify="right", no_wrap=True)
    for group in status.workloads:
        table.add_row(*_row(group))
    return Group(table, *_running(status), *_lost(status), *_problems(status), _overall(status))


def _row(group: WorkloadStatus) -> list[Text]:
    best = group.best_time_to_target_s
    budget = group.budget_s
    outcomes = Text(", ").join(
        Text(f"{count} {outcome_words(name)}", style=OUTCOME_STYLES.get(name, ""))
        for name, count in group.outcomes.items()
    )
    if profiled := sum(not trial.scored for trial in group.trials):
        outcomes.append(f" ({profiled} profiled)", style="dim")
    states = [
        _count(group.count(State.DONE), "green"),
        _count(group.count(State.RUNNING), "cyan"),
        _count(group.count(State.STALE), "red"),
        _count(group.count(State.TO_DO), ""),
    ]
    return [
        Text(group.submission),
        Text(f"{group.workload} ({group.framework})"),
        *states,
        outcomes,
        Text("" if best is None else in_words(best)),
        Text(f"{group.submission_s / budget:.0%}" if budget else ""),
    ]


def _count(number: int, style: str) -> Text:
    return Text(str(number), style=style) if number else Text("·", style="dim")


def _running(status: CampaignStatus) -> list[Text]:
    return _listed(
        "Running",
        status.of(State.RUNNING),
        lambda trial: progress_line(trial.snapshot, trial_seconds_left(work(trial))),
    )


def _lost(status: CampaignStatus) -> list[Text]:
    """Trials that died or failed, with the path of what they printed."""
    stale = _listed(
        "Stale: no sign of life; run the campaign again to go on",
        status.of(State.STALE),
        lambda trial: f"for {in_words(trial.age_s or 0.0)}, see {trial.console}",
    )
    failed = _listed(
        "Failed",
        status.failed,
        lambda trial: f"{outcome_words(trial.outcome or '')}: {trial.message}, see {trial.console}",
    )
    return stale + failed


def _problems(status: CampaignStatus) -> list[Text]:
    lines = [Text(f"  {problem.path}: {problem.reason}") for problem in status.problems]
    return _titled("Cannot be read", lines)


def _listed(
    title: str, trials: tuple[TrialStatus, ...], describe: Callable[[TrialStatus], str]
) -> list[Text]:
    return _titled(title, [Text(f"  {trial.label}: {describe(trial)}") for trial in trials])


def _titled(title: str, lines: list[Text]) -> list[Text]:
    if not lines:
        return []
    more = len(lines) - MAX_LISTED
    rest = [Text(f"  and {more} more", style="dim")] if more > 0 else []
    return [Text(), Text(title, style="bold"), *lines[:MAX_LISTED], *rest]


def _overall(status: CampaignStatus) -> Text:
    used = sum(group.submission_s for group in status.workloads)
    budgets = [group.budget_s for group in status.workloads]
    text = f"\n{status.count(State.DONE)} of {len(status.trials)} trials done"
    if unknown := status.count(State.UNKNOWN):
        text += f", {unknown} in an unknown state"
    text += f"; submission time {in_words(used)}"
    if None not in budgets:
        text += f" of at most {in_words(sum(budget or 0.0 for budget in budgets))}"
    left = status.seconds_left
    if status.complete:
        return Text(text)
    if left is None:
        return Text(f"{text}; nothing is running" if not status.count(State.RUNNING) else text)
    return Text(f"{text}; about {in_words(left)} left with {status.count(State.RUNNING)} at a time")
