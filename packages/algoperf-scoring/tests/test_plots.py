import builtins
import json
import math
import re
import subprocess
import sys
import warnings
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from algoperf_scoring import (
    AlgoperfError,
    LogError,
    OutputError,
    TrialTime,
    TrialTimes,
    UnknownNameError,
    load_benchmark,
    score_logs,
    score_times,
)
from algoperf_scoring.analysis import Analysis
from algoperf_scoring.bootstrap import bootstrap
from algoperf_scoring.plots import (
    learning_curves_figure,
    plot_performance_profiles,
    profiles_figure,
    rank_figure,
    save_figure,
    save_figures,
    scores_figure,
    times_figure,
    trial_scatter_figure,
    tuning_curves_figure,
)
from algoperf_scoring.plots.heat_maps import text_colour
from algoperf_scoring.plots.labels import (
    logarithmic_ticks,
    name_labels,
    shortened,
    time_unit,
    two_lines,
)
from algoperf_scoring.plots.learning_curves import setting_trials, value_limits
from algoperf_scoring.plots.scores import percent
from algoperf_scoring.plots.style import series_style
from algoperf_scoring.plots.times import not_counted
from algoperf_scoring.text_tables import text_width
from algoperf_scoring.tuning_curves import tuning_curves

with warnings.catch_warnings():
    # matplotlib's own dependencies may warn while they are imported.
    warnings.simplefilter("ignore")
    pytest.importorskip("matplotlib.figure")
    import matplotlib
    from matplotlib.backends import backend_agg, backend_pdf, backend_svg  # noqa: F401

HOSTILE = (
    "$x_{1}$",
    r"$\frac{",
    "<script>alert(1)</script>",
    "x" * 80,
    "x" * 40 + "y" + "x" * 39,
    "line\nbreak",
    "数据优化器",
    "مرحبا",
    "_private",
    "{0} %s &amp;",
    "emoji 😀",
)
V05 = load_benchmark("algoperf-v0.5")
FORMATS = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}


def board_of(names, benchmark, *, studies=2, trials=2, seed=0):
    random = np.random.default_rng(seed)
    rows = [
        TrialTime(name, workload, f"study_{j}", k, 3600.0 * random.uniform(1.0, 9.0))
        for name in names
        for workload in benchmark.scored
        for j in range(studies)
        for k in range(1, trials + 1)
    ]
    return score_times(TrialTimes.from_rows(rows, workloads=benchmark.scored), benchmark)


def board_from(times, benchmark):
    """Makes a board of one trial each; times are ``{submission: (seconds, ...)}``, None absent."""
    rows = [
        TrialTime(name, workload, "study_0", 1, time)
        for name, seconds in times.items()
        for workload, time in zip(benchmark.scored, seconds, strict=True)
        if time is not None
    ]
    return score_times(TrialTimes.from_rows(rows, workloads=benchmark.scored), benchmark)


def every_figure(board):
    draws = bootstrap(board.trials, board.benchmark, resamples=20)
    curves = tuning_curves(board.trials, board.benchmark, board.ruleset)
    return {
        "profiles": profiles_figure(board),
        "times": times_figure(board),
        "scores": scores_figure(board, draws, 0.9),
        "ranks": rank_figure(board, draws),
        "tuning": tuning_curves_figure(curves, board),
    }


def analysis_of(board):
    return Analysis(
        leaderboard=board,
        confidence=0.9,
        bootstrap=bootstrap(board.trials, board.benchmark, resamples=20),
        tuning_curves=tuning_curves(board.trials, board.benchmark, board.ruleset),
        sensitivity=None,
        suspicions=(),
    )


def texts(axes):
    return [text.get_text() for text in axes.texts]


def labels(ticks):
    return [tick.get_text() for tick in ticks]


def legend_texts(legend):
    return [text.get_text() for text in legend.get_texts()]


def legend_note(legend):
    return legend.get_title().get_text().replace("\n", " ")


def overlapping(artists, renderer):
    boxes = [artist.get_window_extent(renderer) for artist in artists if artist.get_text()]
    # Rounding of positions to pixels is no overlap.
    boxes = [box.padded(-0.5) for box in boxes]
    return [
        (one, other) for i, one in enumerate(boxes) for other in boxes[:i] if one.overlaps(other)
    ]


@pytest.fixture
def small(benchmark_small):
    return board_of([f"sub_{row}" for row in range(5)], benchmark_small)


@pytest.fixture
def logged(tree, benchmark_small):
    """Two submissions on ``digits``: one is tuned and reaches the target, the other misses it."""
    curve = [(10.0, 0.2), (20.0, 0.85), (30.0, 0.91), (40.0, 0.93)]
    for study in (0, 1):
        for trial, shift in ((1, 0.0), (2, 2.0)):
            path = tree.trial(
                f"fast/study_{study}/digits_jax/trial_{trial}",
                [(seconds + shift + study, value) for seconds, value in curve],
            )
            values = {"lr": 10.0**-trial, "width": trial, "nesterov": trial == 1, "depth": 4}
            path.with_name("hparams.json").write_text(json.dumps(values))
    path = tree.trial("late/study_0/digits_jax/trial_1", [(10.0, 0.1), (20.0, "nan"), (30.0, 0.8)])
    path.with_name("hparams.json").write_text(json.dumps({"lr": 0.5, "style": "adam"}))
    return score_logs(tree.root, benchmark_small)


