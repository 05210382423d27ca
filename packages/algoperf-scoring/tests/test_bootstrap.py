"""Resampled studies and trials: distributions, reproducibility, intervals and ranks."""

import importlib
import itertools
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from algoperf_scoring import (
    AlgoperfError,
    TrialTime,
    TrialTimes,
    UnknownNameError,
    benchmark_score,
    counted_times,
    load_benchmark,
    read_logs,
    read_trial_times,
    times_to_target,
)
from algoperf_scoring.bootstrap import Bootstrap, bootstrap, percentile_intervals

INF, NAN = math.inf, math.nan
V05 = "algoperf-v0.5"
# By name, since a package may show the function under the name of its module.
MODULE = importlib.import_module("algoperf_scoring.bootstrap")


def table(cells, submissions=()):
    """Trial times of {(submission, workload): studies}; a trial is seconds or (seconds, index)."""
    rows = []
    for (submission, workload), studies in cells.items():
        for j, study in enumerate(studies):
            for k, trial in enumerate(study):
                seconds, index = trial if isinstance(trial, tuple) else (trial, -1)
                rows.append(
                    TrialTime(submission, workload, f"study_{j}", k, seconds, evaluation=index)
                )
    return TrialTimes.from_rows(rows, submissions=submissions, workloads=("digits", "wine"))


def result(scores, seconds=None):
    scores = np.array(scores, dtype=float)
    names = tuple("abcdef"[: scores.shape[1]])
    times = np.zeros((*scores.shape, 1)) if seconds is None else np.array(seconds, dtype=float)
    return Bootstrap(names, ("digits",), ("digits",), "exact", "studies", 0, scores, times)


MIXED = {
    ("adam", "digits"): [[10, 20, 30], [12, INF], [15, 16, 17, 18]],
    ("adam", "wine"): [[100, INF], [INF, INF], [90, 80]],
    ("sgd", "digits"): [[40, 20, INF], [25, 26, 27]],
    ("sgd", "wine"): [[70], [75]],
}


def test_equal_trials_leave_the_score_as_it_is(benchmark_small):
    trials = table(
        {
            ("adam", "digits"): [[10, 10]] * 3,
            ("adam", "wine"): [[30, 30]] * 2,
            ("sgd", "digits"): [[15]],
            ("sgd", "wine"): [[20, 20]] * 3,
        }
    )
    times = times_to_target(trials, "earliest_evaluation").seconds
    for method in ("grid", "exact"):
        score = benchmark_score(
            counted_times(times, trials.workloads, benchmark_small), method=method
        )
        drawn = bootstrap(trials, benchmark_small, method=method, resamples=50)
        assert (drawn.scores == score).all()
        assert (drawn.seconds == times).all()
        assert drawn.method == method


def test_what_every_resample_is_scored_by_is_the_rules_of_the_benchmark(benchmark_held_out):
    trials = table({**MIXED, ("adam", "digits_noisy"): [[1]], ("sgd", "digits_noisy"): [[9], [2]]})
    rules = benchmark_held_out.scoring
    benchmark = replace(benchmark_held_out, scoring=replace(rules, max_ratio=2.0, grid_points=50))
    drawn = bootstrap(trials, benchmark, resamples=200)
    for index in range(200):
        times = counted_times(drawn.seconds[index], trials.workloads, benchmark)
        score = benchmark_score(times, max_ratio=2.0, method="grid", grid_points=50)
        assert (drawn.scores[index] == score).all()


