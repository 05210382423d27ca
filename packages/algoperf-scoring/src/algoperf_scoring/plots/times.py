"""Times to target of all submissions on all workloads, as a heat map."""

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from algoperf_scoring.leaderboard import Leaderboard
from algoperf_scoring.plots.heat_maps import draw_cell, draw_hatched_cell
from algoperf_scoring.plots.labels import (
    TimeUnit,
    label_logarithmic,
    name_labels,
    time_unit,
    two_lines,
)
from algoperf_scoring.plots.style import (
    CHARACTER_IN,
    DOUBLE_COLUMN_IN,
    ROW_IN,
    SINGLE_COLUMN_IN,
    SMALL_FONT_PT,
    new_figure,
    paper_figure,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure

MISSED = "—"
NOT_COUNTED = "*"
_NAME_WIDTH = 24
_CELL_IN = 0.36
_GAP = 0.4
_TICKS = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 16.0, 32.0, 64.0)


@paper_figure
def times_figure(leaderboard: Leaderboard) -> "Figure":
    """Draws times to target, submissions in rows, base and then held-out workloads in columns.

    Colours say how many times the fastest a time is, on a logarithmic scale that ends at
    `scoring.max_ratio`. Missed targets are a dash, what is absent is blank. A star marks times that
    do not count: on a base workload for whatever reason, on a held-out one because it is too slow
    itself or because the base has none.

    Args:
      leaderboard: What to draw.

    Raises:
      AlgoperfError: If matplotlib is not installed.
    """
    names = name_labels(leaderboard.submissions, _NAME_WIDTH)
    heads = [two_lines(workload) for workload in leaderboard.benchmark.scored]
    head = max(len(line) for text in heads for line in text.split("\n"))
    needed = CHARACTER_IN * max(map(len, names.values())) + _CELL_IN * (len(heads) + _GAP)
    width = SINGLE_COLUMN_IN if needed <= SINGLE_COLUMN_IN else max(DOUBLE_COLUMN_IN, needed)
    figure = new_figure(width, 1.0 + CHARACTER_IN * head + ROW_IN * len(names))
    axes = figure.add_subplot()
    unit = time_unit(scored_seconds(leaderboard))
    scale = _scale(leaderboard.benchmark.scoring.max_ratio)
    _draw_cells(axes, leaderboard, unit, scale)
    _label_axes(axes, leaderboard, heads, list(names.values()))
    _add_legend(axes, leaderboard, unit, scale)
    return figure


def scored_seconds(leaderboard: Leaderboard) -> NDArray[np.float64]:
    """Returns times to target in the order of `benchmark.scored`, `(submissions, workloads)`."""
    times = leaderboard.times
    columns = [times.workloads.index(name) for name in leaderboard.benchmark.scored]
    return times.seconds[:, columns]


def not_counted(leaderboard: Leaderboard) -> NDArray[np.bool_]:
    """Says which of `scored_seconds` do not count, of the same shape; see `times_figure`."""
    benchmark, seconds = leaderboard.benchmark, scored_seconds(leaderboard)
    counts = np.array([[verdict.counts for verdict in row] for row in leaderboard.verdicts])
    bases = [benchmark.base.index(benchmark.base_of(name)) for name in benchmark.held_out]
    with_base = np.where(np.isfinite(seconds[:, bases]), seconds[:, len(benchmark.base) :], np.inf)
    in_time = with_base <= benchmark.scoring.max_ratio * _fastest(with_base)
    counts = np.hstack([counts, in_time & np.isfinite(with_base)])
    return np.asarray(np.isfinite(seconds) & ~counts)


def _fastest(seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the smallest finite time of each column, `(workloads,)`; infinity if none is."""
    finite = np.where(np.isfinite(seconds), seconds, np.inf)
    return np.asarray(finite.min(axis=0, initial=np.inf))


def _draw_cells(
    axes: "Axes", leaderboard: Leaderboard, unit: TimeUnit, scale: "ScalarMappable"
) -> None:
    seconds, marks = scored_seconds(leaderboard), not_counted(leaderboard)
    fastest = _fastest(seconds)
    for (row, column), time in np.ndenumerate(seconds):
        x = _place(leaderboard, column)
        if math.isinf(time):
            draw_hatched_cell(axes, x, row, MISSED)
        elif math.isfinite(time):
            ratio = time / fastest[column] if time > fastest[column] > 0.0 else 1.0
            share = min(math.log(ratio) / math.log(leaderboard.benchmark.scoring.max_ratio), 1.0)
            text = unit.text(time) + NOT_COUNTED * bool(marks[row, column])
            draw_cell(axes, x, row, text, scale.cmap(share))


def _place(leaderboard: Leaderboard, column: int) -> float:
    return column + _GAP * (column >= len(leaderboard.benchmark.base))


def _scale(max_ratio: float) -> "ScalarMappable":
    import matplotlib
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LogNorm

    return ScalarMappable(LogNorm(1.0, max_ratio), matplotlib.colormaps["cividis_r"])


def _label_axes(axes: "Axes", leaderboard: Leaderboard, heads: list[str], names: list[str]) -> None:
    n_base, held_out = len(leaderboard.benchmark.base), leaderboard.benchmark.held_out
    places = [_place(leaderboard, column) for column in range(len(heads))]
    axes.set_xlim(-0.5, places[-1] + 0.5)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_yticks(range(len(names)), names)
    axes.set_xticks(places, heads, rotation=90, multialignment="left")
    axes.tick_params(length=0.0, top=True, labeltop=True, bottom=False, labelbottom=False)
    axes.spines[:].set_visible(False)
    if held_out:
        for start, end, text in ((0, n_base - 1, "base"), (n_base, len(heads) - 1, "held-out")):
            middle = (places[start] + places[end]) / 2
            axes.annotate(
                text,
                (middle, 0.0),
                (0.0, -3.0),
                xycoords=axes.get_xaxis_transform(),
                textcoords="offset points",
                ha="center",
                va="top",
                size=SMALL_FONT_PT,
                style="italic",
            )


def _add_legend(
    axes: "Axes", leaderboard: Leaderboard, unit: TimeUnit, scale: "ScalarMappable"
) -> None:
    limit = leaderboard.benchmark.scoring.max_ratio
    bar = axes.figure.colorbar(
        scale, ax=axes, orientation="horizontal", extend="max", aspect=40, shrink=0.6, pad=0.02
    )
    label_logarithmic(bar.ax.xaxis, [tick for tick in _TICKS if tick <= limit])
    bar.outline.set_linewidth(0.6)
    bar.set_label(
        f"Numbers: time to target in {unit.name}; colours: ratio to the fastest\n"
        f"{MISSED} target missed; blank: no logs; {NOT_COUNTED} does not count"
    )
