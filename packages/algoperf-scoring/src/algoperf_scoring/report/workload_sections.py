"""A section for every workload: its facts, times with their ranges, and charts of its trials."""

import math

import numpy as np
from numpy.typing import NDArray

from algoperf_scoring.analysis import Analysis
from algoperf_scoring.audit import say
from algoperf_scoring.leaderboard import Leaderboard
from algoperf_scoring.report.chart_data import budget_s
from algoperf_scoring.report.formats import (
    MISSED,
    UNKNOWN,
    percent,
    seconds,
    seconds_between,
    times_fastest,
)
from algoperf_scoring.report.markup import (
    Html,
    breakable,
    cell,
    element,
    head_cell,
    joined,
    paragraph,
    section,
    table,
)
from algoperf_scoring.report.routes import workload_anchor, workload_route
from algoperf_scoring.report.standings import chart
from algoperf_scoring.report.time_facts import TIED, TimeFacts
from algoperf_scoring.report.times_section import heat, marked

_NO_LOGS = (
    "These times come from a table, without the logs of their trials: there are no learning curves "
    "and no hyperparameters to show."
)
_THINNED = (
    "Every line is a trial, the strong ones are the best of their study. Curves are thinned: at "
    "most 40 of a trial's evaluations are drawn, among them the first, the first at the target and "
    "the last, with five significant digits."
)


def workloads_section(analysis: Analysis, facts: TimeFacts) -> Html:
    """Returns links to all workloads, and their sections."""
    links = [element("a", breakable(name), href=workload_route(name)) for name in facts.order]
    intervals = analysis.bootstrap.time_intervals(analysis.confidence)
    if not analysis.repeated:
        intervals = np.full_like(intervals, np.nan)
    parts = [
        _workload(analysis, name, index, _times_table(analysis, facts, name, intervals))
        for index, name in enumerate(facts.order)
    ]
    nav = element("nav", *links, class_="tabs", aria_label="Workloads")
    return section("workloads", "Workloads", nav, *parts)


def _workload(analysis: Analysis, name: str, index: int, times: Html) -> Html:
    anchor = workload_anchor(name)
    return element(
        "section",
        element("h3", breakable(name), id=f"{anchor}-title"),
        _facts(analysis, name),
        times,
        _charts(analysis, name, index),
        id=anchor,
        class_="workload",
        aria_labelledby=f"{anchor}-title",
    )


def _facts(analysis: Analysis, name: str) -> Html:
    board = analysis.leaderboard
    workload, benchmark = board.benchmark.workload(name), board.benchmark
    variants = [held for held in benchmark.held_out if benchmark.base_of(held) == name]
    sign, target = "≥" if workload.direction == "maximize" else "≤", workload.validation_target
    period = workload.eval_period_s
    facts: dict[str, str | Html] = {
        "metric": f"{workload.metric}, to {workload.direction}",
        "target": f"{sign} {target:g}" if math.isfinite(target) else UNKNOWN,
        "budget": f"{seconds(budget_s(board, name))} s" if workload.budget_s else UNKNOWN,
        "evaluated every": f"{period:g} s" if period else UNKNOWN,
    }
    if workload.variant_of and name in benchmark.held_out:
        facts["held-out variant of"] = _link(workload.variant_of)
    if variants:
        facts["held-out variants"] = joined(map(_link, variants), ", ")
    pairs = [
        element("div", element("dt", term), element("dd", text)) for term, text in facts.items()
    ]
    return element("dl", *pairs, class_="facts")


def _link(name: str) -> Html:
    return element("a", breakable(name), href=workload_route(name))


def _times_table(
    analysis: Analysis, facts: TimeFacts, name: str, intervals: NDArray[np.float64]
) -> Html:
    covered = percent(analysis.confidence)
    head = [
        head_cell("submission"),
        head_cell("time to target, s", class_="number"),
        head_cell("met between, s", class_="number"),
        head_cell(f"{covered} interval, s", class_="number"),
        head_cell("times fastest", class_="number"),
        head_cell("studies, s"),
        head_cell("trials at target", class_="number"),
        head_cell("verdict"),
    ]
    column = analysis.bootstrap.workloads.index(name)
    rows = [
        _time_row(analysis, facts, row, name, interval)
        for row, interval in enumerate(intervals[:, column].tolist())
    ]
    text = (
        "The target was met between two evaluations: after the first of the two times, and not "
        "later than the second, which is the time to target. The interval is that of the bootstrap."
    )
    caption = f"Times to target on {name}"
    return joined([table(caption, head, rows), paragraph(text, class_="note")])


