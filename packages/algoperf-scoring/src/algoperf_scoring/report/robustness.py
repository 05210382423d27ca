"""How far the order can be trusted: ranks of resamples, ranks under changed rules, speedups."""

import math

import numpy as np

from algoperf_scoring.analysis import Analysis
from algoperf_scoring.report.formats import percent, score
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
from algoperf_scoring.speedups import Speedups

_HEAT_SHARES = (0.005, 0.05, 0.2, 0.4, 0.6, 0.8)


def robustness_section(analysis: Analysis) -> Html:
    """Returns rank probabilities, ranks under changed rules and, if there are any, speedups."""
    return section(
        "robustness",
        "How far the order can be trusted",
        *([element("h3", "Ranks in the resamples"), _rank_table(analysis)] * analysis.repeated),
        element("h3", "Ranks under changed rules"),
        _sensitivity_table(analysis),
        _speedups(analysis, analysis.speedups) if analysis.speedups else "",
    )


def _rank_table(analysis: Analysis) -> Html:
    names = analysis.leaderboard.submissions
    head = [head_cell("submission"), *(_number_head(str(k + 1)) for k in range(len(names)))]
    rows = [
        [head_cell(breakable(name), row=True), *map(_share_cell, chances)]
        for name, chances in zip(
            names, analysis.bootstrap.rank_probabilities().tolist(), strict=True
        )
    ]
    return joined(
        [
            paragraph("How often a submission has each rank; equal scores share the better one."),
            table("Probability of each rank", head, rows, "heat"),
        ]
    )


def _share_cell(share: float) -> Html:
    level = sum(share >= limit for limit in _HEAT_SHARES)
    return cell(percent(share) if share > 0.0 else "", class_=f"number nowrap p{level}")


def _sensitivity_table(analysis: Analysis) -> Html:
    tried = analysis.sensitivity
    head = [head_cell("rules"), *(head_cell(breakable(name)) for name in tried.submissions)]
    as_it_is = tried.ranks[0].tolist()
    rows = [
        [
            head_cell(breakable(scenario.name), row=True),
            *(
                _changed_rank(rank, usual, own)
                for rank, usual, own in zip(ranks, as_it_is, scores, strict=True)
            ),
        ]
        for scenario, ranks, scores in zip(
            tried.scenarios, tried.ranks.tolist(), tried.scores.tolist(), strict=True
        )
    ]
    return joined(
        [
            paragraph("Rank and score if one rule is changed; ▲ better, ▼ worse than as it is."),
            table("Ranks and scores under changed rules", head, rows, "changes"),
        ]
    )


def _changed_rank(rank: int, usual: int, own: float) -> Html:
    change, look = "", ""
    if rank != usual:
        better = rank < usual
        change, look = f" {'▲' if better else '▼'}{abs(rank - usual)}", "up" if better else "down"
    return cell(
        f"{rank}{change}", element("small", score(own)), class_=f"number nowrap {look}".strip()
    )


def _speedups(analysis: Analysis, compared: Speedups) -> Html:
    ends = analysis.speedup_intervals
    if ends is None or not analysis.repeated:
        ends = np.full((len(compared.submissions), 2), np.nan)
    above = "above 1 is faster" if compared.direction == "rules" else "below 1 is faster"
    head = [
        head_cell("submission"),
        _number_head("speedup"),
        _number_head(f"{percent(analysis.confidence)} interval"),
        head_cell("note"),
    ]
    rows = [
        [
            head_cell(breakable(name), row=True),
            cell(f"{value:.3f}" if math.isfinite(value) else "", class_="number"),
            cell(_between(*interval), class_="number nowrap"),
            cell(compared.refusals.get(name, "")),
        ]
        for name, value, interval in zip(
            compared.submissions, compared.values.tolist(), ends.tolist(), strict=True
        )
    ]
    text = (
        f"Geometric mean over the base workloads of times to target against {compared.reference}; "
        f"{above}. A missed target takes the budget and 1 s; neither the limit on ratios nor "
        "held-out variants matter."
    )
    title = element("h3", "Speedups over ", breakable(compared.reference))
    return joined([title, paragraph(text), table("Speedups and their intervals", head, rows)])


def _between(low: float, high: float) -> str:
    return f"{low:.3f} to {high:.3f}" if math.isfinite(low) and math.isfinite(high) else ""


def _number_head(text: str) -> Html:
    return head_cell(text, class_="number")
