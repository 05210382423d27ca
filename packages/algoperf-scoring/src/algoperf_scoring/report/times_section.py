"""Times to target of all submissions on all workloads, coloured, with the reason of every mark."""

import math

from algoperf_scoring.leaderboard import Leaderboard
from algoperf_scoring.report.formats import MISSED, TIMES, seconds, times_fastest
from algoperf_scoring.report.markup import (
    Html,
    breakable,
    cell,
    element,
    fold,
    head_cell,
    joined,
    paragraph,
    section,
    table,
)
from algoperf_scoring.report.routes import workload_route
from algoperf_scoring.report.time_facts import ABSENT, NOT_COUNTED, TIED, Mark, TimeFacts

HEAT_LIMITS = (1.0, 1.25, 1.5, 2.0, 3.0, 4.0)


def times_section(board: Leaderboard, facts: TimeFacts) -> Html:
    """Returns the table of times with its legend, and all marks in words."""
    head = [head_cell("workload"), *(head_cell(breakable(name)) for name in board.submissions)]
    rows = [_row(board, facts, name) for name in facts.order]
    return section(
        "times",
        "Times to target",
        paragraph(
            "Seconds of training until the validation target, and how many times the fastest that "
            "is. Held-out variants stand below their base workload, which counts only if they do.",
        ),
        table("Times to target in seconds, and ratios to the fastest", head, rows, "times"),
        _legend(board),
        _all_marks(board, facts),
    )


def heat(ratio: float) -> str:
    """Returns the class that colours a ratio to the fastest."""
    return f"h{sum(ratio > limit for limit in HEAT_LIMITS)}"


def marked(marks: list[Mark], about: str) -> Html:
    """Returns the signs as a button that tells their reasons; nothing if there are none."""
    if not marks:
        return Html("")
    reasons = "; ".join(mark.reason for mark in marks)
    signs = " ".join(mark.sign for mark in marks)
    return element(
        "button",
        signs,
        type="button",
        class_="why",
        data_why=f"{about}: {reasons}",
        aria_label=f"{signs}, {reasons}",
    )


def _row(board: Leaderboard, facts: TimeFacts, workload: str) -> list[Html]:
    link = element("a", breakable(workload), href=workload_route(workload))
    variant = "variant" if workload in board.benchmark.held_out else None
    own = board.times.seconds[:, board.times.workloads.index(workload)].tolist()
    columns = zip(
        own,
        facts.ratios[workload].tolist(),
        facts.marks[workload],
        board.submissions,
        strict=True,
    )
    cells = (_time_cell(*column[:3], f"{column[3]}, {workload}") for column in columns)
    return [head_cell(link, row=True, class_=variant), *cells]


def _time_cell(own: float, ratio: float, marks: list[Mark], about: str) -> Html:
    title = "; ".join(mark.reason for mark in marks) or None
    button = marked(marks, about)
    if not math.isfinite(own):
        return cell(button, class_="number time missed", title=title)
    known = math.isfinite(ratio)
    below = element("small", button, times_fastest(ratio) if known else "")
    counts = all(mark.sign != NOT_COUNTED for mark in marks)
    look = heat(ratio) if counts and known else "out"
    return cell(seconds(own), below, class_=f"number time {look}", title=title)


def _legend(board: Leaderboard) -> Html:
    limit = f"{board.benchmark.scoring.max_ratio:g}"
    steps = [f"1{TIMES}", *(f"≤ {limit:g}{TIMES}" for limit in HEAT_LIMITS[1:]), "more"]
    keys = [element("span", text, class_=f"key h{index}") for index, text in enumerate(steps)]
    signs = (
        f"{MISSED} target missed; {ABSENT}: no measurements; {NOT_COUNTED} not counted (more than "
        f"{limit} times the fastest, or a held-out variant does not count); {TIED} tied with "
        "another: the ranges between evaluations overlap. Choose a sign for its reason."
    )
    return joined([paragraph(*keys, class_="keys"), paragraph(signs, class_="note")])


def _all_marks(board: Leaderboard, facts: TimeFacts) -> Html:
    rows = [
        [
            head_cell(breakable(workload), row=True),
            cell(breakable(submission)),
            cell(mark.sign),
            cell(mark.reason),
        ]
        for workload in facts.order
        for submission, marks in zip(board.submissions, facts.marks[workload], strict=True)
        for mark in marks
    ]
    if not rows:
        return Html("")
    head = [head_cell(name) for name in ("workload", "submission", "sign", "reason")]
    return fold(f"All {len(rows)} signs in words", table("Signs and their reasons", head, rows))
