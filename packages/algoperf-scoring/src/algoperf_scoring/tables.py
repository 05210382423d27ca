"""What a leaderboard and its analysis say, as tables of text.

`text_tables.py` renders them for a terminal, Markdown and LaTeX.
"""

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from algoperf_scoring.audit import AuditRow
from algoperf_scoring.errors import AlgoperfError
from algoperf_scoring.findings import KINDS
from algoperf_scoring.leaderboard import Leaderboard
from algoperf_scoring.profiles import performance_profile
from algoperf_scoring.ranks import rank_range
from algoperf_scoring.text_tables import Column, Table, printable, text_width
from algoperf_scoring.times import median_over_studies

if TYPE_CHECKING:
    from algoperf_scoring.analysis import Analysis

PROFILE_TAUS = (1.0, 1.25, 1.5, 2.0, 3.0, 4.0)
MISSED = "—"
NOT_COUNTED = "*"
TIED = "~"
_GAP = 2
_NAME = Column("submission", "left")


def heading(leaderboard: Leaderboard) -> str:
    """Returns two lines that say what was scored, and how."""
    benchmark, n_base = leaderboard.benchmark, len(leaderboard.benchmark.base)
    held_out = f" and {len(benchmark.held_out)} held-out" if benchmark.held_out else ""
    workloads = "workload" if len(benchmark.scored) == 1 else "workloads"
    n_submissions = len(leaderboard.submissions)
    submissions = "submission" if n_submissions == 1 else "submissions"
    unit = f", relative to {printable(leaderboard.reference)}" if leaderboard.reference else ""
    return (
        f"{printable(benchmark.name)}, {printable(leaderboard.ruleset)} tuning, "
        f"{leaderboard.method} integration{unit}\n"
        f"{n_submissions} {submissions} on {n_base} base{held_out} {workloads}\n"
    )


def leaderboard_tables(
    leaderboard: Leaderboard, analysis: "Analysis | None" = None, *, width: int | None = None
) -> Iterator[Table]:
    """Yields the tables that tell a leaderboard, the most important first.

    Args:
      leaderboard: What to show.
      analysis: Adds intervals, speedups and sensitivity.
      width: Characters in a line; submissions that do not fit go into further tables. None for as
        many as there are.
    """
    yield score_table(leaderboard, analysis)
    yield from times_tables(leaderboard, width)
    yield profile_table(leaderboard)
    if analysis is None:
        return
    if analysis.speedups is not None:
        yield speedup_table(analysis)
    yield from tuning_tables(analysis)
    yield from sensitivity_tables(analysis, width)


def score_table(leaderboard: Leaderboard, analysis: "Analysis | None" = None) -> Table:
    """Returns rank, score, and how many workloads and trials reached the target.

    With an analysis, the intervals of the score and of the rank.
    """
    n_held_out = len(leaderboard.benchmark.held_out)
    names = ["base", *(["held-out"] if n_held_out else []), "counted", "trials"]
    legend = "Workloads and trials at the target; counted: base workloads in the score."
    intervals: list[list[str]] = [[] for _ in leaderboard.submissions]
    if analysis is not None and not analysis.repeated:
        legend += "\nNo intervals: nothing was run more than once."
    elif analysis is not None:
        names = [f"{analysis.confidence:.0%} interval", "ranks", *names]
        intervals = [list(cells) for cells in _interval_cells(analysis)]
        legend += (
            f"\nInterval and ranks: {analysis.confidence:.0%} of {analysis.bootstrap.resamples:,} "
            f"bootstrap resamples, seed {analysis.bootstrap.seed}."
        )
    columns = (Column("#"), _NAME, Column("score"), *map(Column, names))
    rows = [_score_cells(leaderboard, row, intervals[row]) for row in _rows(leaderboard)]
    return Table("Scores", columns, tuple(rows), legend)