class TestProfiles:
    def test_lines_are_the_step_functions_of_the_score(self, small):
        axes = profiles_figure(small).axes[0]
        for line, ratios, score in zip(axes.get_lines(), small.ratios, small.scores, strict=True):
            taus, heights = line.get_data()
            assert line.get_drawstyle() == "steps-post"
            assert (taus[0], taus[-1]) == (1.0, 4.0)
            assert heights.tolist() == [np.mean(ratios <= tau) for tau in taus]
            area = sum(h * (b - a) for (a, b), h in zip(pairwise(taus), heights, strict=False)) / 3
            assert area == pytest.approx(score, abs=1 / 198)

    def test_the_legend_gives_scores_in_order(self, small):
        legend = profiles_figure(small).axes[0].get_legend()
        pairs = zip(small.scores, small.submissions, strict=True)
        assert legend_texts(legend) == [f"{score:.4f}  {name}" for score, name in pairs]

    def test_the_axis_of_ratios_is_logarithmic_and_ends_at_the_limit(self, small):
        axes = profiles_figure(small).axes[0]
        assert axes.get_xscale() == "log"
        assert axes.get_xlim() == (1.0, 4.0)
        assert axes.get_ylim() == (0.0, 1.0)

    def test_a_reference_is_named_and_faster_times_count_from_one(self, benchmark_small):
        times = {"fast": (1.0, 1.0), "slow": (2.0, 2.0)}
        rows = board_from(times, benchmark_small).trials
        axes = profiles_figure(score_times(rows, benchmark_small, reference="slow")).axes[0]
        assert "relative to slow" in axes.get_xlabel()
        assert axes.get_lines()[0].get_ydata().tolist() == [1.0, 1.0]

    def test_many_submissions_have_their_legend_below_and_further_marks(self):
        board = board_of([f"sub_{row}" for row in range(40)], V05)
        figure = profiles_figure(board)
        assert len(legend_texts(figure.legends[0])) == 40
        markers = [line.get_marker() for line in figure.axes[0].get_lines()]
        assert set(markers[:28]) == {"None"}
        assert "None" not in markers[28:]


class TestScores:
    def test_dots_are_scores_and_lines_are_intervals(self, small):
        draws = bootstrap(small.trials, small.benchmark, resamples=50)
        axes = scores_figure(small, draws, 0.8).axes[0]
        dots = axes.get_lines()[0].get_xydata()
        assert dots.tolist() == [[score, row] for row, score in enumerate(small.scores)]
        segments = [segment[:, 0] for segment in axes.collections[0].get_segments()]
        assert np.array(segments).tolist() == draws.score_intervals(0.8).tolist()
        assert labels(axes.get_yticklabels()) == list(small.submissions)
        assert axes.get_ylim() == (4.5, -0.5)
        assert texts(axes) == [f"{score:.4f}" for score in small.scores]

    def test_a_score_outside_its_interval_is_inside_the_figure(self, small):
        draws = bootstrap(small.trials, small.benchmark, resamples=10)
        draws = replace(draws, scores=np.full_like(draws.scores, 0.1))
        figure = scores_figure(small, draws, 0.9)
        low, high = figure.axes[0].get_xlim()
        assert low == 0.0
        assert small.scores.max() <= high <= 1.0
        assert "90 % interval" in figure.get_supxlabel()

    def test_the_bootstrap_may_have_another_order(self, small):
        draws = bootstrap(small.trials.take([4, 3, 2, 1, 0]), small.benchmark, resamples=50)
        assert draws.submissions != small.submissions
        axes = scores_figure(small, draws, 0.8).axes[0]
        ends = axes.collections[0].get_segments()[0][:, 0]
        assert ends.tolist() == draws.score_intervals(0.8)[4].tolist()

    def test_a_bootstrap_of_others_is_refused(self, small, benchmark_small):
        other = bootstrap(board_of(["a"], benchmark_small).trials, benchmark_small, resamples=2)
        with pytest.raises(UnknownNameError, match="sub_"):
            scores_figure(small, other, 0.9)


class TestRanks:
    def test_cells_are_the_probabilities(self, small):
        draws = bootstrap(small.trials, small.benchmark, resamples=200)
        axes = rank_figure(small, draws).axes[0]
        shown = {text.get_position()[::-1]: text.get_text() for text in axes.texts}
        for place, probability in np.ndenumerate(draws.rank_probabilities()):
            assert shown.get(place, "") == percent(probability)
        assert labels(axes.get_xticklabels()) == ["1", "2", "3", "4", "5"]
        assert len(axes.patches) == 25

    @pytest.mark.parametrize(
        ("probability", "text"),
        [
            (0.0, ""),
            (1e-4, "<1"),
            (0.01, "1"),
            (0.5, "50"),
            (0.989, "99"),
            (0.999, ">99"),
            (1.0, "100"),
        ],
    )
    def test_only_the_certain_is_100_percent(self, probability, text):
        assert percent(probability) == text


