"""What a campaign shows while it runs: a live table in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from algoperf_core.campaign import Running, Watcher
from algoperf_core.outcomes import Outcome, TrialResult
from algoperf_core.progress import Snapshot, read_snapshot
from algoperf_core.trial_spec import PROGRESS_FILE, is_done, read_result, read_spec

LINE_PERIOD_S = 10.0


def describe(snapshot: Snapshot) -> str:
    """Where a trial is, in one line: step, elapsed of budget, metric against target."""
    if snapshot.global_step == 0:
        return "setting up"
    value = "not evaluated yet" if snapshot.value is None else f"{snapshot.value:.4f}"
    return (
        f"step {snapshot.global_step:,}, {snapshot.submission_s:.1f} of {snapshot.budget_s:g} s, "
        f"{snapshot.metric} {value} (target {snapshot.target:g})"
    )


def describe_result(result: TrialResult | None) -> str:
    """How a trial ended, in one line."""
    if result is None:
        return "was killed; run the same command again to repeat it"
    if result.outcome is Outcome.TARGET_REACHED:
        return f"reached the target in {result.time_to_target_s:.2f} s"
    text = str(result.outcome).replace("_", " ")
    return (
        f"{text}: {result.message}"
        if result.message
        else f"{text} after {result.global_step:,} steps"
    )


class CampaignDisplay(Watcher):
    """Shows the progress of a campaign.

    Args:
        trial_dirs: Folders of all trials of the campaign.
        console: Where to print.
        now: Monotonic clock, in seconds.
    """

    def __init__(
        self,
        trial_dirs: Sequence[Path],
        console: Console,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console = console
        self._now = now
        self._trial_dirs = trial_dirs
        self._total = len(trial_dirs)
        self._done = self._count_done()
        self._last_lines_at = now()
        self._live = (
            Live(console=console, refresh_per_second=4, transient=True)
            if console.is_terminal
            else None
        )

    def __enter__(self) -> CampaignDisplay:
        if self._done:
            self._console.print(
                f"{self._done} of {self._total} trials are done already.", highlight=False
            )
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._live is not None:
            self._live.stop()

    def started(self, trial_dir: Path) -> None:
        """Counts anew: a trial that is retried is not done any more."""
        self._done = self._count_done()

    def running(self, running: Sequence[Running]) -> None:
        """Refreshes the table, or prints lines now and then."""
        if self._live is not None:
            self._live.update(self._table(running))
        elif self._now() - self._last_lines_at >= LINE_PERIOD_S:
            self._last_lines_at = self._now()
            for trial in running:
                if (snapshot := read_snapshot(trial.trial_dir / PROGRESS_FILE)) is not None:
                    self._line(trial.trial_dir, describe(snapshot))

    def finished(self, trial_dir: Path, result: TrialResult | None) -> None:
        """Prints how a trial ended."""
        self._done = self._count_done()
        self._line(trial_dir, describe_result(result))

    def _count_done(self) -> int:
        return sum(is_done(read_result(trial_dir)) for trial_dir in self._trial_dirs)

    def _line(self, trial_dir: Path, text: str) -> None:
        width = len(str(self._total))
        label = read_spec(trial_dir).label()
        self._console.print(
            Text(f"[{self._done:{width}}/{self._total}] {label}: {text}"),
            highlight=False,
            soft_wrap=True,
        )

    def _table(self, running: Sequence[Running]) -> Group:
        table = Table.grid(padding=(0, 2))
        for trial in running:
            snapshot = read_snapshot(trial.trial_dir / PROGRESS_FILE)
            label = Text(read_spec(trial.trial_dir).label(), style="bold")
            if snapshot is None:
                table.add_row(label, "", Text("starting", style="dim"))
                continue
            bar = ProgressBar(total=snapshot.budget_s, completed=snapshot.submission_s, width=16)
            table.add_row(label, bar, Text(describe(snapshot)))
        overall = Table.grid(padding=(0, 2))
        overall.add_row(
            ProgressBar(total=self._total, completed=self._done, width=30),
            Text(f"{self._done} of {self._total} trials done"),
        )
        return Group(table, overall)