def times_tables(leaderboard: Leaderboard, width: int | None = None) -> list[Table]:
    """Returns times to target, workloads in rows, submissions in columns.

    Args:
      leaderboard: What to show.
      width: Characters in a line; submissions that do not fit go into a further table.
    """
    cells = _time_cells(leaderboard)
    names = [_wrapped(name) for name in leaderboard.submissions]
    workloads = leaderboard.benchmark.scored
    known = [_resolution(leaderboard, column) for column in _columns(leaderboard)]
    # Times from a table have no evaluations.
    resolution = {"resolution": known} if any(known) else {}
    first = max(map(text_width, ("workload", *workloads)))
    first += sum(_GAP + max(map(text_width, (name, *known))) for name in resolution)
    blocks = _fitting(names, cells, width, first)
    n_base = len(leaderboard.benchmark.base)
    return [
        Table(
            "Seconds to target" if block[0] == 0 else "Seconds to target, continued",
            (
                Column("workload", "left"),
                *(Column(names[row]) for row in block),
                *map(Column, resolution),
            ),
            tuple(
                zip(workloads, *(cells[row] for row in block), *resolution.values(), strict=True)
            ),
            times_legend(leaderboard) if block[-1] == len(names) - 1 else "",
            frozenset({n_base - 1}) if len(workloads) > n_base else frozenset(),
        )
        for block in blocks
    ]


def times_legend(leaderboard: Leaderboard) -> str:
    """Returns what the marks in the times tables mean."""
    limit = f"{leaderboard.benchmark.scoring.max_ratio:g}"
    held_out = ", or a held-out variant was missed" if leaderboard.benchmark.held_out else ""
    lines = [
        f"{MISSED} target missed; blank: no measurements.",
        f"{NOT_COUNTED} not counted: more than {limit} times the fastest{held_out}.",
    ]
    if leaderboard.times.tied().any():
        lines.append(
            f"{TIED} tied: another submission may have met the target first, as far as evaluations "
            "tell."
        )
    if any(_resolution(leaderboard, column) for column in _columns(leaderboard)):
        lines.append("Resolution: median time between evaluations.")
    return "\n".join(lines)


def profile_table(leaderboard: Leaderboard, taus: Sequence[float] = PROFILE_TAUS) -> Table:
    """Returns performance profiles at a few points.

    Args:
      leaderboard: What to show.
      taus: Ratios to the fastest submission, `(taus,)`; those above `scoring.max_ratio` are left
        out.
    """
    kept = [tau for tau in taus if tau <= leaderboard.benchmark.scoring.max_ratio]
    profiles = performance_profile(leaderboard.ratios, kept).tolist()
    rows = zip(leaderboard.submissions, profiles, strict=True)
    return Table(
        "Performance profiles",
        (_NAME, *(Column(f"{tau:g}") for tau in kept)),
        tuple((name, *(f"{share:.1%}" for share in profile)) for name, profile in rows),
        "Share of base workloads within a multiple of the fastest submission's time.",
    )


def speedup_table(analysis: "Analysis") -> Table:
    """Returns speedups over one submission, with their intervals.

    Raises:
      AlgoperfError: If the analysis has none.
    """
    speedups, intervals = analysis.speedups, analysis.speedup_intervals
    if speedups is None or intervals is None:
        raise AlgoperfError("this analysis has no speedups; choose one with speedup_over.")
    rows = []
    for row, name in enumerate(speedups.submissions):
        value, *ends = map(_number, (speedups.values[row], *intervals[row]))
        rows.append((name, value, " – ".join(ends) if value else ""))
    columns = (_NAME, Column("speedup"), Column(f"{analysis.confidence:.0%} interval"))
    shown = len(columns) if analysis.repeated else 2
    faster = "above" if speedups.direction == "rules" else "below"
    refusals = "".join(f"\nNo speedup: {text}" for text in speedups.refusals.values())
    return Table(
        f"Speedups over {speedups.reference}",
        columns[:shown],
        tuple(row[:shown] for row in rows),
        f"Geometric mean over base workloads of ratios of times; {faster} 1 is faster.\n"
        f"A missed target counts as the budget and 1 s.{refusals}",
    )


