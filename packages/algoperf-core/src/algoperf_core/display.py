"""What a campaign shows while it runs: a live table in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from algoperf_core.campaign import Running, Watcher
from algoperf_core.durations import in_words
from algoperf_core.forecast import Work, campaign_seconds_left, trial_seconds_left
from algoperf_core.outcomes import TrialResult
from algoperf_core.progress import Snapshot, read_snapshot
from algoperf_core.trial_lines import (
    OUTCOME_STYLES,
    describe_result,
    outcome_words,
    progress_line,
    short_progress,
)
from algoperf_core.trial_spec import CONSOLE_FILE, PROGRESS_FILE, is_done, read_result, read_spec
from algoperf_core.trial_status import FAILED, StatusReader

LINE_PERIOD_S = 10.0
MAX_LINES = 4  # without a terminal, more running trials than these are told in one line
FULL_WIDTH = 150  # columns from which there is room for sentences
BAR_WIDTH = 80  # columns from which there is room for a bar
OTHER_LINES = 4  # of a terminal: the total, how many are not shown, the cursor


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
        self._results = {trial_dir: read_result(trial_dir) for trial_dir in trial_dirs}
        self._works: dict[Path, Work] = {}
        self._labels: dict[Path, str] = {}
        self._last_lines_at = now()
        self._live = (
            Live(console=console, refresh_per_second=4, transient=True)
            if console.is_terminal
            else None
        )

    def __enter__(self) -> CampaignDisplay:
        if done := self._done:
            self._console.print(
                f"{done} of {len(self._results)} trials are done already.", highlight=False
            )
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._live is not None:
            self._live.stop()

    def started(self, trial_dir: Path) -> None:
        """Counts anew: a trial that is retried is not done any more."""
        if not self._works:
            # The campaign has written its specifications by now, and forgotten what is to be retried.
            for path in self._results:
                self._results[path] = read_result(path)
                self._works[path] = _work(path, self._results[path])
        self._results[trial_dir] = None

    def running(self, running: Sequence[Running]) -> None:
        """Refreshes the table, or prints lines now and then."""
        if self._live is not None:
            self._live.update(self._table(self._snapshots(running)))
        elif self._now() - self._last_lines_at >= LINE_PERIOD_S:
            self._last_lines_at = self._now()
            self._print_lines(self._snapshots(running))

    def finished(self, trial_dir: Path, result: TrialResult | None) -> None:
        """Prints how a trial ended."""
        self._results[trial_dir] = result
        if is_done(result):
            self._works[trial_dir] = _work(trial_dir, result)
        else:
            # It will run again in another campaign, not in this one.
            self._works.pop(trial_dir, None)
        style = "red" if result is None else OUTCOME_STYLES[result.outcome]
        self._line(trial_dir, describe_result(result, trial_dir / CONSOLE_FILE), style)

    @property
    def _done(self) -> int:
        return sum(is_done(result) for result in self._results.values())

    def _snapshots(self, running: Sequence[Running]) -> dict[Path, Snapshot | None]:
        return {
            trial.trial_dir: read_snapshot(trial.trial_dir / PROGRESS_FILE) for trial in running
        }

    def _print_lines(self, snapshots: dict[Path, Snapshot | None]) -> None:
        if len(snapshots) > MAX_LINES:
            text = f"{self._count()} {len(snapshots)} trials are running{self._left(snapshots)}"
            self._console.print(Text(text), soft_wrap=True)
            return
        for trial_dir, snapshot in snapshots.items():
            if snapshot is not None:
                self._line(trial_dir, progress_line(snapshot, _seconds_left(snapshot)))

    def _line(self, trial_dir: Path, text: str, style: str = "") -> None:
        line = Text.assemble(f"{self._count()} {self._label(trial_dir)}: ", (text, style))
        self._console.print(line, soft_wrap=True)

    def _count(self) -> str:
        total = len(self._results)
        return f"[{self._done:{len(str(total))}}/{total}]"

    def _label(self, trial_dir: Path) -> str:
        if trial_dir not in self._labels:
            self._labels[trial_dir] = read_spec(trial_dir).label()
        return self._labels[trial_dir]

    def _short_label(self, trial_dir: Path) -> str:
        """What tells trials apart comes first, for it may be cut."""
        submission, workload, study, trial = self._label(trial_dir).split(" / ")
        return f"{workload} s{study.split()[-1]} t{trial.split()[-1]} {submission}"

    def _table(self, snapshots: dict[Path, Snapshot | None]) -> Group:
        width, room = self._console.width, max(self._console.height - OTHER_LINES, 1)
        table = Table.grid(padding=(0, 2), expand=True)
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=2)
        if width >= BAR_WIDTH:
            table.add_column(width=16)
        table.add_column(
            no_wrap=True, overflow="ellipsis", ratio=3 if width >= FULL_WIDTH else None
        )
        for trial_dir, snapshot in list(snapshots.items())[:room]:
            table.add_row(*self._row(trial_dir, snapshot, width))
        hidden = len(snapshots) - room
        more = [Text(f"and {hidden} more running", style="dim")] if hidden > 0 else []
        return Group(table, *more, self._overall(snapshots))

    def _row(
        self, trial_dir: Path, snapshot: Snapshot | None, width: int
    ) -> list[Text | ProgressBar]:
        style = "dim" if snapshot is None else "green" if snapshot.reached else ""
        left_s = None if snapshot is None else _seconds_left(snapshot)
        budget_s, used_s = (snapshot.budget_s, snapshot.submission_s) if snapshot else (1.0, 0.0)
        bar = ProgressBar(total=budget_s, completed=used_s, width=16)
        if width >= FULL_WIDTH:
            label = Text(self._label(trial_dir), style="bold")
            return [label, bar, Text(progress_line(snapshot, left_s), style=style)]
        short = Text(self._short_label(trial_dir), style="bold")
        progress = Text(short_progress(snapshot, left_s), style=style)
        return [short, bar, progress] if width >= BAR_WIDTH else [short, progress]

    def _overall(self, snapshots: dict[Path, Snapshot | None]) -> Table:
        total = len(self._results)
        text = Text(f"{self._done} of {total} trials done{self._left(snapshots)}")
        outcomes = Counter(result.outcome for result in self._results.values() if is_done(result))
        for outcome, number in outcomes.most_common():
            text.append(f", {number} {outcome_words(outcome)}", style=OUTCOME_STYLES[outcome])
        overall = Table.grid(padding=(0, 2))
        width = 30 if self._console.width >= FULL_WIDTH else 10
        overall.add_column(width=width)
        overall.add_column(no_wrap=True, overflow="ellipsis")
        overall.add_row(ProgressBar(total=total, completed=self._done, width=width), text)
        return overall

    def _left(self, snapshots: dict[Path, Snapshot | None]) -> str:
        works = self._works | {
            path: replace(
                self._works[path],
                submission_s=snapshot.submission_s,
                wall_s=snapshot.wall_s,
                running=True,
            )
            for path, snapshot in snapshots.items()
            if snapshot is not None and path in self._works
        }
        left_s = campaign_seconds_left(list(works.values()), len(snapshots)) if works else None
        return "" if left_s is None else f", about {in_words(left_s)} left"


def _work(trial_dir: Path, result: TrialResult | None) -> Work:
    """What is known of a trial's duration before it begins, or after its end."""
    status = StatusReader(trial_dir, now_epoch_s=0.0).trial(trial_dir)
    work = Work(workload=status.workload, budget_s=status.budget_s)
    if not is_done(result):
        return work
    wall_s, submission_s = sum(result.ledger_s.values()), result.ledger_s.get("submission", 0.0)
    return replace(
        work,
        submission_s=submission_s,
        wall_s=wall_s,
        over=True,
        typical=result.outcome not in FAILED,
    )


def _seconds_left(snapshot: Snapshot) -> float | None:
    return trial_seconds_left(
        Work(
            workload="",
            budget_s=snapshot.budget_s,
            submission_s=snapshot.submission_s,
            wall_s=snapshot.wall_s,
            running=True,
        )
    )
