"""Scores with their bootstrap intervals, and the probabilities of ranks."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from algoperf_scoring.bootstrap import Bootstrap
from algoperf_scoring.leaderboard import Leaderboard
from algoperf_scoring.names import unknown_name
from algoperf_scoring.plots.heat_maps import draw_cell
from algoperf_scoring.plots.labels import name_labels
from algoperf_scoring.plots.style import (
    CHARACTER_IN,
    COLOURS,
    DOUBLE_COLUMN_IN,
    FONT_PT,
    ROW_IN,
    SINGLE_COLUMN_IN,
    new_figure,
    paper_figure,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_NAME_WIDTH = 24
_RANK_IN = 0.24
_LEVELS = {"studies": "studies", "studies_and_trials": "studies and trials"}


@paper_figure
def scores_figure(
    leaderboard: Leaderboard, bootstrap: Bootstrap, confidence: float = 0.95
) -> "Figure":
    """Draws the scores as dots and their bootstrap intervals as lines, a row per submission.

    Both are drawn where they are: a dot may lie outside its interval (see `Bootstrap`).

    Args:
      leaderboard: Gives scores and order.
      bootstrap: Of the same submissions.
      confidence: Coverage of the intervals, between 0 and 1.

    Raises:
      AlgoperfError: If matplotlib is not installed, or the confidence is not between 0 and 1.
      UnknownNameError: If the bootstrap lacks a submission.
    """
    scores = leaderboard.scores
    intervals = bootstrap.score_intervals(confidence)[_rows_of(bootstrap, leaderboard)]
    figure = new_figure(SINGLE_COLUMN_IN, 0.75 + ROW_IN * len(scores))
    axes = figure.add_subplot()
    places = np.arange(len(scores))
    axes.hlines(places, *intervals.T, color=COLOURS[5], linewidth=3.0, zorder=2)
    axes.plot(scores, places, "o", color=COLOURS[0], markersize=4.0, zorder=3, clip_on=False)
    _label_rows(axes, leaderboard)
    highest = max(*scores, *intervals[:, 1], 0.05)
    axes.set_xlim(0.0, min(1.0, 1.06 * highest))
    axes.grid(True)
    for place, score in zip(places.tolist(), scores.tolist(), strict=True):
        axes.text(
            1.03, place, f"{score:.4f}", va="center_baseline", transform=axes.get_yaxis_transform()
        )
    figure.supxlabel(
        f"Benchmark score (dot) and {100 * confidence:g} % interval (line)\n"
        f"of {bootstrap.resamples:,} resamples of {_LEVELS[bootstrap.levels]}",
        size=FONT_PT,
    )
    return figure


@paper_figure
def rank_figure(leaderboard: Leaderboard, bootstrap: Bootstrap) -> "Figure":
    """Draws how probable each rank is for each submission, in percent.

    Args:
      leaderboard: Gives the order of the submissions.
      bootstrap: Of the same submissions.

    Raises:
      AlgoperfError: If matplotlib is not installed.
      UnknownNameError: If the bootstrap lacks a submission.
    """
    probabilities = bootstrap.rank_probabilities()[_rows_of(bootstrap, leaderboard)]
    count = len(probabilities)
    names = CHARACTER_IN * max(map(len, name_labels(leaderboard.submissions, _NAME_WIDTH).values()))
    needed = names + _RANK_IN * count
    width = SINGLE_COLUMN_IN if needed <= SINGLE_COLUMN_IN else max(DOUBLE_COLUMN_IN, needed)
    figure = new_figure(width, 0.6 + ROW_IN * count)
    axes = figure.add_subplot()
    for row, column in np.ndindex(count, count):
        _draw_probability(axes, row, column, float(probabilities[row, column]))
    _label_rows(axes, leaderboard)
    axes.set_xlim(-0.5, count - 0.5)
    axes.set_xticks(range(count), [str(rank) for rank in range(1, count + 1)])
    axes.tick_params(length=0.0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel(f"Rank: share of {bootstrap.resamples:,} resamples, in %")
    return figure


def _draw_probability(axes: "Axes", row: int, column: int, probability: float) -> None:
    import matplotlib

    colour = matplotlib.colormaps["Blues"](0.9 * probability) if probability > 0.0 else "0.97"
    draw_cell(axes, column, row, percent(probability), colour)


def percent(probability: float) -> str:
    """Returns a probability in percent; empty for 0, and 100 for nothing less than certainty."""
    if probability in (0.0, 1.0):
        return "100" if probability else ""
    if probability < 0.01:
        return "<1"
    return ">99" if probability > 0.99 else f"{100 * probability:.0f}"


def _label_rows(axes: "Axes", leaderboard: Leaderboard) -> None:
    labels = name_labels(leaderboard.submissions, _NAME_WIDTH)
    axes.set_yticks(range(len(labels)), list(labels.values()))
    axes.set_ylim(len(labels) - 0.5, -0.5)


def _rows_of(bootstrap: Bootstrap, leaderboard: Leaderboard) -> NDArray[np.intp]:
    """Returns the rows of the bootstrap in the leaderboard's order, `(submissions,)`."""
    for name in leaderboard.submissions:
        if name not in bootstrap.submissions:
            raise unknown_name("submission of the bootstrap", name, bootstrap.submissions)
    rows = [bootstrap.submissions.index(name) for name in leaderboard.submissions]
    return np.array(rows, dtype=np.intp)