def tuning_tables(analysis: "Analysis") -> list[Table]:
    """Returns what the best of k tuning trials reaches, and when, over all base workloads.

    Empty if no study has more than one trial.
    """
    curves, n_base = analysis.tuning_curves, len(analysis.leaderboard.benchmark.base)
    n_trials = curves.expected_s.shape[-1]
    if n_trials < 2:
        return []
    columns = (_NAME, *(Column(f"best of {k + 1}") for k in range(n_trials)))
    reached = np.nan_to_num(curves.reach_probability[:, :n_base]).mean(axis=1).tolist()
    with np.errstate(divide="ignore"):
        seconds = np.exp(np.log(curves.expected_s[:, :n_base]).mean(axis=1)).tolist()
    names = curves.submissions
    return [
        Table(
            "Targets reached by number of tuning trials",
            columns,
            tuple(
                (name, *(f"{share:.1%}" for share in shares))
                for name, shares in zip(names, reached, strict=True)
            ),
            "Probability that the best of k trials of a study reaches the target, mean over base "
            "workloads.",
        ),
        Table(
            "Expected seconds to target by number of tuning trials",
            columns,
            tuple(
                (name, *map(_expected_cell, times))
                for name, times in zip(names, seconds, strict=True)
            ),
            "Geometric mean over base workloads; a missed target counts as the budget and 1 s.\n"
            f"Blank: a workload without measurements; {MISSED} a budget is unknown.",
        ),
    ]


def sensitivity_tables(analysis: "Analysis", width: int | None = None) -> list[Table]:
    """Returns scores under changed rules, with ranks that differ in brackets."""
    sensitivity = analysis.sensitivity
    names = [_wrapped(name) for name in sensitivity.submissions]
    usual = sensitivity.ranks[0]
    cells = [
        [
            f"{score:.4f}" + (f" [{rank}]" if rank != usual[row] else "")
            for score, rank in zip(
                sensitivity.scores[:, row].tolist(), sensitivity.ranks[:, row].tolist(), strict=True
            )
        ]
        for row in range(len(names))
    ]
    scenarios = [scenario.name for scenario in sensitivity.scenarios]
    first = max(map(text_width, ("rules", *scenarios)))
    return [
        Table(
            "Sensitivity" if block[0] == 0 else "Sensitivity, continued",
            (Column("rules", "left"), *(Column(names[row]) for row in block)),
            tuple(
                (scenario, *(cells[row][index] for row in block))
                for index, scenario in enumerate(scenarios)
            ),
            "Scores under changed rules; in brackets a rank that differs from the usual one."
            if block[-1] == len(names) - 1
            else "",
        )
        for block in _fitting(names, cells, width, first)
    ]


def audit_table(leaderboard: Leaderboard) -> Table:
    """Returns what became of the trials of every submission and workload."""
    return Table(
        "Audit",
        (
            _NAME,
            Column("workload", "left"),
            Column("studies"),
            Column("trials"),
            Column("reached"),
            Column("in the score", "left"),
            Column("findings", "left"),
        ),
        tuple(map(_audit_cells, leaderboard.audit)),
        "Studies and trials with measurements of those expected.",
        frozenset(
            index
            for index, (row, after) in enumerate(
                zip(leaderboard.audit, leaderboard.audit[1:], strict=False)
            )
            if row.submission != after.submission
        ),
    )


def format_seconds(seconds: float) -> str:
    """Returns a time with as many digits as a reader needs: ``"70,197"``, ``"12.3"``."""
    if seconds >= 100.0:
        return f"{seconds:,.0f}"
    return f"{seconds:.1f}" if seconds >= 10.0 else f"{seconds:.2f}"


def _score_cells(leaderboard: Leaderboard, row: int, interval: list[str]) -> tuple[str, ...]:
    n_base, times = len(leaderboard.benchmark.base), leaderboard.times
    columns = _columns(leaderboard)
    reached = np.isfinite(times.seconds[row, columns]).tolist()
    counted = sum(verdict.counts for verdict in leaderboard.verdicts[row])
    cells = [str(leaderboard.ranks[row]), leaderboard.submissions[row]]
    cells += [f"{leaderboard.scores[row]:.4f}", *interval, f"{sum(reached[:n_base])}/{n_base}"]
    if leaderboard.benchmark.held_out:
        cells.append(f"{sum(reached[n_base:])}/{len(reached) - n_base}")
    trials = times.trials_reached[row, columns].sum(), times.trials[row, columns].sum()
    return (*cells, f"{counted}/{n_base}", f"{trials[0]}/{trials[1]}")