def exact_distribution(studies, levels):
    """Probability of every median, by listing all draws."""

    def of_study(study):
        if levels == "studies":
            return {min(study): 1.0}
        draws = list(itertools.product(study, repeat=len(study)))
        return {
            value: sum(min(draw) == value for draw in draws) / len(draws) for value in set(study)
        }

    best = [of_study(study) for study in studies]
    found: dict[float, float] = {}
    for picks in itertools.product(range(len(studies)), repeat=len(studies)):
        for values in itertools.product(*(best[pick].items() for pick in picks)):
            median = float(np.sort([value for value, _ in values])[len(values) // 2])
            share = math.prod(p for _, p in values) / len(studies) ** len(studies)
            found[median] = found.get(median, 0.0) + share
    return found


@pytest.mark.parametrize("levels", ["studies_and_trials", "studies"])
@pytest.mark.parametrize(
    "studies",
    [
        [[10, 20, 30], [12, INF], [15, 16, 17, 18]],
        [[1, 2, 3, 4, 5]],
        [[5], [INF], [7]],
        [[INF, 3], [INF, INF], [4, 5, 6]],
    ],
)
def test_times_are_distributed_as_if_every_trial_was_drawn(benchmark_small, studies, levels):
    trials = table({("adam", "digits"): studies})
    drawn = bootstrap(trials, benchmark_small, resamples=40_000, levels=levels).seconds[:, 0, 0]
    expected = exact_distribution(studies, levels)
    assert set(np.unique(drawn)) <= set(expected)
    for value, probability in expected.items():
        # Five standard errors.
        tolerance = 5 * math.sqrt(probability * (1 - probability) / 40_000) + 1e-12
        assert (drawn == value).mean() == pytest.approx(probability, abs=tolerance)


def test_the_best_of_five_trials_is_missing_from_a_third_of_the_resamples(benchmark_small):
    trials = table({("adam", "digits"): [[5, 1, 4, 2, 3]]})
    drawn = bootstrap(trials, benchmark_small).seconds[:, 0, 0]
    assert (drawn == 1).mean() == pytest.approx(1 - 0.8**5, abs=0.02)
    kept = bootstrap(trials, benchmark_small, levels="studies").seconds[:, 0, 0]
    assert (kept == 1).all()


def test_the_rule_for_a_studys_time_decides_which_drawn_trial_counts(benchmark_small):
    # By evaluations: 30, then 10 before 20, then the miss.
    trials = table({("adam", "digits"): [[(20, 4), (INF, -1), (30, 2), (10, 4)]]})
    probability = {
        value: (1 - i / 4) ** 4 - (1 - (i + 1) / 4) ** 4
        for i, value in enumerate([30, 10, 20, INF])
    }
    drawn = bootstrap(trials, benchmark_small, resamples=40_000).seconds[:, 0, 0]
    for value, expected in probability.items():
        assert (drawn == value).mean() == pytest.approx(expected, abs=0.013)
    rules = replace(benchmark_small.scoring, study_time="fastest_trial")
    fastest = bootstrap(trials, replace(benchmark_small, scoring=rules)).seconds[:, 0, 0]
    assert (fastest == 10).mean() == pytest.approx(1 - 0.75**4, abs=0.03)


@pytest.mark.parametrize("rule", ["earliest_evaluation", "fastest_trial"])
def test_studies_alone_give_the_study_times_of_the_leaderboard(benchmark_small, rule):
    random = np.random.default_rng(3)
    cells = {
        (submission, "digits"): [
            [
                (float(random.choice([*range(5, 20), INF])), int(random.integers(4)))
                for _ in range(4)
            ]
        ]
        for submission in "abcdefgh"
    }
    trials = table(cells)
    benchmark = replace(benchmark_small, scoring=replace(benchmark_small.scoring, study_time=rule))
    drawn = bootstrap(trials, benchmark, resamples=3, levels="studies")
    expected = times_to_target(trials, rule).seconds
    assert np.array_equal(drawn.seconds, [expected] * 3, equal_nan=True)


def test_equal_seeds_give_equal_bits_and_other_seeds_do_not(benchmark_small):
    trials = table(MIXED)
    first, again = (bootstrap(trials, benchmark_small, resamples=500, seed=7) for _ in range(2))
    other = bootstrap(trials, benchmark_small, resamples=500, seed=8)
    assert first.scores.tobytes() == again.scores.tobytes()
    assert first.seconds.tobytes() == again.seconds.tobytes()
    assert (first.seconds != other.seconds).any()


@pytest.mark.parametrize("entries", [1, 7, 100, 10**9])
def test_the_size_of_chunks_changes_nothing(benchmark_small, monkeypatch, entries):
    expected = bootstrap(table(MIXED, ["new"]), benchmark_small, resamples=99)
    monkeypatch.setattr(MODULE, "CHUNK_ENTRIES", entries)
    found = bootstrap(table(MIXED, ["new"]), benchmark_small, resamples=99)
    assert found.scores.tobytes() == expected.scores.tobytes()
    assert found.seconds.tobytes() == expected.seconds.tobytes()


def test_fewer_resamples_are_the_first_of_more(benchmark_small):
    few = bootstrap(table(MIXED), benchmark_small, resamples=10)
    many = bootstrap(table(MIXED), benchmark_small, resamples=1000)
    assert np.array_equal(few.scores, many.scores[:10])


def test_the_order_of_submissions_changes_nothing(benchmark_small):
    trials = table({**MIXED, ("muon", "wine"): [[60, 65], [50, INF]]})
    drawn = bootstrap(trials, benchmark_small, resamples=300)
    turned = bootstrap(trials.take([2, 0, 1]), benchmark_small, resamples=300)
    assert turned.submissions == ("sgd", "adam", "muon")
    assert np.array_equal(turned.seconds, drawn.seconds[:, [2, 0, 1]], equal_nan=True)
    assert np.array_equal(turned.scores, drawn.scores[:, [2, 0, 1]])


def test_the_times_of_a_submission_do_not_depend_on_who_else_is_there(benchmark_small):
    both = bootstrap(table(MIXED), benchmark_small, resamples=300)
    alone = bootstrap(table(MIXED).take([1]), benchmark_small, resamples=300)
    assert np.array_equal(both.seconds[:, 1:], alone.seconds)


def test_submissions_and_workloads_are_drawn_independently(benchmark_small):
    studies = [[float(10 * j + k) for k in range(4)] for j in range(5)]
    names = [("adam", "digits"), ("adam", "wine"), ("sgd", "digits"), ("sgd", "wine")]
    drawn = bootstrap(table(dict.fromkeys(names, studies)), benchmark_small, resamples=5000)
    correlation = np.corrcoef(drawn.seconds.reshape(5000, 4).T)
    assert np.abs(correlation - np.eye(4)).max() < 0.08


def test_absent_workloads_stay_absent_and_missed_ones_missed(benchmark_small):
    trials = table({("adam", "digits"): [[INF, INF]] * 2, ("sgd", "digits"): [[10, 20]]}, ["new"])
    drawn = bootstrap(trials, benchmark_small, resamples=100)
    assert drawn.submissions == ("adam", "new", "sgd")
    assert np.isinf(drawn.seconds[:, 0, 0]).all()
    assert np.isnan(drawn.seconds[:, 1]).all()
    assert np.isnan(drawn.seconds[:, :, 1]).all()
    assert drawn.scores[:, 1].tolist() == [0.0] * 100
    intervals = drawn.time_intervals()
    assert intervals[0, 0].tolist() == [INF, INF]
    assert np.isnan(intervals[1]).all()


@pytest.mark.parametrize(
    "cells",
    [
        {("adam", "digits"): [[10.0]]},
        {("adam", "digits"): [[0.0]], ("sgd", "digits"): [[0.0], [5.0]]},
        {("adam", "digits"): [[INF]], ("sgd", "wine"): [[INF, INF]]},
        {},
    ],
    ids=["one trial", "zero times", "nobody reaches anything", "nothing"],
)
@pytest.mark.parametrize("levels", ["studies_and_trials", "studies"])
def test_extreme_inputs_give_finite_scores(benchmark_small, cells, levels):
    names = () if cells else ["adam"]
    drawn = bootstrap(table(cells, names), benchmark_small, resamples=20, levels=levels)
    assert np.isfinite(drawn.scores).all()
    assert drawn.rank_probabilities().sum(axis=1) == pytest.approx(1.0)
    json.dumps(drawn.to_dict(), allow_nan=False)


def test_no_submissions_have_no_scores(benchmark_small):
    drawn = bootstrap(table({}), benchmark_small, resamples=5)
    assert drawn.scores.shape == (5, 0)
    assert drawn.score_intervals().shape == (0, 2)
    assert drawn.time_intervals().shape == (0, 2, 2)
    assert drawn.rank_probabilities().shape == drawn.better_than().shape == (0, 0)
    assert drawn.to_dict()["score_intervals"] == {}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"resamples": 0}, "resamples: expected a number of at least 1, found 0"),
        ({"seed": -1}, "seed: expected a number of at least 0, found -1"),
        (
            {"levels": "trials"},
            "levels: expected 'studies_and_trials' or 'studies', found 'trials'",
        ),
    ],
)
def test_settings_that_make_no_sense_are_refused(benchmark_small, settings, message):
    with pytest.raises(AlgoperfError, match=message):
        bootstrap(table(MIXED), benchmark_small, **settings)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95, -0.5, NAN])