class TestTimes:
    def test_cells_say_times_misses_and_nothing(self, benchmark_held_out):
        # Workloads are digits, wine and the variant digits_noisy.
        times = {"a": (7200.0, 7300.0, 7200.0), "b": (14400.0, math.inf, 7200.0), "c": (None,) * 3}
        board = board_from(times, benchmark_held_out)
        axes = times_figure(board).axes[0]
        names = labels(axes.get_yticklabels())
        columns = [round(x, 6) for x in axes.get_xticks()]
        shown = set()
        for text in axes.texts:
            x, y = text.get_position()
            if text.get_text() not in ("base", "held-out"):
                shown.add((names[round(y)], columns.index(round(x, 6)), text.get_text()))
        assert shown == {
            *(("a", 0, "2.00"), ("a", 1, "2.03"), ("a", 2, "2.00")),
            *(("b", 0, "4.00"), ("b", 1, "—"), ("b", 2, "2.00")),
        }
        assert sum(bool(patch.get_hatch()) for patch in axes.patches) == 1

    def test_times_that_do_not_count_carry_a_star(self, benchmark_held_out):
        times = {
            "good": (100.0, 100.0, 100.0),
            "slow": (500.0, 100.0, 100.0),
            "slow_variant": (100.0, 100.0, 500.0),
            "no_base": (math.inf, 100.0, 50.0),
        }
        board = board_from(times, benchmark_held_out)
        marks = dict(zip(board.submissions, not_counted(board).tolist(), strict=True))
        assert marks == {
            "good": [False, False, False],
            "slow": [True, False, False],
            "slow_variant": [True, False, True],
            "no_base": [False, False, True],
        }
        stars = [text for text in texts(times_figure(board).axes[0]) if text.endswith("*")]
        assert sorted(stars) == ["100*", "50.0*", "500*", "500*"]

    def test_every_base_time_that_does_not_count_is_marked(self, published_logs):
        board = score_logs(published_logs("algoperf-v0.5"), "algoperf-v0.5")
        seconds = board.times.seconds[:, : len(V05.base)]
        ratios = np.where(not_counted(board)[:, : len(V05.base)], np.inf, board.ratios)
        assert (np.isfinite(ratios) == np.isfinite(board.ratios)).all()
        assert not_counted(board)[:, : len(V05.base)].sum() == np.isfinite(seconds).sum() - (
            np.isfinite(board.ratios).sum()
        )

    def test_held_out_workloads_stand_apart(self, benchmark_held_out):
        axes = times_figure(board_of(["a", "b"], benchmark_held_out)).axes[0]
        base, last, held_out = axes.get_xticks()
        assert last - base == 1.0
        assert held_out - last > 1.2
        assert {"base", "held-out"} <= set(texts(axes))

    def test_colours_are_ratios_up_to_the_limit(self, benchmark_small):
        board = board_from(
            {"a": (10.0, 10.0), "b": (20.0, 40.0), "c": (40.0, 80.0)}, benchmark_small
        )
        axes = times_figure(board).axes[0]
        colours = np.array([patch.get_facecolor() for patch in axes.patches]).reshape(3, 2, 4)
        scale = matplotlib.colormaps["cividis_r"]
        assert colours[0].tolist() == [list(scale(0.0)), list(scale(0.0))]
        assert colours[1, 0].tolist() == list(scale(0.5))
        assert colours[1, 1].tolist() == list(scale(1.0)) == colours[2, 1].tolist()

    @given(st.tuples(*[st.floats(0.0, 1.0)] * 3))
    def test_text_has_contrast_on_every_colour(self, background):
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in background]
        light = np.dot(linear, (0.2126, 0.7152, 0.0722)) + 0.05
        contrast = light / 0.05 if text_colour(background) == "black" else 1.05 / light
        assert contrast >= 4.5


