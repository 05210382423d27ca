"""What more tuning brings: expected time to target by number of trials."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from algoperf_scoring.leaderboard import Leaderboard
from algoperf_scoring.names import unknown_name
from algoperf_scoring.plots.labels import (
    add_legend_below,
    legend_columns,
    name_labels,
    shortened,
    time_unit,
)
from algoperf_scoring.plots.learning_curves import known_budget_s
from algoperf_scoring.plots.style import (
    DOUBLE_COLUMN_IN,
    ROW_IN,
    SINGLE_COLUMN_IN,
    label_left,
    new_figure,
    panels,
    paper_figure,
    series_style,
)
from algoperf_scoring.tuning_curves import TuningCurves

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HIGHLIGHTED = 14
"""Submissions with a colour of their own; those behind them are grey."""

_COLUMNS = 4
_PANEL_HEIGHT_IN = 1.35
_OTHERS = "0.8"


@paper_figure
def tuning_curves_figure(tuning_curves: TuningCurves, leaderboard: Leaderboard) -> "Figure":
    """Draws the expected time of the fastest of k trials against k, a panel per base workload.

    Submissions stand in the order of the leaderboard, the first `HIGHLIGHTED` in colours. Where a
    time is infinite or unknown there is no mark.

    Args:
      tuning_curves: Of the leaderboard's trials.
      leaderboard: Gives the order, the base workloads and their budgets.

    Raises:
      AlgoperfError: If matplotlib is not installed.
      UnknownNameError: If the curves lack a submission or a base workload.
    """
    for name in leaderboard.submissions:
        if name not in tuning_curves.submissions:
            raise unknown_name("submission", name, tuning_curves.submissions)
    base = leaderboard.benchmark.base
    columns = min(len(base), _COLUMNS)
    rows = -(-len(base) // columns)
    width = SINGLE_COLUMN_IN if len(base) == 1 else DOUBLE_COLUMN_IN
    labels = _legend_labels(leaderboard)
    lines = math.ceil(len(labels) / legend_columns(labels, width))
    figure = new_figure(width, 0.6 + _PANEL_HEIGHT_IN * max(rows, 1.3) + ROW_IN * lines)
    made = panels(figure, len(base), columns, share_y=False)
    for workload, axes in zip(base, made, strict=True):
        _draw_workload(axes, tuning_curves, leaderboard, workload)
    for axes in made[columns * (rows - 1) :]:
        axes.set_xlabel("Number of trials")
    label_left(made, columns, "Expected time to target")
    _add_legend(figure, labels)
    return figure


def _draw_workload(
    axes: "Axes", curves: TuningCurves, leaderboard: Leaderboard, workload: str
) -> None:
    if workload not in curves.workloads:
        raise unknown_name("workload", workload, curves.workloads)
    column = curves.workloads.index(workload)
    rows = [curves.submissions.index(name) for name in leaderboard.submissions]
    expected = curves.expected_s[rows, column]
    budget = known_budget_s(leaderboard, workload)
    unit = time_unit(expected if budget is None else budget)
    for place in reversed(range(len(rows))):
        _draw_curve(axes, place, expected[place] / unit.seconds)
    if budget is not None:
        axes.axhline(budget / unit.seconds, color="black", linewidth=0.8, linestyle=":")
    n_trials = expected.shape[-1]
    axes.set_xlim(0.7, n_trials + 0.3)
    axes.set_xticks(np.unique(np.linspace(1, n_trials, min(n_trials, 5)).round().astype(int)))
    axes.set_title(f"{shortened(workload, 22)} ({unit.name})", loc="left", pad=3.0)


def _draw_curve(axes: "Axes", place: int, times: NDArray[np.float64]) -> None:
    axes.plot(
        np.arange(1, len(times) + 1),
        np.where(np.isfinite(times), times, np.nan),
        **_appearance(place),
        zorder=2.5 if place < HIGHLIGHTED else 2.0,
    )


def _appearance(place: int) -> dict[str, Any]:
    if place >= HIGHLIGHTED:
        return {"color": _OTHERS, "linewidth": 0.7}
    style = series_style(place)
    return {
        "color": style.colour,
        "linestyle": style.line_style,
        "linewidth": 1.1,
        "marker": style.marker,
        "markersize": 3.2,
    }


def _legend_labels(leaderboard: Leaderboard) -> list[str]:
    labels = list(name_labels(leaderboard.submissions).values())
    others = len(labels) - HIGHLIGHTED
    return [*labels[:HIGHLIGHTED], *([f"{others} more"] if others > 0 else []), "budget"]


def _add_legend(figure: "Figure", labels: Sequence[str]) -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], **_appearance(place)) for place in range(len(labels) - 1)]
    handles.append(Line2D([], [], color="black", linewidth=0.8, linestyle=":"))
    add_legend_below(figure, handles, labels)
