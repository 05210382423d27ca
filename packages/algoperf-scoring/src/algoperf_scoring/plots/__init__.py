"""Figures of a leaderboard in the sizes and fonts of a paper; needs the extra ``plot``.

Each function returns a matplotlib figure without touching matplotlib's state; `save_figure` writes
one, `save_figures` all.
"""

from algoperf_scoring.plots.learning_curves import learning_curves_figure
from algoperf_scoring.plots.profiles import profiles_figure
from algoperf_scoring.plots.saving import (
    FORMATS,
    plot_performance_profiles,
    save_figure,
    save_figures,
)
from algoperf_scoring.plots.scores import rank_figure, scores_figure
from algoperf_scoring.plots.times import times_figure
from algoperf_scoring.plots.trial_scatter import trial_scatter_figure
from algoperf_scoring.plots.tuning_curves import tuning_curves_figure

__all__ = [
    "FORMATS",
    "learning_curves_figure",
    "plot_performance_profiles",
    "profiles_figure",
    "rank_figure",
    "save_figure",
    "save_figures",
    "scores_figure",
    "times_figure",
    "trial_scatter_figure",
    "tuning_curves_figure",
]
