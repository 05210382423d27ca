"""Hyperparameters of trials against their times to target."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from algoperf_scoring.errors import AlgoperfError
from algoperf_scoring.hyperparameters import Hyperparameter, read_hyperparameters
from algoperf_scoring.leaderboard import Leaderboard
from algoperf_scoring.logs import Trial
from algoperf_scoring.names import unknown_name
from algoperf_scoring.plots.labels import (
    TimeUnit,
    add_legend_below,
    label_logarithmic,
    logarithmic_ticks,
    name_labels,
    shortened,
    time_unit,
)
from algoperf_scoring.plots.learning_curves import known_budget_s
from algoperf_scoring.plots.style import (
    CHARACTER_IN,
    COLOURS,
    DOUBLE_COLUMN_IN,
    MARKERS,
    MUTED,
    SINGLE_COLUMN_IN,
    label_left,
    new_figure,
    panels,
    paper_figure,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_PANELS = 24
"""Most hyperparameters that are drawn; files from strangers may hold any number."""

_COLUMNS = 4
_PANEL_HEIGHT_IN = 1.35
_CATEGORY_WIDTH = 12


class TrialPoint(NamedTuple):
    """A trial with its hyperparameters.

    Attributes:
      study: Name of its study.
      seconds: Time to target; infinity if it was missed.
      hyperparameters: Values by name.
    """

    study: str
    seconds: float
    hyperparameters: dict[str, Hyperparameter]


class _View(NamedTuple):
    """What all panels share; times are in its unit."""

    studies: list[str]
    unit: TimeUnit
    budget: float | None
    missed: float
    low: float
    high: float


@paper_figure
def trial_scatter_figure(leaderboard: Leaderboard, submission: str, workload: str) -> "Figure":
    """Draws the time to target of every trial against its hyperparameters, a panel each.

    Colours and marks are studies. A trial that missed the target is a hollow mark at the budget, or
    at the top if that is unknown. Hyperparameters that are the same in all trials are named below,
    not drawn, unless all are. Values that are not all numbers are drawn as categories.

    Args:
      leaderboard: Made from logs.
      submission: Whose trials.
      workload: On which scored workload.

    Raises:
      AlgoperfError: If the leaderboard was not made from logs, the trials have no hyperparameters,
        or matplotlib is not installed.
      LogError: If a file of hyperparameters cannot be read.
      UnknownNameError: If submission or workload is not on the leaderboard.
    """
    points = trial_points(leaderboard, submission, workload)
    drawn, constant = _drawn_names(points)
    view, note = _view(leaderboard, workload, points), _note(constant)
    columns = min(len(drawn), _COLUMNS)
    rows = -(-len(drawn) // columns)
    width = SINGLE_COLUMN_IN if columns == 1 else DOUBLE_COLUMN_IN
    lines = len(note) * CHARACTER_IN / width
    figure = new_figure(width, 0.9 + 0.12 * lines + _PANEL_HEIGHT_IN * max(rows, 1.3))
    made = panels(figure, len(drawn), columns, share_y=True, share_x=False)
    for name, axes in zip(drawn, made, strict=True):
        _draw_panel(axes, name, points, view, room=int(0.8 * width / columns / CHARACTER_IN))
    label_left(made, columns, f"Time to target ({view.unit.name})")
    title = f"{shortened(submission)} on {shortened(workload, 44)}"
    figure.suptitle(title, x=0.01, ha="left")
    any_missed = any(math.isinf(point.seconds) for point in points)
    _add_legend(figure, view, any_missed=any_missed, note=note)
    return figure


def trial_points(leaderboard: Leaderboard, submission: str, workload: str) -> list[TrialPoint]:
    """Returns the trials of a submission on a workload that have hyperparameters.

    Raises:
      AlgoperfError: If the leaderboard was not made from logs, or there are no such trials.
      LogError: If a file of hyperparameters cannot be read.
      UnknownNameError: If submission or workload is not on the leaderboard.
    """
    times = leaderboard.trials
    if submission not in times.submissions:
        raise unknown_name("submission", submission, times.submissions)
    if workload not in times.workloads:
        raise unknown_name("scored workload", workload, times.workloads)
    seconds = {
        (row.study, row.trial): row.seconds
        for row in times.take([times.submissions.index(submission)]).rows()
        if row.workload == workload
    }
    points = []
    for trial in _trials(leaderboard, submission, workload):
        values = read_hyperparameters(trial)
        if values:
            points.append(TrialPoint(trial.study, seconds[trial.study, trial.number], values))
    if not points:
        raise AlgoperfError(
            f"the trials of {submission!r} on {workload!r} have no hyperparameters: there is no "
            "hparams.json beside their measurements, or none holds a value."
        )
    return points


def has_hyperparameters(leaderboard: Leaderboard, submission: str, workload: str) -> bool:
    """Whether a trial of a submission on a workload has hyperparameters.

    Raises:
      AlgoperfError: If the leaderboard was not made from logs.
      LogError: If a file of hyperparameters cannot be read.
    """
    return any(map(read_hyperparameters, _trials(leaderboard, submission, workload)))


def _trials(leaderboard: Leaderboard, submission: str, workload: str) -> list[Trial]:
    if leaderboard.logs is None:
        raise AlgoperfError(
            "hyperparameters lie among logs, and this leaderboard was made from times alone; make "
            "it with score_logs."
        )
    studies = leaderboard.logs.studies(submission, workload)
    return [trial for trials in studies.values() for trial in trials]


def _drawn_names(points: Sequence[TrialPoint]) -> tuple[list[str], list[str]]:
    """Returns the names of hyperparameters that differ between trials, and of the others."""
    names = list(dict.fromkeys(name for point in points for name in point.hyperparameters))
    varying = [
        name
        for name in names
        if len({repr(point.hyperparameters.get(name)) for point in points}) > 1
    ]
    if not varying:
        return names[:MAX_PANELS], []
    return varying[:MAX_PANELS], [name for name in names if name not in varying]


def _view(leaderboard: Leaderboard, workload: str, points: Sequence[TrialPoint]) -> _View:
    reached = [point.seconds for point in points if math.isfinite(point.seconds)]
    budget_s = known_budget_s(leaderboard, workload)
    # Without a budget, what missed the target stands above all that reached it.
    top_s = 1.08 * max(reached, default=1.0) if budget_s is None else max(budget_s, *reached, 0.0)
    unit = time_unit(top_s)
    missed, lowest = top_s / unit.seconds, min(reached, default=0.0) / unit.seconds
    margin = 0.08 * (missed - lowest) or 0.1
    return _View(
        sorted({point.study for point in points}),
        unit,
        None if budget_s is None else budget_s / unit.seconds,
        missed,
        max(0.0, lowest - margin),
        missed + margin,
    )


def _draw_panel(
    axes: "Axes", name: str, points: Sequence[TrialPoint], view: _View, *, room: int
) -> None:
    with_value = [point for point in points if name in point.hyperparameters]
    values = [point.hyperparameters[name] for point in with_value]
    study = np.array([view.studies.index(point.study) for point in with_value])
    if all(_is_number(value) for value in values):
        places = _numeric_axis(axes, list(map(float, values)), room)
    else:
        # Studies side by side, where all trials of a category would hide each other.
        places = _categorical_axis(axes, values, room)
        places += 0.5 * ((study + 0.5) / len(view.studies) - 0.5)
    seconds = np.array([point.seconds for point in with_value])
    for index in range(len(view.studies)):
        for hollow in (False, True):
            chosen = (study == index) & (np.isinf(seconds) == hollow)
            if chosen.any():
                times = view.missed if hollow else seconds[chosen] / view.unit.seconds
                _draw_trials(axes, index, places[chosen], times, hollow=hollow)
    if view.budget is not None:
        axes.axhline(view.budget, color="black", linewidth=0.8, linestyle=":", zorder=1.5)
    axes.set_ylim(view.low, view.high)
    axes.set_xlabel(shortened(name, 24))


def _draw_trials(
    axes: "Axes",
    study: int,
    places: NDArray[np.float64],
    times: NDArray[np.float64] | float,
    *,
    hollow: bool,
) -> None:
    colour = COLOURS[study % len(COLOURS)]
    axes.plot(
        places,
        np.broadcast_to(times, places.shape),
        MARKERS[study % len(MARKERS)],
        color=colour,
        markerfacecolor="none" if hollow else colour,
        markersize=3.8,
        markeredgewidth=0.8,
    )


def _is_number(value: Hyperparameter) -> bool:
    """Whether a value is drawn on an axis of numbers: those a drawing library can reckon with."""
    if isinstance(value, bool | str):
        return False
    return value == 0 or 1e-100 < abs(value) < 1e100


def _numeric_axis(axes: "Axes", values: Sequence[float], room: int) -> NDArray[np.float64]:
    """Prepares an axis of numbers and returns places on it, `(trials,)`."""
    low, high = min(values), max(values)
    if 0.0 < low < high / 10.0:
        margin = (high / low) ** 0.08
        axes.set_xscale("log")
        axes.set_xlim(low / margin, high * margin)
        label_logarithmic(axes.xaxis, logarithmic_ticks(low / margin, high * margin, room))
    else:
        margin = 0.08 * (high - low) or 0.1 * abs(high) or 0.1
        axes.set_xlim(low - margin, high + margin)
        axes.locator_params(axis="x", nbins=4, integer=all(map(float.is_integer, values)))
    return np.array(values)


def _categorical_axis(
    axes: "Axes", values: Sequence[Hyperparameter], room: int
) -> NDArray[np.float64]:
    """Prepares an axis of categories and returns places on it, `(trials,)`."""
    texts = [str(value).lower() if isinstance(value, bool) else str(value) for value in values]
    categories = sorted(set(texts))
    labels = [shortened(text, _CATEGORY_WIDTH) for text in categories]
    upright = len(labels) * (max(map(len, labels)) + 1) > room
    step = -(-len(labels) // max(1, room // 2))
    ticks = range(0, len(labels), step)
    axes.set_xticks(ticks, labels[::step], rotation=90 if upright else 0)
    axes.set_xlim(-0.5, len(labels) - 0.5)
    return np.array([float(categories.index(text)) for text in texts])


def _note(constant: Sequence[str]) -> str:
    if not constant:
        return ""
    named = ", ".join(shortened(name) for name in constant[:MAX_PANELS])
    rest = len(constant) - MAX_PANELS
    return f"The same in all trials: {named}" + (f" and {rest} more." if rest > 0 else ".")


def _add_legend(figure: "Figure", view: _View, *, any_missed: bool, note: str) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D(
            [],
            [],
            color=COLOURS[study % len(COLOURS)],
            marker=MARKERS[study % len(MARKERS)],
            linestyle="none",
            markersize=3.8,
        )
        for study in range(len(view.studies))
    ]
    labels = list(name_labels(view.studies, 20).values())
    if any_missed:
        hollow = Line2D([], [], color=MUTED, marker="o", linestyle="none", markersize=3.8)
        hollow.set_markerfacecolor("none")
        handles.append(hollow)
        labels.append("target missed")
    if view.budget is not None:
        handles.append(Line2D([], [], color="black", linewidth=0.8, linestyle=":"))
        labels.append("budget")
    add_legend_below(figure, handles, labels, note=note)