class TestLearningCurves:
    def test_every_trial_is_a_line_and_the_setting_one_is_bold(self, logged):
        figure = learning_curves_figure(logged, "digits")
        assert [axes.get_title(loc="left") for axes in figure.axes] == ["fast", "late"]
        curves = [line for line in figure.axes[0].get_lines() if len(line.get_xdata()) == 4]
        assert len(curves) == 4
        bold = [line for line in curves if line.get_linewidth() > 1.0]
        assert [line.get_xdata()[2] for line in bold] == [30.0, 31.0]
        dots = [line for line in figure.axes[0].get_lines() if line.get_marker() == "o"]
        assert [dot.get_xydata().tolist() for dot in dots] == [[[30.0, 0.91]], [[31.0, 0.91]]]

    def test_target_and_budget_are_lines(self, logged):
        for axes in learning_curves_figure(logged, "digits").axes:
            lines = [line.get_xydata().tolist() for line in axes.get_lines()]
            assert [[0.0, 0.9], [1.0, 0.9]] in lines
            assert [[100.0, 0.0], [100.0, 1.0]] in lines
            assert axes.get_xlim() == (0.0, pytest.approx(102.0))

    def test_an_unknown_budget_has_no_line(self, tree, benchmark_small):
        tree.trial("a/study_0/wine_jax/trial_1", [(10.0, 0.9), (20.0, 0.4)])
        figure = learning_curves_figure(score_logs(tree.root, benchmark_small), "wine")
        assert figure.axes[0].get_xlim() == (0.0, 20.0)
        assert legend_texts(figure.legends[0]) == ["study_0", "target"]

    def test_panels_say_the_time_or_why_there_is_none(self, logged):
        found = [
            axes.get_title(loc="right") for axes in learning_curves_figure(logged, "digits").axes
        ]
        assert found == ["30.5 s", "missed"]

    def test_submissions_can_be_chosen(self, logged):
        figure = learning_curves_figure(logged, "digits", ["late"])
        assert [axes.get_title(loc="left") for axes in figure.axes] == ["late"]

    def test_absent_submissions_have_an_empty_panel(self, tree, benchmark_small):
        tree.trial("a/study_0/digits_jax/trial_1", [(10.0, 0.95)])
        tree.trial("b/study_0/wine_jax/trial_1", [(10.0, 0.4)])
        figure = learning_curves_figure(score_logs(tree.root, benchmark_small), "digits")
        assert figure.axes[1].get_title(loc="right") == "no logs"

    def test_what_has_diverged_is_cut_off_and_said_to_be(self, tree, benchmark_small):
        curve = [(10.0 * step, 1.0 / step) for step in range(1, 10)]
        tree.trial("a/study_0/wine_jax/trial_1", curve)
        tree.trial("a/study_0/wine_jax/trial_2", [(10.0, 1e30), (20.0, "inf"), (30.0, "nan")])
        figure = learning_curves_figure(score_logs(tree.root, benchmark_small), "wine")
        low, high = figure.axes[0].get_ylim()
        assert low < 0.12 < 0.5 < high < 10.0
        assert f"Values above {high:.3g} are not shown" in legend_note(figure.legends[0])

    def test_a_panel_without_visible_values_says_so(self, tree, benchmark_small):
        curve = [(10.0 * step, 0.4 + 0.01 * step) for step in range(1, 10)]
        tree.trial("good/study_0/wine_jax/trial_1", curve)
        tree.trial("lost/study_0/wine_jax/trial_1", [(10.0, 1e9)])
        figure = learning_curves_figure(score_logs(tree.root, benchmark_small), "wine")
        assert [texts(axes) for axes in figure.axes] == [[], ["all values outside"]]

    def test_nothing_is_cut_off_without_a_word(self, logged):
        note = legend_note(learning_curves_figure(logged, "digits", ["fast"]).legends[0])
        low, high = learning_curves_figure(logged, "digits", ["fast"]).axes[0].get_ylim()
        assert ("not shown" in note) == (low > 0.2 or high < 0.93)

    @pytest.mark.parametrize("smaller_is_better", [True, False])
    @given(values=st.lists(st.floats(), max_size=30), target=st.floats(-1e3, 1e3))
    def test_limits_are_finite_and_around_the_target(self, smaller_is_better, values, target):
        limits = value_limits(np.array(values), target, smaller_is_better=smaller_is_better)
        assert -math.inf < limits.low < target < limits.high < math.inf
        assert limits.below == any(value < limits.low for value in values)
        assert limits.above == any(value > limits.high for value in values)

    def test_setting_trials_are_those_of_the_study_times(self, published_logs):
        board = score_logs(published_logs("algoperf-v0.6"), "algoperf-v0.6")
        for row, name in enumerate(board.submissions):
            for column, workload in enumerate(board.times.workloads):
                found = setting_trials(board, name, workload)
                studies = board.times.study_seconds[row, column]
                assert sorted(found.values()) == sorted(studies[np.isfinite(studies)].tolist())

    def test_tables_of_times_hold_no_curves(self, small):
        with pytest.raises(AlgoperfError, match="tables of times hold no curves"):
            learning_curves_figure(small, "digits")

    def test_unknown_names_are_refused(self, logged):
        with pytest.raises(UnknownNameError, match="did you mean 'digits'"):
            learning_curves_figure(logged, "digit")
        with pytest.raises(UnknownNameError, match="did you mean 'fast'"):
            learning_curves_figure(logged, "digits", ["fas"])

    @pytest.mark.parametrize(("workload", "chosen"), [("wine", None), ("digits", [])])
    def test_nothing_to_draw_is_an_error(self, logged, workload, chosen):
        with pytest.raises(AlgoperfError, match="no measurements of"):
            learning_curves_figure(logged, workload, chosen)


