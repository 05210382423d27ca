"""The leaderboard as text tables that fit a terminal, a log file and a mail.

rich is imported when a table is made, not with the package.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from algoperf_scoring.leaderboard import Leaderboard
from algoperf_scoring.profiles import performance_profile

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

PROFILE_TAUS = (1.0, 1.25, 1.5, 2.0, 3.0, 4.0)
SCORE_LEGEND = "Workloads and trials at the target; counted: base workloads in the score."
PROFILE_LEGEND = "Share of base workloads within a multiple of the fastest submission's time."
MISSED = "—"
NOT_COUNTED = "*"
_COLUMN_GAP = 3


def print_leaderboard(leaderboard: Leaderboard, console: "Console | None" = None) -> None:
    """Prints scores, times to target and profiles.

    Args:
      leaderboard: What to print.
      console: Where to; None for standard output, without colours unless it is a terminal.
    """
    from rich.console import Console

    console = console or Console(highlight=False, emoji=False)
    pages: list[tuple[RenderableType, ...]] = [
        (heading(leaderboard),),
        (score_table(leaderboard), SCORE_LEGEND),
        *((table,) for table in times_tables(leaderboard, console.width)),
        (times_legend(leaderboard),),
        (profile_table(leaderboard), PROFILE_LEGEND),
    ]
    for page in pages:
        # Names are names, also those that look like rich's markup.
        console.print(*page, sep="\n", markup=False)
        console.print()


def heading(leaderboard: Leaderboard) -> str:
    """Returns two lines that say what was scored, and how."""
    benchmark = leaderboard.benchmark
    held_out = f" and {len(benchmark.held_out)} held-out" if benchmark.held_out else ""
    workloads = "workload" if len(benchmark.scored) == 1 else "workloads"
    submissions = "submission" if len(leaderboard.submissions) == 1 else "submissions"
    return (
        f"{benchmark.name}, {leaderboard.ruleset} tuning, {leaderboard.method} integration\n"
        f"{len(leaderboard.submissions)} {submissions} on {len(benchmark.base)} base{held_out} {workloads}"
    )


def score_table(leaderboard: Leaderboard) -> "Table":
    """Returns rank, score, and how many workloads and trials reached the target."""
    table = _table("Scores")
    table.add_column("#", justify="right")
    table.add_column("submission", overflow="fold")
    for name in ("score", "base", "held-out", "counted", "trials"):
        if name != "held-out" or leaderboard.benchmark.held_out:
            table.add_column(name, justify="right")
    for row in _rows(leaderboard):
        table.add_row(*_score_cells(leaderboard, row))
    return table


def _score_cells(leaderboard: Leaderboard, row: int) -> list[str]:
    n_base, times = len(leaderboard.benchmark.base), leaderboard.times
    reached = [math.isfinite(seconds) for seconds in times.seconds[row].tolist()]
    counted = sum(math.isfinite(ratio) for ratio in leaderboard.ratios[row].tolist())
    cells = [
        str(leaderboard.ranks[row]),
        leaderboard.submissions[row],
        f"{leaderboard.scores[row]:.4f}",
        f"{sum(reached[:n_base])}/{n_base}",
    ]
    if leaderboard.benchmark.held_out:
        cells.append(f"{sum(reached[n_base:])}/{len(reached) - n_base}")
    trials = f"{times.trials_reached[row].sum()}/{times.trials[row].sum()}"
    return [*cells, f"{counted}/{n_base}", trials]


def times_tables(leaderboard: Leaderboard, width: int = 80) -> "list[Table]":
    """Returns times to target, workloads in rows, submissions in columns.

    Args:
      leaderboard: What to show.
      width: Characters in a line; submissions that do not fit go into a further table.
    """
    room = width - max(map(len, leaderboard.benchmark.scored))
    blocks = _blocks([_column_width(leaderboard, row) for row in _rows(leaderboard)], room)
    return [_times_table(leaderboard, block) for block in blocks]


def times_legend(leaderboard: Leaderboard) -> str:
    """Returns what the marks in the times tables mean."""
    limit = f"{leaderboard.benchmark.scoring.max_ratio:g}"
    held_out = ", or a held-out variant was missed" if leaderboard.benchmark.held_out else ""
    return (
        f"{MISSED} target missed; blank: no logs.\n"
        f"{NOT_COUNTED} not counted: more than {limit} times the fastest{held_out}."
    )


def profile_table(leaderboard: Leaderboard, taus: Sequence[float] = PROFILE_TAUS) -> "Table":
    """Returns performance profiles at a few points.

    Args:
      leaderboard: What to show.
      taus: Ratios to the fastest submission, `(taus,)`; those above `scoring.max_ratio` are left
        out.
    """
    kept = [tau for tau in taus if tau <= leaderboard.benchmark.scoring.max_ratio]
    table = _table("Performance profiles")
    table.add_column("submission", overflow="fold")
    for tau in kept:
        table.add_column(f"{tau:g}", justify="right")
    profiles = performance_profile(leaderboard.ratios, kept).tolist()
    for submission, profile in zip(leaderboard.submissions, profiles, strict=True):
        table.add_row(submission, *(f"{share:.1%}" for share in profile))
    return table


def _table(title: str) -> "Table":
    from rich import box
    from rich.table import Table

    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
    )


def _rows(leaderboard: Leaderboard) -> range:
    return range(len(leaderboard.submissions))


def _times_table(leaderboard: Leaderboard, block: list[int]) -> "Table":
    table = _table("Seconds to target" if block[0] == 0 else "Seconds to target, continued")
    table.add_column("workload", overflow="fold")
    for row in block:
        table.add_column(_wrapped(leaderboard.submissions[row]), justify="right")
    n_base = len(leaderboard.benchmark.base)
    for column, name in enumerate(leaderboard.benchmark.scored):
        cells = [_time_cell(leaderboard, row, column) for row in block]
        table.add_row(name, *cells, end_section=column == n_base - 1)
    return table


def _time_cell(leaderboard: Leaderboard, row: int, column: int) -> str:
    seconds = float(leaderboard.times.seconds[row, column])
    if not math.isfinite(seconds):
        return "" if math.isnan(seconds) else MISSED
    is_base = column < len(leaderboard.benchmark.base)
    counted = not is_base or math.isfinite(leaderboard.ratios[row, column])
    return format_seconds(seconds) + ("" if counted else NOT_COUNTED)


def format_seconds(seconds: float) -> str:
    """Returns a time with as many digits as a reader needs: ``"70,197"``, ``"12.3"``."""
    if seconds >= 100.0:
        return f"{seconds:,.0f}"
    return f"{seconds:.1f}" if seconds >= 10.0 else f"{seconds:.2f}"


def _column_width(leaderboard: Leaderboard, row: int) -> int:
    heads = _wrapped(leaderboard.submissions[row]).split("\n")
    columns = range(len(leaderboard.benchmark.scored))
    cells = [_time_cell(leaderboard, row, column) for column in columns]
    return max(map(len, (*heads, *cells))) + _COLUMN_GAP


def _wrapped(name: str, width: int = 12) -> str:
    """Breaks a name after underscores and hyphens into lines of about ``width``."""
    lines = [""]
    for part in name.replace("_", "_\n").replace("-", "-\n").split("\n"):
        if lines[-1] and len(lines[-1]) + len(part) > width:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)


def _blocks(widths: Sequence[int], room: int) -> list[list[int]]:
    """Splits columns into groups that fit, and evens them out."""
    needed = _fill(widths, room)
    size = math.ceil(len(widths) / len(needed))
    even = [list(range(start, len(widths))[:size]) for start in range(0, len(widths), size)]
    fits = all(sum(widths[column] for column in block) <= room for block in even)
    return even if fits else needed


def _fill(widths: Sequence[int], room: int) -> list[list[int]]:
    blocks: list[list[int]] = [[]]
    used = 0
    for column, width in enumerate(widths):
        if blocks[-1] and used + width > room:
            blocks.append([])
            used = 0
        blocks[-1].append(column)
        used += width
    return blocks
