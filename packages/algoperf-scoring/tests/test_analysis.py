"""A leaderboard and how far to trust it, in one object."""

import json

import numpy as np
import pytest

from algoperf_scoring import UnknownNameError, score_logs
from algoperf_scoring.analysis import analyse
from algoperf_scoring.report import render_report
from algoperf_scoring.tables import score_table

MISS, HIT = 0.1, 0.95


@pytest.fixture
def leaderboard(tree, benchmark_small):
    for name, factor in (("slow", 2.0), ("fast", 1.0), ("middle", 1.5)):
        for study in range(3):
            for trial in (1, 2):
                seconds = factor * (10.0 + study + trial)
                where = f"{name}/study_{study}/digits_jax/trial_{trial}"
                tree.trial(where, [(seconds - 1, MISS), (seconds, HIT)])
    return score_logs(tree.root, benchmark_small)


def test_all_parts_are_in_the_order_of_the_leaderboard(leaderboard):
    analysis = analyse(leaderboard, resamples=20, speedup_over="slow")
    order = ("fast", "middle", "slow")
    parts = (analysis.bootstrap, analysis.tuning_curves, analysis.sensitivity, analysis.speedups)
    assert {part.submissions for part in (leaderboard, *parts)} == {order}
    np.testing.assert_array_equal(analysis.sensitivity.scores[0], leaderboard.scores)


def test_everything_is_strict_json(leaderboard):
    analysis = analyse(leaderboard, resamples=20, seed=3, confidence=0.9, speedup_over="slow")
    result = json.loads(json.dumps(analysis.to_dict(), allow_nan=False))
    assert result["scores"] == leaderboard.to_dict()["scores"]
    assert result["bootstrap"]["seed"] == 3
    # Nobody has measured wine: a speedup that leaves it out would be another number.
    assert result["speedups"]["intervals"] == {
        name: [None, None] for name in ("fast", "middle", "slow")
    }
    assert {"tuning_curves", "sensitivity", "suspicions"} <= result.keys()
    assert "speedups" not in analyse(leaderboard, resamples=20).to_dict()


def test_absent_workloads_may_count_as_missed(leaderboard):
    benchmark = leaderboard.benchmark.subset(include=["digits"])
    from algoperf_scoring import score_times

    board = score_times(leaderboard.trials, benchmark)
    analysis = analyse(board, resamples=200, speedup_over="slow")
    assert analysis.speedups.values.tolist() == pytest.approx([2.0, 4 / 3, 1.0])
    low, high = analysis.speedup_intervals[0]
    assert low < 2.0 < high


def test_results_of_single_runs_have_no_intervals(tree, benchmark_small):
    for name, seconds in (("slow", 20.0), ("fast", 10.0)):
        tree.trial(f"{name}/study_0/digits_jax/trial_1", [(5.0, MISS), (seconds, HIT)])
    board = score_logs(tree.root, benchmark_small)
    analysis = analyse(board, resamples=20)
    assert not analysis.repeated
    table = score_table(board, analysis)
    assert "95% interval" not in [column.name for column in table.columns]
    assert "No intervals: nothing was run more than once." in table.legend
    page = render_report(analysis)
    assert "95 % interval" not in page.split("</table>")[0]
    assert "nobody can tell how sure that is" in page


def test_a_second_trial_is_no_second_study(tree, benchmark_small):
    for trial, seconds in ((1, 20.0), (2, 10.0)):
        tree.trial(f"sub/study_0/digits_jax/trial_{trial}", [(5.0, MISS), (seconds, HIT)])
    board = score_logs(tree.root, benchmark_small)
    assert analyse(board, resamples=20).repeated
    assert not analyse(board, resamples=20, levels="studies").repeated


def test_the_seed_decides(leaderboard):
    one, two, other = (
        analyse(leaderboard, resamples=50, seed=seed).bootstrap.scores for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, two)
    assert (one != other).any()


def test_an_unknown_submission_to_compare_with_is_refused(leaderboard):
    with pytest.raises(UnknownNameError, match="did you mean 'slow'"):
        analyse(leaderboard, resamples=5, speedup_over="slw")


def test_a_lead_that_is_too_good_is_a_finding(tree, benchmark_small):
    for name, digits, wine in (("odd", 1.0, 20.0), ("b", 20.0, 20.0), ("c", 21.0, 19.0)):
        tree.trial(f"{name}/study_0/digits_jax/trial_1", [(digits, HIT)])
        tree.trial(f"{name}/study_0/wine_jax/trial_1", [(wine, 0.4)])
    analysis = analyse(score_logs(tree.root, benchmark_small), resamples=20)
    assert analysis.findings[-1].message == (
        "time to target to be reviewed: odd/digits (1 s, all others take at least 20 s)"
    )
    assert "odd reaches digits" in analysis.to_dict()["suspicions"][0]