def test_a_confidence_is_a_share(confidence):
    with pytest.raises(AlgoperfError, match=r"confidence: expected a number between 0 and 1"):
        percentile_intervals([1.0, 2.0], confidence)


@pytest.mark.parametrize(
    ("values", "confidence", "expected"),
    [
        (range(10_000), 0.95, [250, 9749]),
        (range(10_000), 0.9, [500, 9499]),
        (range(100), 0.8, [10, 89]),
        (range(3), 0.95, [0, 2]),
        ([7.0], 0.95, [7, 7]),
        ([1.0, 2.0], 0.01, [1, 2]),
        ([1.0, 2.0, 3.0], 0.01, [2, 2]),
        ([1.0, 2.0, 3.0, INF], 0.5, [2, 3]),
        ([1.0, INF, INF, INF], 0.5, [INF, INF]),
        ([3.0, INF], 0.95, [3, INF]),
        ([INF, INF], 0.95, [INF, INF]),
    ],
)
def test_intervals_cut_off_the_same_number_at_both_ends(values, confidence, expected):
    shuffled = np.random.default_rng(0).permutation(np.array(list(values), dtype=float))
    assert percentile_intervals(shuffled, confidence).tolist() == expected


def test_intervals_keep_the_axes_behind_the_resamples():
    values = np.arange(24.0).reshape(4, 3, 2)
    intervals = percentile_intervals(values)
    assert intervals.shape == (3, 2, 2)
    assert intervals[1, 1].tolist() == [3.0, 21.0]


