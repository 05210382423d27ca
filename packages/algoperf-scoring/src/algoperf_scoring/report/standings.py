"""The leaderboard with its uncertainty, and the performance profiles behind the scores."""

import math

from algoperf_scoring.analysis import Analysis
from algoperf_scoring.profiles import performance_profile
from algoperf_scoring.ranks import rank_range
from algoperf_scoring.report.formats import counted, percent, score, tenths
from algoperf_scoring.report.markup import (
    Html,
    breakable,
    cell,
    element,
    head_cell,
    paragraph,
    section,
    table,
)

PROFILE_TAUS = (1.0, 1.1, 1.25, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)
_BAR_WIDTH = 160


def leaderboard_section(analysis: Analysis) -> Html:
    """Returns ranks, scores, intervals and counts, and what they mean."""
    board = analysis.leaderboard
    covered = percent(analysis.confidence)
    ends = analysis.bootstrap.score_intervals(analysis.confidence).tolist()
    low, high = _axis([*map(float, board.scores), *(end for pair in ends for end in pair)])
    head = [
        head_cell("rank", class_="number"),
        head_cell("submission"),
        head_cell("score", class_="number"),
        *(
            [
                head_cell(f"{covered} interval", class_="number"),
                head_cell(element("span", f"{low:g}"), element("span", f"{high:g}"), class_="axis"),
                head_cell("first rank", class_="number"),
                head_cell("ranks", class_="number"),
            ]
            if analysis.repeated
            else []
        ),
        head_cell("workloads counted", class_="number"),
        head_cell("trials at target", class_="number"),
    ]
    chances = analysis.bootstrap.rank_probabilities().tolist()
    rows = [
        _standing(analysis, row, (low, high), ends[row], chances[row])
        for row in range(len(board.submissions))
    ]
    caption = "Leaderboard: ranks, scores and their intervals"
    return section(
        "leaderboard", "Leaderboard", table(caption, head, rows, "standings"), _notes(analysis)
    )


def profiles_section(analysis: Analysis) -> Html:
    """Returns the place of the interactive chart, and a table of the profiles."""
    board = analysis.leaderboard
    limit = board.benchmark.scoring.max_ratio
    taus = [tau for tau in PROFILE_TAUS if tau <= limit]
    head = [head_cell("submission"), *(head_cell(f"{tau:g}", class_="number") for tau in taus)]
    profiles = performance_profile(board.ratios, taus).tolist()
    rows = [
        [
            head_cell(breakable(name), row=True),
            *(cell(tenths(share), class_="number nowrap") for share in row),
        ]
        for name, row in zip(board.submissions, profiles, strict=True)
    ]
    return section(
        "profiles",
        "Performance profiles",
        paragraph(
            "The share of base workloads on which a submission needs at most τ times as long as ",
            "the submission that is the unit. " if board.reference else "the fastest one. ",
            f"Its mean from τ = 1 to {limit:g} is the score.",
        ),
        chart("profile-chart", "Performance profiles"),
        table("Performance profiles at some values of τ", head, rows),
    )


def chart(name: str, label: str, **data: str | int) -> Html:
    """Returns the place where the script draws a chart.

    Args:
      name: What kind of chart it is.
      label: What it shows.
      **data: Attributes ``data-...`` for the script.
    """
    # Not noscript: this is also read where the script was stopped.
    without = paragraph("This chart needs JavaScript; the tables do not.", class_="note")
    attributes = {f"data_{key}": value for key, value in data.items()}
    return element(
        "div",
        without,
        class_="chart",
        role="group",
        data_chart=name,
        aria_label=label,
        **attributes,
    )


def _standing(
    analysis: Analysis,
    row: int,
    axis: tuple[float, float],
    interval: list[float],
    chances: list[float],
) -> list[Html]:
    board, (low, high) = analysis.leaderboard, interval
    best, worst = rank_range(chances, analysis.confidence)
    own = float(board.scores[row])
    n_counted = sum(math.isfinite(ratio) for ratio in board.ratios[row].tolist())
    reached, trials = board.times.trials_reached[row].sum(), board.times.trials[row].sum()
    return [
        cell(board.ranks[row], class_="number"),
        head_cell(breakable(board.submissions[row]), row=True),
        cell(element("strong", score(own)), class_="number"),
        *(
            [
                cell(f"{score(low)} to {score(high)}", class_="number nowrap"),
                cell(_bar(low, own, high, axis)),
                cell(percent(chances[0]), class_="number nowrap"),
                cell(str(best) if best == worst else f"{best} to {worst}", class_="number nowrap"),
            ]
            if analysis.repeated
            else []
        ),
        cell(f"{n_counted} of {len(board.benchmark.base)}", class_="number nowrap"),
        cell(f"{reached:,} of {trials:,}", class_="number nowrap"),
    ]


def _axis(values: list[float]) -> tuple[float, float]:
    """Returns tenths between which all values lie; from 0 to 1 if there are none."""
    if not values:
        return 0.0, 1.0
    low = math.floor(min(values) * 10) / 10
    return low, max(math.ceil(max(values) * 10), math.floor(min(values) * 10) + 1) / 10


def _bar(low: float, own: float, high: float, axis: tuple[float, float]) -> Html:
    def place(value: float) -> str:
        share = (value - axis[0]) / (axis[1] - axis[0])
        return f"{4 + share * (_BAR_WIDTH - 8):.1f}"

    line = element("line", x1=place(low), x2=place(high), y1=8, y2=8, class_="interval")
    dot = element("circle", cx=place(own), cy=8, r=4, class_="estimate")
    rail = element("line", x1=0, x2=_BAR_WIDTH, y1=8, y2=8, class_="rail")
    label = f"{score(own)}, interval from {score(low)} to {score(high)}"
    return element(
        "svg", rail, line, dot, role="img", aria_label=label, width=_BAR_WIDTH, height=16
    )


def _notes(analysis: Analysis) -> Html:
    drawn = analysis.bootstrap
    relative = (
        "Scores are relative to this group of submissions: with others in it, they change. A "
        "workload counts if its time, and that of its held-out variants, does."
    )
    if not analysis.repeated:
        return paragraph(f"No intervals: nothing was run more than once. {relative}", class_="note")
    what = {
        "studies_and_trials": "studies, and the trials inside each, were drawn anew",
        "studies": "studies were drawn anew, each with the trials it has",
    }[drawn.levels]
    aside = ""
    if drawn.levels == "studies_and_trials":
        aside = (
            "Drawing trials anew makes the best of several pessimistic, so that an interval may "
            "lie to one side of its score, or not contain it. "
        )
    return paragraph(
        f"Intervals and probabilities: {counted(drawn.resamples, 'resample', 'resamples')} with "
        f"seed {drawn.seed}, in which {what}; {percent(analysis.confidence)} of them lie inside. "
        f"{aside}{relative}",
        class_="note",
    )