class TestTrialScatter:
    def test_a_panel_shows_each_hyperparameter_that_differs(self, logged):
        figure = trial_scatter_figure(logged, "fast", "digits")
        assert [axes.get_xlabel() for axes in figure.axes] == ["lr", "width", "nesterov"]
        assert "The same in all trials: depth." in legend_note(figure.legends[0])

    def test_marks_are_trials_at_their_times(self, logged):
        axes = trial_scatter_figure(logged, "fast", "digits").axes[0]
        marks = np.concatenate([line.get_xydata() for line in axes.get_lines()[:-1]])
        expected = [(0.1, 30.0), (0.01, 32.0), (0.1, 31.0), (0.01, 33.0)]
        assert marks == pytest.approx(np.array(expected))

    def test_wide_ranges_are_logarithmic_others_are_not(self, tree, benchmark_small):
        for trial in (1, 2, 3):
            path = tree.trial(f"a/study_0/digits_jax/trial_{trial}", [(10.0 * trial, 0.95)])
            values = {"wide": 10.0 ** (-2 * trial), "narrow": trial, "zero": 10.0**trial - 10.0}
            path.with_name("hparams.json").write_text(json.dumps(values))
        figure = trial_scatter_figure(score_logs(tree.root, benchmark_small), "a", "digits")
        assert [axes.get_xscale() for axes in figure.axes] == ["log", "linear", "linear"]

    def test_truth_values_and_texts_are_categories(self, logged):
        figure = trial_scatter_figure(logged, "fast", "digits")
        assert labels(figure.axes[2].get_xticklabels()) == ["false", "true"]
        figure = trial_scatter_figure(logged, "late", "digits")
        assert labels(figure.axes[1].get_xticklabels()) == ["adam"]

    def test_missed_trials_are_hollow_at_the_budget(self, logged):
        figure = trial_scatter_figure(logged, "late", "digits")
        mark, budget = figure.axes[0].get_lines()
        assert mark.get_xydata().tolist() == [[0.5, 100.0]]
        assert mark.get_markerfacecolor() == "none"
        assert set(budget.get_ydata()) == {100.0}
        assert "target missed" in legend_texts(figure.legends[0])

    def test_missed_trials_are_on_top_where_the_budget_is_unknown(self, tree, benchmark_small):
        for trial, value in ((1, 0.4), (2, 0.9)):
            path = tree.trial(f"a/study_0/wine_jax/trial_{trial}", [(50.0, value)])
            path.with_name("hparams.json").write_text(json.dumps({"lr": trial}))
        axes = trial_scatter_figure(score_logs(tree.root, benchmark_small), "a", "wine").axes[0]
        reached, missed = axes.get_lines()
        assert reached.get_xydata().tolist() == [[1.0, 50.0]]
        assert missed.get_ydata()[0] > 50.0

    def test_hyperparameters_that_never_differ_are_drawn_if_all_are(self, logged):
        figure = trial_scatter_figure(logged, "late", "digits")
        assert [axes.get_xlabel() for axes in figure.axes] == ["lr", "style"]

    def test_a_flood_of_strange_values_is_drawn(self, tree, benchmark_small, tmp_path):
        odd = [1e308, 5e-324, 0, -1e300, True, "$", "s" * 99, "\ud800"]
        for trial, value in enumerate(odd, start=1):
            path = tree.trial(f"a/study_0/digits_jax/trial_{trial}", [(10.0, 0.95)])
            values = {"mixed": value, "n\n$": 10**trial, "text": f"{trial}" * 20}
            values |= {f"key_{index}": trial for index in range(99)}
            path.with_name("hparams.json").write_text(json.dumps(values))
        figure = trial_scatter_figure(score_logs(tree.root, benchmark_small), "a", "digits")
        assert len(figure.axes) == 24
        save_figure(figure, tmp_path / "trials.svg")

    def test_no_hyperparameters_are_an_error_that_says_where_they_belong(
        self, tree, benchmark_small
    ):
        tree.trial("a/study_0/digits_jax/trial_1", [(10.0, 0.95)])
        board = score_logs(tree.root, benchmark_small)
        with pytest.raises(AlgoperfError, match=r"'a' on 'digits' have no .* hparams\.json"):
            trial_scatter_figure(board, "a", "digits")

    def test_times_alone_have_no_hyperparameters(self, small):
        with pytest.raises(AlgoperfError, match="score_logs"):
            trial_scatter_figure(small, "sub_0", "digits")

    def test_unknown_names_are_refused(self, logged):
        with pytest.raises(UnknownNameError, match="did you mean 'fast'"):
            trial_scatter_figure(logged, "fasd", "digits")
        with pytest.raises(UnknownNameError, match="did you mean 'wine'"):
            trial_scatter_figure(logged, "fast", "wines")