@given(
    st.lists(st.floats(0, 1e6) | st.just(INF), min_size=1, max_size=60),
    st.floats(0.01, 0.99),
)
def test_an_interval_holds_at_least_its_share(values, confidence):
    lower, upper = percentile_intervals(values, confidence)
    inside = sum(lower <= value <= upper for value in values)
    assert inside >= confidence * len(values) - 1e-3
    assert {lower, upper} <= set(values)


def test_ranks_and_duels_are_counted_over_the_resamples():
    drawn = result([[0.9, 0.5, 0.1], [0.5, 0.9, 0.9], [0.9, 0.5, 0.5], [0.9, 0.5, 0.1]])
    assert drawn.rank_probabilities().tolist() == [
        [0.75, 0.0, 0.25],
        [0.25, 0.75, 0.0],
        [0.25, 0.25, 0.5],
    ]
    assert drawn.better_than().tolist() == [[0, 0.75, 0.75], [0.25, 0, 0.5], [0.25, 0, 0]]


@given(
    st.integers(1, 5).flatmap(
        lambda n: st.lists(
            st.lists(st.sampled_from([0.1, 0.2, 0.3]), min_size=n, max_size=n), min_size=1
        )
    )
)
def test_rows_of_rank_probabilities_sum_to_one(scores):
    drawn = result(scores)
    assert drawn.rank_probabilities().sum(axis=1) == pytest.approx(1.0)
    duels = drawn.better_than()
    assert (duels + duels.T <= 1.0 + 1e-12).all()
    assert (np.diag(duels) == 0.0).all()


