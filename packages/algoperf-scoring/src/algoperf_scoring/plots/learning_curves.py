"""Learning curves: the metric of every trial on a workload, against submission time."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from algoperf_scoring.errors import AlgoperfError
from algoperf_scoring.facts import BenchmarkWorkload
from algoperf_scoring.leaderboard import Leaderboard
from algoperf_scoring.logs import Logs, Trial
from algoperf_scoring.names import unknown_name
from algoperf_scoring.plots.labels import (
    TimeUnit,
    add_legend_below,
    name_labels,
    shortened,
    time_unit,
)
from algoperf_scoring.plots.style import (
    COLOURS,
    DOUBLE_COLUMN_IN,
    MUTED,
    SINGLE_COLUMN_IN,
    SMALL_FONT_PT,
    label_left,
    new_figure,
    panels,
    paper_figure,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_OUTSIDE = "all values outside"
_VISIBLE_SHARE = 0.8
_VERY_GOOD_SHARE = 0.05
_LARGEST = 1e100
_PANEL_HEIGHT_IN = 1.25
# What fits above a panel beside the time, by the number of panels in a row.
_NAME_WIDTHS = {1: 28, 2: 28, 3: 24, 4: 17}


class ValueLimits(NamedTuple):
    """The part of a metric's values that is worth looking at.

    Attributes:
      low: Lower end.
      high: Upper end.
      below: Whether there are values below.
      above: Whether there are values above.
    """

    low: float
    high: float
    below: bool
    above: bool


class _View(NamedTuple):
    """What all panels of a figure share."""

    leaderboard: Leaderboard
    logs: Logs
    facts: BenchmarkWorkload
    studies: list[str]
    limits: ValueLimits
    longest_s: float
    budget_s: float | None
    unit: TimeUnit

    def colour(self, study: str) -> str:
        return COLOURS[self.studies.index(study) % len(COLOURS)]

    def trials(self, submission: str) -> list[Trial]:
        studies = self.logs.studies(submission, self.facts.name)
        return [trial for trials in studies.values() for trial in trials]


@paper_figure
def learning_curves_figure(
    leaderboard: Leaderboard, workload: str, submissions: Sequence[str] | None = None
) -> "Figure":
    """Draws the validation metric of every trial against submission time, a panel a submission.

    Colours are studies. The trial that sets a study's time is drawn bold, with a dot where it
    reaches the target. Axes end where most values do (`value_limits`), which the legend says.

    Args:
      leaderboard: Made from logs.
      workload: A scored workload.
      submissions: Whose panels to draw; None for all, in the leaderboard's order.

    Raises:
      AlgoperfError: If the leaderboard was not made from logs, none of these submissions has
        measurements of the workload, or matplotlib is not installed.
      UnknownNameError: If workload or submission is not on the leaderboard.
    """
    names = leaderboard.submissions if submissions is None else tuple(submissions)
    view = _view(leaderboard, _checked(leaderboard, workload, names), workload, names)
    columns = {2: 2, 4: 2}.get(len(names), min(len(names), 3 if len(names) <= 12 else 4))
    rows = -(-len(names) // columns)
    width = SINGLE_COLUMN_IN if len(names) == 1 else DOUBLE_COLUMN_IN
    figure = new_figure(width, (1.8 if rows == 1 else _PANEL_HEIGHT_IN * rows) + 0.9)
    labels = name_labels(leaderboard.submissions, _NAME_WIDTHS[columns])
    made = panels(figure, len(names), columns, share_y=True)
    for name, axes in zip(names, made, strict=True):
        _draw_panel(axes, view, name)
        axes.set_title(labels[name], loc="left", pad=3.0)
    for axes in made[columns * (rows - 1) :]:
        axes.set_xlabel(f"Submission time ({view.unit.name})")
    label_left(made, columns, f"validation {shortened(view.facts.metric)}")
    figure.suptitle(shortened(workload, 44), x=0.01, ha="left")
    _add_legend(figure, view)
    return figure


def value_limits(
    values: NDArray[np.float64], target: float, *, smaller_is_better: bool
) -> ValueLimits:
    """Returns limits around the target that show most values, whatever a few have diverged to.

    Args:
      values: Values of the metric, `(evaluations,)`; infinity and NaN do not widen the limits.
      target: The validation target.
      smaller_is_better: Whether the metric is minimised.
    """
    sign = 1.0 if smaller_is_better else -1.0
    # How far from the target, positive where it is missed.
    away = sign * (values[np.abs(values) < _LARGEST] - target)
    best, good, bad = (
        np.quantile(away, (0.0, _VERY_GOOD_SHARE, _VISIBLE_SHARE)) if len(away) else np.zeros(3)
    )
    # What is better than the best by far is no better run, but a broken one.
    near = min(max(float(best), float(good - 2.0 * (bad - good))), 0.0)
    far = max(float(bad), -near, 1e-3 * abs(target), 1e-12)
    low, high = sorted((target + sign * (near - 0.08 * far), target + sign * 1.1 * far))
    return ValueLimits(low, high, bool((values < low).any()), bool((values > high).any()))


def known_budget_s(leaderboard: Leaderboard, workload: str) -> float | None:
    """Returns the run time a trial may use in seconds, or None if the benchmark does not know."""
    if leaderboard.benchmark.workload(workload).budget_s is None:
        return None
    return leaderboard.benchmark.budget_s(workload, leaderboard.ruleset)


def _checked(leaderboard: Leaderboard, workload: str, names: Sequence[str]) -> Logs:
    if leaderboard.logs is None:
        raise AlgoperfError(
            "learning curves need logs, and this leaderboard was made from times alone; tables of "
            "times hold no curves. Make it with score_logs."
        )
    if workload not in leaderboard.benchmark.scored:
        raise unknown_name("scored workload", workload, leaderboard.benchmark.scored)
    for name in names:
        if name not in leaderboard.submissions:
            raise unknown_name("submission", name, leaderboard.submissions)
    if not any(leaderboard.logs.studies(name, workload) for name in names):
        raise AlgoperfError(
            f"no measurements of {workload!r} by {', '.join(map(repr, names)) or 'nobody'}; choose "
            "a workload that one of the submissions has run."
        )
    return leaderboard.logs


def _view(leaderboard: Leaderboard, logs: Logs, workload: str, names: Sequence[str]) -> _View:
    trials = [
        trial
        for name in names
        for study in logs.studies(name, workload).values()
        for trial in study
    ]
    facts, budget = leaderboard.benchmark.workload(workload), known_budget_s(leaderboard, workload)
    longest = _longest_s(trials, budget)
    limits = value_limits(
        np.concatenate([trial.values for trial in trials]),
        facts.validation_target,
        smaller_is_better=facts.direction == "minimize",
    )
    return _View(
        leaderboard,
        logs,
        facts,
        sorted({trial.study for trial in trials}),
        limits,
        longest,
        budget,
        time_unit(longest),
    )


def _longest_s(trials: Sequence[Trial], budget: float | None) -> float:
    """Returns where the time axis ends, in seconds: soon after the budget, whatever is logged."""
    times = np.concatenate([trial.times for trial in trials])
    longest = float(max(times[np.isfinite(times)], default=0.0))
    if budget is not None:
        longest = min(max(longest, 1.02 * budget), 1.25 * budget)
    return longest if longest > 0.0 else 1.0


def _draw_panel(axes: "Axes", view: _View, submission: str) -> None:
    setting = setting_trials(view.leaderboard, submission, view.facts.name)
    low, high = view.limits.low, view.limits.high
    trials = view.trials(submission)
    for trial in trials:
        _draw_trial(axes, view, trial, setting.get((trial.study, trial.number)))
    if trials and not any(
        ((low <= trial.values) & (trial.values <= high)).any() for trial in trials
    ):
        outside = axes.text(0.5, 0.5, _OUTSIDE, transform=axes.transAxes, ha="center", va="center")
        outside.set(color=MUTED, size=SMALL_FONT_PT)
    axes.axhline(view.facts.validation_target, color="black", linewidth=0.8, zorder=1.5)
    if view.budget_s is not None:
        budget = view.budget_s / view.unit.seconds
        axes.axvline(budget, color="black", linewidth=0.8, linestyle=":", zorder=1.5)
    axes.set_ylim(low, high)
    axes.set_xlim(0.0, view.longest_s / view.unit.seconds)
    axes.set_title(_result(view, submission), loc="right", pad=3.0)


def _draw_trial(axes: "Axes", view: _View, trial: Trial, reached_s: float | None) -> None:
    """Draws a curve, bold if the time at which it reached the target is given."""
    colour, bold = view.colour(trial.study), reached_s is not None
    times, far = trial.times / view.unit.seconds, 1e3 * (view.limits.high - view.limits.low)
    # Infinity, too, is drawn: as a line that leaves the panel.
    values = np.clip(trial.values, view.limits.low - far, view.limits.high + far)
    axes.plot(
        times,
        values,
        color=colour,
        linewidth=1.3 if bold else 0.5,
        alpha=1.0 if bold else 0.6,
        zorder=3 if bold else 2,
    )
    if bold:
        at = np.flatnonzero(trial.times == reached_s)[:1]
        axes.plot(times[at], values[at], "o", color=colour, markersize=2.8, zorder=4)


def _result(view: _View, submission: str) -> str:
    times = view.leaderboard.times
    row = times.submissions.index(submission)
    seconds = float(times.seconds[row, times.workloads.index(view.facts.name)])
    if math.isfinite(seconds):
        return f"{view.unit.text(seconds)} {view.unit.name}"
    return "no logs" if math.isnan(seconds) else "missed"


def setting_trials(
    leaderboard: Leaderboard, submission: str, workload: str
) -> dict[tuple[str, int], float]:
    """Returns the trials that set the times of their studies.

    Args:
      leaderboard: Gives the trials and `scoring.study_time`.
      submission: Whose trials.
      workload: On which workload.

    Returns:
      Time to target in seconds by name of the study and number of the trial; studies that missed
      the target are not there.
    """
    trials, times = leaderboard.trials, leaderboard.times
    row, column = trials.submissions.index(submission), trials.workloads.index(workload)
    found: dict[tuple[str, int], float] = {}
    for j, study in enumerate(trials.study_names[row][column]):
        seconds = float(times.study_seconds[row, column, j])
        if not math.isfinite(seconds):
            continue
        candidates = np.flatnonzero(trials.seconds[row, column, j] == seconds)
        earliest = candidates[trials.evaluations[row, column, j, candidates].argmin()]
        found[study, int(trials.trial_numbers[row, column, j, earliest])] = seconds
    return found


def _note(limits: ValueLimits) -> str:
    bold = "Bold: the trial that sets its study's time, with a dot where it reaches the target."
    below, above = f"below {limits.low:.3g}", f"above {limits.high:.3g}"
    ends = [*([below] if limits.below else []), *([above] if limits.above else [])]
    return f"{bold} Values {' and '.join(ends)} are not shown." if ends else bold


def _add_legend(figure: "Figure", view: _View) -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=view.colour(study)) for study in view.studies]
    labels = [*name_labels(view.studies, 20).values(), "target"]
    handles.append(Line2D([], [], color="black", linewidth=0.8))
    if view.budget_s is not None:
        handles.append(Line2D([], [], color="black", linewidth=0.8, linestyle=":"))
        labels.append("budget")
    add_legend_below(figure, handles, labels, note=_note(view.limits))