class TestTuningCurves:
    def test_lines_are_expected_times_in_the_unit_of_the_panel(self, small):
        curves = tuning_curves(small.trials, small.benchmark)
        figure = tuning_curves_figure(curves, small)
        assert [axes.get_title(loc="left") for axes in figure.axes] == ["digits (s)", "wine (h)"]
        for column, (axes, unit) in enumerate(zip(figure.axes, (1.0, 3600.0), strict=True)):
            lines = [line for line in axes.get_lines() if len(line.get_xdata()) == 2]
            drawn = {tuple(line.get_ydata().tolist()) for line in lines[: len(small.submissions)]}
            assert drawn == {tuple(row) for row in (curves.expected_s[:, column] / unit).tolist()}

    def test_infinite_times_leave_a_gap(self, benchmark_small):
        board = board_from({"a": (50.0, math.inf)}, benchmark_small)
        curves = tuning_curves(board.trials, board.benchmark)
        line = tuning_curves_figure(curves, board).axes[1].get_lines()[0]
        assert np.isnan(line.get_ydata()).all()

    def test_submissions_behind_the_first_are_grey(self):
        board = board_of([f"sub_{row}" for row in range(20)], V05)
        curves = tuning_curves(board.trials, board.benchmark, board.ruleset)
        figure = tuning_curves_figure(curves, board)
        assert legend_texts(figure.legends[0]) == [*board.submissions[:14], "6 more", "budget"]
        styles = {
            (line.get_color(), str(line.get_linestyle()), line.get_marker())
            for line in figure.legends[0].get_lines()
        }
        assert len(styles) == 16

    def test_curves_of_others_are_refused(self, small, benchmark_small):
        curves = tuning_curves(board_of(["a"], benchmark_small).trials, benchmark_small)
        with pytest.raises(UnknownNameError, match="sub_"):
            tuning_curves_figure(curves, small)


class TestLabels:
    def test_28_lines_differ_in_colour_or_style(self):
        styles = [series_style(index) for index in range(28)]
        assert len({(style.colour, style.line_style) for style in styles}) == 28

    @given(st.text(max_size=90), st.integers(3, 40))
    def test_names_fit_and_stay_whole_if_they_do(self, name, width):
        label = shortened(name, width)
        assert text_width(label) <= width
        assert label.isprintable()
        if name.isprintable() and text_width(name) <= width:
            assert label == name

    def test_long_names_are_cut_in_the_middle(self):
        assert shortened("abcdefghij", 7) == "abc…hij"

    def test_names_cut_to_the_same_label_are_numbered(self):
        names = ["x" * 50, "x" * 60, "x" * 70, "y"]
        found = name_labels(names, 12)
        assert list(found) == names
        assert len(set(found.values())) == 4
        assert all(len(label) <= 12 for label in found.values())
        assert found["x" * 70].endswith("(3)")

    @pytest.mark.parametrize(
        ("name", "lines"),
        [
            ("ogbg", "ogbg"),
            ("imagenet_vit", "imagenet_vit"),
            ("librispeech_conformer", "librispeech_\nconformer"),
            ("imagenet_resnet_large_bn_init", "imagenet_resnet_\nlarge_bn_init"),
        ],
    )
    def test_workloads_are_broken_into_lines_of_similar_length(self, name, lines):
        assert two_lines(name) == lines

    @pytest.mark.parametrize(
        ("seconds", "text"),
        [
            ([59.0, 1.5], "59.0 s"),
            ([1200.0], "20.0 min"),
            ([36_000.0, math.inf, math.nan], "10.0 h"),
            ([246.0, 36_000.0], "0.068 h"),
            ([1e300], "3e+296 h"),
        ],
    )
    def test_the_unit_fits_the_longest_time(self, seconds, text):
        unit = time_unit(seconds)
        assert f"{unit.text(seconds[0])} {unit.name}" == text

    @given(st.floats(1e-90, 1e80), st.floats(1.0, 1e9), st.integers(8, 60))
    def test_logarithmic_ticks_lie_inside_and_fit(self, low, factor, room):
        ticks = logarithmic_ticks(low, low * factor, room)
        assert all(low <= tick <= low * factor for tick in ticks)
        assert ticks == sorted(set(ticks))
        assert sum(len(f"{tick:g}") for tick in ticks) <= 2 * room

    def test_logarithmic_ticks_are_round(self):
        assert logarithmic_ticks(0.9, 20.0, 30) == [1.0, 2.0, 5.0, 10.0, 20.0]
        assert logarithmic_ticks(1e-4, 1.0, 20) == [1e-4, 1e-2, 1.0]