def _interval_cells(analysis: "Analysis") -> Iterator[tuple[str, str]]:
    intervals = analysis.bootstrap.score_intervals(analysis.confidence).tolist()
    for (low, high), probabilities in zip(
        intervals, analysis.bootstrap.rank_probabilities().tolist(), strict=True
    ):
        best, worst = rank_range(probabilities, analysis.confidence)
        ranks = f"{best}–{worst}" if best < worst else str(best)
        yield f"{low:.4f} – {high:.4f}", ranks


def _time_cells(leaderboard: Leaderboard) -> list[list[str]]:
    """Returns the cells of every submission, in the order of the scored workloads."""
    tied = np.asarray(leaderboard.times.tied().any(axis=-1))
    columns = _columns(leaderboard)
    return [
        [_time_cell(leaderboard, row, column, bool(tied[column, row])) for column in columns]
        for row in _rows(leaderboard)
    ]


def _time_cell(leaderboard: Leaderboard, row: int, column: int, tied: bool) -> str:
    seconds = float(leaderboard.times.seconds[row, column])
    if not math.isfinite(seconds):
        return "" if math.isnan(seconds) else MISSED
    base = leaderboard.benchmark.base
    name = leaderboard.times.workloads[column]
    counted = name not in base or leaderboard.verdicts[row][base.index(name)].counts
    return (TIED if tied else "") + format_seconds(seconds) + ("" if counted else NOT_COUNTED)


def _resolution(leaderboard: Leaderboard, column: int) -> str:
    upper, lower = leaderboard.times.seconds[:, column], leaderboard.times.missed_until_s[:, column]
    both = np.isfinite(upper) & np.isfinite(lower)
    known = upper[both] - lower[both]
    return format_seconds(float(median_over_studies(known))) if len(known) else ""


def _audit_cells(row: AuditRow) -> tuple[str, ...]:
    findings = [
        f"{count} × {KINDS[kind].one}" if count > 1 else KINDS[kind].one
        for kind, count in row.findings.items()
    ]
    return (
        row.submission,
        row.workload,
        f"{row.studies}/{row.studies_expected}",
        f"{row.trials}/{row.trials_expected}",
        str(row.trials_reached),
        row.verdict,
        "; ".join(findings),
    )


def _number(value: float) -> str:
    return f"{value:.4f}" if math.isfinite(value) else ""


def _expected_cell(seconds: float) -> str:
    if math.isnan(seconds):
        return ""
    return MISSED if math.isinf(seconds) else format_seconds(seconds)


def _rows(leaderboard: Leaderboard) -> range:
    return range(len(leaderboard.submissions))


def _columns(leaderboard: Leaderboard) -> list[int]:
    """Returns the columns of the times, in the order in which the benchmark has the workloads."""
    return [leaderboard.times.workloads.index(name) for name in leaderboard.benchmark.scored]


def _wrapped(name: str, width: int = 12) -> str:
    """Breaks a name after underscores and hyphens into lines of about ``width``."""
    lines = [""]
    for part in name.replace("\n", " ").replace("_", "_\n").replace("-", "-\n").split("\n"):
        if lines[-1] and len(lines[-1]) + len(part) > width:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)


def _fitting(
    names: Sequence[str], cells: Sequence[Sequence[str]], width: int | None, first: int
) -> list[list[int]]:
    """Splits columns into groups that fit beside a first column, and evens them out."""
    if width is None:
        return [list(range(len(names)))]
    widths = [
        _GAP + max(map(text_width, (*name.split("\n"), *column)))
        for name, column in zip(names, cells, strict=True)
    ]
    needed = _fill(widths, width - first)
    size = math.ceil(len(widths) / len(needed))
    even = [list(range(start, len(widths))[:size]) for start in range(0, len(widths), size)]
    fits = all(sum(widths[column] for column in block) <= width - first for block in even)
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