def test_the_dictionary_is_plain_data(benchmark_small):
    trials = table({**MIXED, ("late", "digits"): [[INF]]})
    drawn = bootstrap(trials, benchmark_small, resamples=100, seed=5)
    data = json.loads(json.dumps(drawn.to_dict(0.9), allow_nan=False))
    assert data["seed"] == 5
    assert data["resamples"] == 100
    assert data["levels"] == "studies_and_trials"
    assert data["method"] == "grid"
    assert data["confidence"] == 0.9
    assert data["time_intervals"]["late"] == {"digits": [None, None], "wine": None}
    assert data["time_intervals"]["adam"]["wine"][1] is None
    assert data["score_intervals"]["adam"] == drawn.score_intervals(0.9)[0].tolist()
    assert data["better_than"]["adam"]["late"] == drawn.better_than()[0, 1]
    assert len(data["rank_probabilities"]["sgd"]) == 3


def test_the_data_frame_has_a_column_per_submission(benchmark_small):
    pytest.importorskip("pandas")
    drawn = bootstrap(table(MIXED), benchmark_small, resamples=10)
    frame = drawn.to_pandas()
    assert list(frame.columns) == ["adam", "sgd"]
    assert np.array_equal(frame.to_numpy(), drawn.scores)


def test_trials_that_stand_behind_a_gap_are_drawn_too(benchmark_small):
    trials = table({("adam", "digits"): [[1, 2, 3], [4, 5, 6], [7, 8, 9]]})
    seconds = trials.seconds.copy()
    seconds[0, 0, 1] = NAN
    seconds[0, 0, 0, 0] = NAN
    drawn = bootstrap(replace(trials, seconds=seconds), benchmark_small, resamples=2000)
    found = set(drawn.seconds[:, 0, 0].tolist())
    there = (2, 3, 7, 8, 9)
    assert {2.0, 3.0, 4.5, 7.0, 8.0} <= found <= {(a + b) / 2 for a in there for b in there}


@pytest.fixture(scope="module")
def published(published_logs):
    benchmark = load_benchmark(V05)
    logs = read_logs(published_logs(V05), benchmark, ruleset="external")
    return read_trial_times(logs, benchmark), benchmark


def test_published_scores_lie_in_their_intervals(published):
    trials, benchmark = published
    times = times_to_target(trials, benchmark.scoring.study_time)
    scores = benchmark_score(
        counted_times(times.seconds, times.workloads, benchmark), method="grid"
    )
    drawn = bootstrap(trials, benchmark, resamples=2000)
    lower, upper = drawn.score_intervals().T
    assert ((lower <= scores) & (scores <= upper)).all()
    first = drawn.rank_probabilities()[:, 0]
    assert drawn.submissions[int(first.argmax())] == "shampoo_submission"
    assert 0.5 < first.max() < 1.0


def test_the_published_field_is_resampled_in_chunks_and_in_any_order(published, monkeypatch):
    trials, benchmark = published
    expected = bootstrap(trials, benchmark, resamples=500)
    monkeypatch.setattr(MODULE, "CHUNK_ENTRIES", 1000)
    found = bootstrap(trials, benchmark, resamples=500)
    assert found.scores.tobytes() == expected.scores.tobytes()
    turned = bootstrap(trials.take(range(10, -1, -1)), benchmark, resamples=500)
    assert turned.scores[:, ::-1].tobytes() == expected.scores.tobytes()


def test_a_reference_is_the_unit_in_every_resample(benchmark_small):
    trials = table({("adam", "digits"): [[10, 12]], ("sgd", "digits"): [[20, 24]]})
    drawn = bootstrap(trials, benchmark_small, method="exact", resamples=50, reference="sgd")
    # Digits is one of two workloads; adam is always faster than the unit, which has ratio 1.
    assert (drawn.scores == 0.5).all()
    plain = bootstrap(trials, benchmark_small, method="exact", resamples=50)
    assert (plain.scores[:, 1] < 0.5).all()
    with pytest.raises(UnknownNameError, match="did you mean 'sgd'"):
        bootstrap(trials, benchmark_small, reference="sg")