class TestAnyNamesAndSizes:
    def test_hostile_names_are_drawn_in_every_format(self, tmp_path, benchmark_small):
        for name, figure in every_figure(board_of(HOSTILE, benchmark_small)).items():
            for ending in ("svg", "pdf"):
                save_figure(figure, tmp_path / f"{name}.{ending}")

    def test_names_are_text_not_markup(self, tmp_path, benchmark_small):
        board = board_of(HOSTILE, benchmark_small)
        save_figure(profiles_figure(board), tmp_path / "profiles.svg")
        text = (tmp_path / "profiles.svg").read_text()
        assert "<script" not in text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
        assert "$x_{1}$" in text
        assert r"line\nbreak" in text
        assert "_private" in text

    def test_names_that_are_not_unicode_are_spelled_out(self, tmp_path, benchmark_small):
        board = board_of(["\udcff", "\x1b[31m"], benchmark_small)
        for draw in (profiles_figure, times_figure):
            save_figure(draw(board), tmp_path / "figure.svg")
            text = (tmp_path / "figure.svg").read_text()
            assert r"\udcff" in text
            assert r"\x1b[31m" in text

    def test_users_who_draw_themselves_are_safe_from_formulas(self, tmp_path, benchmark_small):
        for figure in every_figure(board_of([r"$\frac{", "$x$"], benchmark_small)).values():
            figure.savefig(tmp_path / "figure.png")

    def test_hostile_logs_are_drawn(self, tree, benchmark_small, tmp_path):
        for name in ("$x_{1}$", "<b>", "x" * 80, "数据"):
            path = tree.trial(f"{name}/$s$/digits_jax/trial_1", [(1.0, 0.2), (2.0, 0.95)])
            path.with_name("hparams.json").write_text(json.dumps({"$lr_{": "$\\frac{", "<i>": 1}))
        board = score_logs(tree.root, benchmark_small)
        written = save_figures(board, tmp_path / "figures", formats=("svg",))
        assert len(written) == 3 + 4
        assert all("<b>" not in path.read_text() for path in written)

    @pytest.mark.parametrize("count", [1, 40])
    def test_fields_of_any_size_are_drawn(self, tmp_path, count):
        benchmark = V05.subset(include=["ogbg"]) if count == 1 else V05
        board = board_of([f"submission_{row}" for row in range(count)], benchmark)
        for name, figure in every_figure(board).items():
            save_figure(figure, tmp_path / f"{name}.png")

    def test_a_field_that_reached_nothing_is_drawn(self, tmp_path, benchmark_held_out):
        board = board_from({"a": (math.inf,) * 3, "b": (None,) * 3}, benchmark_held_out)
        for name, figure in every_figure(board).items():
            save_figure(figure, tmp_path / f"{name}.png")

    def test_nothing_overlaps_in_a_field_of_eleven(self):
        board = board_of([f"schedule_free_adam_{row}" for row in range(11)], V05)
        for figure in every_figure(board).values():
            canvas = backend_agg.FigureCanvasAgg(figure)
            canvas.draw()
            renderer = canvas.get_renderer()
            for axes in figure.axes:
                ticks = [*axes.get_xticklabels(), *axes.get_yticklabels()]
                assert not overlapping([*ticks, *axes.texts], renderer)
            titles = [axes.title for axes in figure.axes]
            assert not overlapping(titles, renderer)

    def test_text_is_readable_in_print(self):
        board = board_of([f"sub_{row}" for row in range(11)], V05)
        for figure in every_figure(board).values():
            assert figure.get_figwidth() in (3.3, 6.8)
            for text in figure.findobj(matplotlib.text.Text):
                assert text.get_size() >= 7.0


