"""Ten thousand resamples of a published field, and all that is computed beside them."""

import pytest

from algoperf_scoring import load_benchmark
from algoperf_scoring.analysis import analyse
from algoperf_scoring.bootstrap import bootstrap
from algoperf_scoring.leaderboard import score_times
from algoperf_scoring.published import published_times
from algoperf_scoring.report import render_report

FIELD = "algoperf-v0.5"


@pytest.fixture(scope="module")
def leaderboard():
    return score_times(published_times(FIELD, "external"), load_benchmark(FIELD))


def test_scoring_from_times(benchmark, leaderboard):
    benchmark(score_times, leaderboard.trials, leaderboard.benchmark)


def test_bootstrap(benchmark, leaderboard):
    benchmark.pedantic(bootstrap, (leaderboard.trials, leaderboard.benchmark), rounds=5)


def test_analysis(benchmark, leaderboard):
    benchmark.pedantic(analyse, (leaderboard,), {"speedup_over": "baseline"}, rounds=5)


def test_report(benchmark, leaderboard):
    analysis = analyse(leaderboard)
    assert len(benchmark.pedantic(render_report, (analysis,), rounds=3)) > 10_000
