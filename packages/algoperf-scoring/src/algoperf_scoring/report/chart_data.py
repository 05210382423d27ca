"""What the script draws from: the numbers of the charts, few enough for one page.

Learning curves are thinned; times and values are rounded to five significant digits.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from algoperf_scoring.analysis import Analysis
from algoperf_scoring.errors import LogError
from algoperf_scoring.hyperparameters import read_hyperparameters
from algoperf_scoring.leaderboard import Leaderboard
from algoperf_scoring.logs import Logs, Trial
from algoperf_scoring.report.formats import plain, plain_list
from algoperf_scoring.text_tables import printable
from algoperf_scoring.trial_times import first_evaluation_at_target

POINTS = 40
"""Most points of a learning curve."""

Number = float | int | None


def overview_data(board: Leaderboard) -> dict[str, Any]:
    """Returns submissions, scores and ratios: what profiles are drawn from."""
    return {
        "submissions": [printable(name) for name in board.submissions],
        "scores": board.scores.tolist(),
        "limit": board.benchmark.scoring.max_ratio,
        "base": len(board.benchmark.base),
        "ratios": [[r for r in row if math.isfinite(r)] for row in board.ratios.tolist()],
    }


def workload_data(analysis: Analysis, name: str) -> dict[str, Any]:
    """Returns all that is drawn of one workload.

    Args:
      analysis: Leaderboard and tuning curves.
      name: The workload.

    Returns:
      Facts of the workload, the expected best of k trials by submission, and the trials: of each
      its submission's row, study, number, whether it is the best of its study, its time to target
      (None if missed), times and values of its curve, and its hyperparameters in the order of
      their names, which each submission has of its own (None if they cannot be read).
    """
    board = analysis.leaderboard
    workload = board.benchmark.workload(name)
    column = analysis.tuning_curves.workloads.index(name)
    names: list[list[str]] = [[] for _ in board.submissions]
    trials = list(_trials(board, board.logs, name, names)) if board.logs else []
    return {
        "metric": printable(workload.metric),
        "maximize": workload.direction == "maximize",
        "target": plain(workload.validation_target, 9),
        "budget": plain(budget_s(board, name)),
        "tuning": [
            plain_list(row) for row in analysis.tuning_curves.expected_s[:, column].tolist()
        ],
        "hyperparameters": names,
        "trials": trials,
    }


def budget_s(board: Leaderboard, workload: str) -> float:
    """Returns the run time that a trial may use in this ruleset; infinity if it is unknown."""
    budget = board.benchmark.workload(workload).budget_s
    if budget is None:
        return math.inf
    return budget * board.benchmark.ruleset(board.ruleset).budget_factor


def thinned(length: int, keep: int | None, limit: int = POINTS) -> list[int]:
    """Returns which evaluations of a curve are drawn.

    Args:
      length: Number of evaluations.
      keep: Index of one that must stay, besides the first and the last; None for no other.
      limit: How many are drawn at most.

    Returns:
      Indices in rising order, evenly spread.
    """
    if length <= limit:
        return list(range(length))
    spread = {round(place) for place in np.linspace(0, length - 1, limit - 1).tolist()}
    return sorted(spread | ({keep} if keep is not None else set()))


def best_of_study(board: Leaderboard, workload: str, row: int, trials: tuple[Trial, ...]) -> Trial:
    """Returns the trial whose time the study has or, if all missed the target, that came closest."""
    column = board.trials.workloads.index(workload)
    study = board.trials.study_names[row][column].index(trials[0].study)
    own = board.trials.seconds[row, column, study, : len(trials)]
    time = board.times.study_seconds[row, column, study]
    if math.isfinite(time):
        return trials[int((own == time).argmax())]
    maximize = board.benchmark.workload(workload).direction == "maximize"
    return max(trials, key=lambda trial: _closest(trial.values, maximize=maximize))


def _closest(values: NDArray[np.float64], *, maximize: bool) -> float:
    known = values[np.isfinite(values)] * (1.0 if maximize else -1.0)
    return float(known.max(initial=-np.inf))


def _trials(
    board: Leaderboard, logs: Logs, workload: str, names: list[list[str]]
) -> Iterator[list[Any]]:
    for row, submission in enumerate(board.submissions):
        for study, trials in logs.studies(submission, workload).items():
            best = best_of_study(board, workload, row, trials)
            for trial in trials:
                place = [row, printable(study), trial.number, int(trial is best)]
                given = hyperparameter_numbers(trial)
                for name in given or ():
                    if name not in names[row]:
                        names[row].append(name)
                numbers = None if given is None else [given.get(name) for name in names[row]]
                yield [*place, *_curve(board, workload, trial), numbers]


def _curve(board: Leaderboard, workload: str, trial: Trial) -> list[Any]:
    """Returns time to target, times and values of a trial."""
    hit = first_evaluation_at_target(trial, board.benchmark.workload(workload))
    points = thinned(len(trial.times), hit)
    return [
        None if hit is None else plain(float(trial.times[hit])),
        plain_list(trial.times[points].tolist()),
        plain_list(trial.values[points].tolist()),
    ]


def hyperparameter_numbers(trial: Trial) -> dict[str, Number] | None:
    """Returns the hyperparameters of a trial that are numbers; None if they cannot be read."""
    try:
        given = read_hyperparameters(trial)
    except LogError:
        return None
    return {
        printable(name): plain(float(value))
        for name, value in given.items()
        if not isinstance(value, str)
    }