class TestSaving:
    @pytest.mark.parametrize("ending", FORMATS)
    def test_figures_are_written_in_the_format_of_the_ending(self, small, tmp_path, ending):
        path = tmp_path / f"profiles.{ending}"
        plot_performance_profiles(small, path)
        assert path.read_bytes().startswith(FORMATS[ending])
        assert list(tmp_path.glob("*profiles*")) == [path]

    def test_a_file_without_ending_is_a_png(self, small, tmp_path):
        save_figure(profiles_figure(small), tmp_path / "profiles")
        assert (tmp_path / "profiles").read_bytes().startswith(FORMATS["png"])

    @pytest.mark.parametrize("ending", FORMATS)
    def test_the_same_input_gives_the_same_bytes(self, logged, tmp_path, ending):
        for folder in ("one", "two"):
            save_figures(analysis_of(logged), tmp_path / folder, formats=(ending,))
        pairs = [(path, tmp_path / "two" / path.name) for path in (tmp_path / "one").iterdir()]
        assert len(pairs) == 8
        assert all(one.read_bytes() == two.read_bytes() for one, two in pairs)

    def test_a_figure_gives_the_same_bytes_whatever_was_written_before(self, small, tmp_path):
        for figure in every_figure(small).values():
            first = {}
            for ending in (*FORMATS, *FORMATS):
                save_figure(figure, tmp_path / f"figure.{ending}")
                found = (tmp_path / f"figure.{ending}").read_bytes()
                assert found == first.setdefault(ending, found)
                assert not re.search(rb"20\d\d-\d\d-\d\d|D:20\d\d", found)

    def test_pyplot_and_its_state_stay_out_of_it(self, tmp_path):
        program = (
            "import sys; from algoperf_scoring import *; from algoperf_scoring.plots import *\n"
            "benchmark = load_benchmark('algoperf-v0.6'); names = benchmark.scored\n"
            "rows = [TrialTime('a', name, 's', 1, 1.0) for name in names]\n"
            "board = score_times(TrialTimes.from_rows(rows, workloads=names), benchmark)\n"
            "print([path.name for path in save_figures(board, sys.argv[1])])\n"
            "assert 'matplotlib.pyplot' not in sys.modules"
        )
        command = [sys.executable, "-c", program, str(tmp_path)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        assert done.stdout.strip() == "['performance_profiles.png', 'times.png']"

    def test_text_in_svg_is_text(self, small, tmp_path):
        save_figure(times_figure(small), tmp_path / "times.svg")
        assert "sub_0</text>" in (tmp_path / "times.svg").read_text()

    def test_the_users_settings_are_neither_used_nor_changed(self, small, tmp_path):
        save_figure(profiles_figure(small), tmp_path / "one.svg")
        changes = {"svg.fonttype": "path", "axes.facecolor": "black", "text.color": "red"}
        with matplotlib.rc_context(changes):
            # The backend is chosen when somebody looks at it.
            keys = [key for key in matplotlib.rcParams if key != "backend"]
            before = [matplotlib.rcParams[key] for key in keys]
            save_figure(profiles_figure(small), tmp_path / "two.svg")
            assert [matplotlib.rcParams[key] for key in keys] == before
        assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()

    def test_an_unknown_format_is_refused_with_the_known_ones_before_drawing(self, tmp_path):
        with pytest.raises(AlgoperfError, match=r"cannot draw a 'xyz' file; .* png, svg, pdf"):
            plot_performance_profiles(None, tmp_path / "profiles.xyz")
        with pytest.raises(AlgoperfError, match=r"cannot draw a 'gif' file; .* png, svg, pdf"):
            save_figures(None, tmp_path / "figures", formats=("png", "gif"))
        assert list(tmp_path.iterdir()) == []

    def test_a_missing_folder_is_named(self, small, tmp_path):
        with pytest.raises(OutputError, match="no: No such file"):
            plot_performance_profiles(small, tmp_path / "no" / "profiles.png")

    def test_a_folder_that_cannot_be_made_is_named(self, small, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(OutputError, match="file: cannot make this folder"):
            save_figures(small, tmp_path / "file")

    def test_all_figures_of_an_analysis_of_logs_are_written(self, logged, tmp_path):
        written = save_figures(analysis_of(logged), tmp_path / "a" / "b", formats=("svg", "svg"))
        assert [path.name for path in written] == [
            "performance_profiles.svg",
            "times.svg",
            "scores.svg",
            "ranks.svg",
            "tuning_curves.svg",
            "learning_curves-digits.svg",
            "trials-fast-digits.svg",
            "trials-late-digits.svg",
        ]
        assert sorted((tmp_path / "a" / "b").iterdir()) == sorted(written)

    def test_times_alone_give_fewer_figures(self, small, tmp_path):
        written = save_figures(small, tmp_path, formats=("png", "pdf"))
        names = ["performance_profiles.png", "performance_profiles.pdf", "times.png", "times.pdf"]
        assert [path.name for path in written] == names

    def test_scatters_can_be_left_out_and_are_skipped_without_hyperparameters(
        self, logged, tmp_path
    ):
        for path in logged.logs.trials["late"]["digits"]["study_0"]:
            path.path.with_name("hparams.json").unlink()
        written = save_figures(logged, tmp_path / "all", formats=("svg",))
        assert [path.name for path in written if "trials" in path.name] == [
            "trials-fast-digits.svg"
        ]
        few = save_figures(logged, tmp_path / "few", formats=("svg",), trial_scatters=False)
        assert not [path for path in few if "trials" in path.name]

    def test_broken_hyperparameters_are_an_error(self, logged, tmp_path):
        trial = logged.logs.trials["late"]["digits"]["study_0"][0]
        trial.path.with_name("hparams.json").write_text("[]")
        with pytest.raises(LogError, match=r"hparams\.json"):
            save_figures(logged, tmp_path, formats=("svg",))

    def test_names_cannot_leave_the_folder_or_hide_each_other(
        self, tree, benchmark_small, tmp_path, monkeypatch
    ):
        for name in ("A", "a", "a$", "a_"):
            path = tree.trial(f"{name}/study_0/digits_jax/trial_1", [(10.0, 0.95)])
            path.with_name("hparams.json").write_text('{"lr": 1}')
        board = score_logs(tree.root, benchmark_small)
        written = save_figures(board, tmp_path / "figures", formats=("svg",))
        assert len({path.name.casefold() for path in written}) == len(written) == 3 + 4
        assert all(path.parent == tmp_path / "figures" for path in written)

    @pytest.mark.parametrize("draw", [profiles_figure, times_figure])
    def test_without_matplotlib_the_extra_is_named(self, small, monkeypatch, draw):
        original = builtins.__import__

        def without_matplotlib(name, *rest):
            if name.startswith("matplotlib"):
                raise ModuleNotFoundError(name)
            return original(name, *rest)

        monkeypatch.setattr(builtins, "__import__", without_matplotlib)
        with pytest.raises(AlgoperfError, match=r'pip install "algoperf-scoring\[plot\]"'):
            draw(small)
