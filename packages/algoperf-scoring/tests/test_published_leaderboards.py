"""The published logs give the published scores, times and ratios."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from algoperf_scoring import Leaderboard, load_benchmark, score_logs

EXPECTED = json.loads((Path(__file__).parent / "published_leaderboards.json").read_text())
VERSIONS = sorted(EXPECTED)


@pytest.fixture(scope="module", params=VERSIONS)
def version(request):
    return request.param


@pytest.fixture(scope="module")
def leaderboard(version, published_logs) -> Leaderboard:
    return score_logs(published_logs(version), version)


@pytest.fixture(scope="module")
def exact(version, published_logs) -> Leaderboard:
    return score_logs(published_logs(version), version, method="exact")


@pytest.fixture(scope="module")
def fastest_trial(version, published_logs) -> Leaderboard:
    benchmark = load_benchmark(version)
    rules = replace(benchmark.scoring, study_time="fastest_trial")
    return score_logs(published_logs(version), replace(benchmark, scoring=rules))


def scores(leaderboard: Leaderboard) -> dict[str, float]:
    return leaderboard.to_dict()["scores"]


def test_every_published_score_is_reproduced_to_four_decimals(version, leaderboard):
    published = EXPECTED[version]["published"]
    assert {name: round(score, 4) for name, score in scores(leaderboard).items()} == published


def test_submissions_are_in_the_published_order(version, leaderboard):
    assert list(leaderboard.submissions) == list(EXPECTED[version]["published"])
    assert leaderboard.ranks == tuple(range(1, len(leaderboard.submissions) + 1))


def test_grid_scores_agree_beyond_the_published_digits(version, leaderboard):
    assert scores(leaderboard) == pytest.approx(EXPECTED[version]["grid"], abs=1e-12, rel=0)


def test_exact_scores_are_the_integrals_of_the_step_functions(version, exact):
    assert scores(exact) == pytest.approx(EXPECTED[version]["exact"], abs=1e-12, rel=0)


def test_times_to_target_are_the_published_ones(version, leaderboard):
    assert leaderboard.to_dict()["times"] == EXPECTED[version]["times"]


def test_ratios_are_the_published_ones(version, leaderboard):
    ratios = leaderboard.to_dict()["ratios"]
    for submission, expected in EXPECTED[version]["ratios"].items():
        assert ratios[submission] == pytest.approx(expected, abs=1e-12)


def test_workloads_without_measurements_are_absent_and_all_others_are_not(version, leaderboard):
    times, absent = leaderboard.times, EXPECTED[version]["absent"]
    for row, submission in enumerate(times.submissions):
        missing = {times.workloads[column] for column in np.flatnonzero(times.trials[row] == 0)}
        assert missing == set(absent.get(submission, []))
        assert set(np.asarray(times.workloads)[np.isnan(times.seconds[row])]) == missing


def test_fastest_trial_rule_changes_only_what_it_should(version, fastest_trial):
    expected = {name: dict(times) for name, times in EXPECTED[version]["times"].items()}
    for name, changed in EXPECTED[version]["times_fastest_trial_where_different"].items():
        expected[name].update(changed)
    assert fastest_trial.to_dict()["times"] == expected
    grid = EXPECTED[version]["grid_fastest_trial"]
    assert scores(fastest_trial) == pytest.approx(grid, abs=1e-12, rel=0)


def test_fastest_trial_rule_gives_its_own_exact_scores(version, published_logs):
    benchmark = load_benchmark(version)
    rules = replace(benchmark.scoring, study_time="fastest_trial", method="exact")
    leaderboard = score_logs(published_logs(version), replace(benchmark, scoring=rules))
    expected = EXPECTED[version]["exact_fastest_trial"]
    assert scores(leaderboard) == pytest.approx(expected, abs=1e-12, rel=0)


def test_a_submission_by_itself_scores_its_reached_share(published_logs):
    alone = score_logs(published_logs("algoperf-v0.6") / "shampoo", "algoperf-v0.6")
    assert alone.submissions == ("shampoo",)
    assert alone.scores[0] == pytest.approx(5 / 8)


def test_every_irregularity_of_the_published_logs_is_noted(published_logs):
    notes = score_logs(published_logs("algoperf-v0.5"), "algoperf-v0.5").notes
    counts: dict[str, int] = {}
    for text in notes:
        kind = text.partition(": ")[0]
        counts[kind] = counts.get(kind, 0) + 1
    assert counts == {
        "trial without eval_measurements.csv": 181,
        "trial folder outside a workload folder ignored": 18,
        "workload ignored because the benchmark does not score it": 5,
        "scored workload without measurements": 5,
        "unexpected number of studies": 1,
        "unexpected number of trials in a study": 22,
    }
    assert any("lawa_ema/librispeech_deepspeech has 3" in text for text in notes)


def test_leaving_out_the_best_submission_changes_the_others(published_logs, leaderboard, version):
    rest = score_logs(published_logs(version), version, exclude=[leaderboard.submissions[0]])
    assert rest.submissions[0] == leaderboard.submissions[1]
    assert rest.scores[0] > leaderboard.scores[1]
