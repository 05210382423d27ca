"""Performance profiles: how many workloads a submission reached within a multiple of the fastest."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from algoperf_scoring.leaderboard import Leaderboard
from algoperf_scoring.plots.labels import (
    add_legend_below,
    label_legend,
    label_logarithmic,
    legend_columns,
    name_labels,
    shortened,
)
from algoperf_scoring.plots.style import (
    DOUBLE_COLUMN_IN,
    MARKERS,
    ROW_IN,
    new_figure,
    paper_figure,
    series_style,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TICKS = (1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0, 8.0, 16.0, 32.0, 64.0)
_DISTINCT = 28
_BESIDE = 14
_HEADING = "Score  Submission"


@paper_figure
def profiles_figure(leaderboard: Leaderboard) -> "Figure":
    """Draws the performance profile of every submission (Dahl et al. 2023, section 4.5).

    Args:
      leaderboard: What to draw; the legend gives scores, best first.

    Raises:
      AlgoperfError: If matplotlib is not installed.
    """
    count = len(leaderboard.submissions)
    labels = _legend_labels(leaderboard)
    beside = count <= _BESIDE
    lines = 0 if beside else math.ceil(count / legend_columns(labels, DOUBLE_COLUMN_IN)) + 1
    figure = new_figure(DOUBLE_COLUMN_IN, 3.0 + ROW_IN * lines)
    axes = figure.add_subplot()
    for row in range(count):
        _draw_profile(axes, leaderboard, row)
    _label_axes(axes, leaderboard)
    if beside:
        _add_legend_beside(axes, labels)
    else:
        add_legend_below(figure, axes.get_lines(), labels, note=_HEADING)
    return figure


def _draw_profile(axes: "Axes", leaderboard: Leaderboard, row: int) -> None:
    limit = leaderboard.benchmark.scoring.max_ratio
    ratios = leaderboard.ratios[row]
    inside = ratios[(ratios >= 1.0) & (ratios <= limit)]
    steps = np.unique(np.concatenate(([1.0, limit], inside)))
    style = series_style(row)
    axes.step(
        steps,
        (ratios <= steps[:, np.newaxis]).mean(axis=-1),
        where="post",
        color=style.colour,
        linestyle=style.line_style,
        # Further rounds of the same colours and styles carry markers.
        marker=MARKERS[row // _DISTINCT % len(MARKERS)] if row >= _DISTINCT else None,
        markersize=3.5,
        zorder=2.0 + row % 4 / 10,
        clip_on=False,
    )


def _label_axes(axes: "Axes", leaderboard: Leaderboard) -> None:
    benchmark, n_base = leaderboard.benchmark, len(leaderboard.benchmark.base)
    limit = benchmark.scoring.max_ratio
    axes.set_xscale("log")
    axes.set_xlim(1.0, limit)
    label_logarithmic(axes.xaxis, [tick for tick in _TICKS if tick <= limit])
    axes.set_ylim(0.0, 1.0)
    axes.set_yticks(np.linspace(0.0, 1.0, 5), [f"{share:.0%}" for share in np.linspace(0, 1, 5)])
    fastest = "the fastest submission"
    if leaderboard.reference is not None:
        fastest = shortened(leaderboard.reference)
    axes.set_xlabel(f"Time to target, relative to {fastest} (τ)")
    workloads = f"Share of the {n_base} workloads reached" if n_base > 1 else "Workload reached"
    axes.set_ylabel(workloads)
    axes.set_title(
        f"{shortened(benchmark.name)}, {shortened(leaderboard.ruleset)} tuning", loc="left"
    )
    axes.grid(True)


def _legend_labels(leaderboard: Leaderboard) -> list[str]:
    labels = name_labels(leaderboard.submissions).values()
    return [
        f"{score:.4f}  {label}"
        for score, label in zip(leaderboard.scores.tolist(), labels, strict=True)
    ]


def _add_legend_beside(axes: "Axes", labels: Sequence[str]) -> None:
    legend = axes.legend(
        axes.get_lines(),
        [""] * len(labels),
        title=_HEADING,
        alignment="left",
        loc="upper left",
        bbox_to_anchor=(1.02, 1.0),
        borderaxespad=0.0,
        handlelength=2.8,
    )
    label_legend(legend, labels)