def _time_row(
    analysis: Analysis, facts: TimeFacts, row: int, name: str, interval: list[float]
) -> list[Html]:
    board = analysis.leaderboard
    column = board.times.workloads.index(name)
    own, until = (
        float(values[row, column]) for values in (board.times.seconds, board.times.missed_until_s)
    )
    known = math.isfinite(own) and math.isfinite(until)
    studies = board.times.study_seconds[row, column]
    sign = marked(facts.marks[name][row], board.submissions[row])
    return [
        head_cell(breakable(board.submissions[row]), row=True),
        cell(seconds(own) if math.isfinite(own) else "", sign, class_="number nowrap"),
        cell(seconds_between(until, own) if known else "", class_="number nowrap"),
        cell(seconds_between(*interval), class_="number nowrap"),
        _ratio_cell(float(facts.ratios[name][row])),
        cell(", ".join(map(seconds, studies[~np.isnan(studies)].tolist()))),
        cell(
            f"{board.times.trials_reached[row, column]} of {board.times.trials[row, column]}",
            class_="number nowrap",
        ),
        cell(_verdict(board, facts, row, name)),
    ]


def _ratio_cell(ratio: float) -> Html:
    known = math.isfinite(ratio)
    look = f"number {heat(ratio)}" if known else None
    return cell(times_fastest(ratio) if known else "", class_=look)


def _verdict(board: Leaderboard, facts: TimeFacts, row: int, name: str) -> str:
    if name in board.benchmark.base:
        return say(board.verdicts[row][board.benchmark.base.index(name)], board.benchmark)
    return "; ".join(mark.reason for mark in facts.marks[name][row] if mark.sign != TIED)


def _charts(analysis: Analysis, name: str, index: int) -> Html:
    parts = []
    if analysis.leaderboard.logs is None:
        parts.append(paragraph(_NO_LOGS, class_="note"))
    else:
        parts += [
            element("h4", "Learning curves"),
            paragraph(_THINNED, class_="note"),
            chart("curves", f"Learning curves on {name}", workload=index),
        ]
    parts.append(_tuning(analysis, name, index))
    if analysis.leaderboard.logs is not None:
        parts += [
            element("h4", "Hyperparameters of the trials"),
            paragraph(
                "Time to target against one hyperparameter; trials that missed the target stand "
                "above the line.",
                class_="note",
            ),
            chart("scatter", f"Hyperparameters on {name}", workload=index),
        ]
    return joined(parts)


def _tuning(analysis: Analysis, name: str, index: int) -> Html:
    curves = analysis.tuning_curves
    column = curves.workloads.index(name)
    n_trials = curves.expected_s.shape[-1]
    if n_trials < 2:
        return Html("")
    head = [head_cell("submission")]
    head += [head_cell(f"best of {k + 1}", class_="number") for k in range(n_trials)]
    rows = [
        [
            head_cell(breakable(submission), row=True),
            *(
                cell(
                    seconds(expected),
                    element("small", percent(chance)) if chance == chance else "",
                    class_="number nowrap",
                )
                for expected, chance in zip(
                    curves.expected_s[row, column].tolist(),
                    curves.reach_probability[row, column].tolist(),
                    strict=True,
                )
            ),
        ]
        for row, submission in enumerate(curves.submissions)
    ]
    text = (
        "Expected time of the fastest of k trials of a study, in seconds, where a trial that misses "
        "the target takes the budget and 1 s; and how often at least one of k reaches it. "
        f"{MISSED}: the budget is unknown."
    )
    return joined(
        [
            element("h4", "What more tuning brings"),
            paragraph(text, class_="note"),
            chart("tuning", f"Best of k trials on {name}", workload=index),
            table(f"Expected time to target of the best of k trials on {name}", head, rows),
        ]
    )
