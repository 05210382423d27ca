"""Leads on a single workload are named for review; leads on several are not."""

import math

import numpy as np
import pytest

from algoperf_scoring import (
    AlgoperfError,
    Benchmark,
    TimesToTarget,
    TrialTime,
    TrialTimes,
    UnknownNameError,
    load_benchmark,
    read_logs,
    read_trial_times,
    times_to_target,
)
from algoperf_scoring.bootstrap import Bootstrap, bootstrap
from algoperf_scoring.plausibility import Suspicion, suspicious_times

INF, NAN = math.inf, math.nan
WORKLOADS = ("digits", "wine", "digits_noisy")


def compared(rows, spread=0.0, workloads=WORKLOADS):
    """Times of submissions a, b, ... and a bootstrap whose ranges are ``spread`` around them."""
    seconds = np.array(rows, dtype=float)
    names, shape = tuple("abcdef"[: len(rows)]), seconds.shape
    drawn = np.stack([seconds * (1 - spread), seconds, seconds * (1 + spread)])
    times = TimesToTarget(
        names,
        workloads,
        seconds,
        seconds,
        seconds[..., None],
        np.ones(shape, np.int64),
        np.ones(shape, np.int64),
    )
    scores = np.zeros((3, len(rows)))
    return Bootstrap(
        names, workloads, ("digits", "wine"), "exact", "studies", 0, scores, drawn
    ), times


def flagged(benchmark, rows, spread=0.0, **settings):
    found = suspicious_times(*compared(rows, spread), benchmark, **settings)
    return [(suspicion.submission, suspicion.workload) for suspicion in found]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([[10, 50, 70], [30, 50, 70], [40, 50, 70]], [("a", "digits")]),
        ([[10, 50, 70], [20, 50, 70], [40, 50, 70]], []),
        ([[9.99, 50, 70], [20, 50, 70], [40, 50, 70]], [("a", "digits")]),
        ([[10, 10, 70], [30, 50, 70], [40, 50, 70]], []),
        ([[10, 50, 10], [30, 50, 70], [40, 50, 70]], [("a", "digits_noisy")]),
        ([[1, 50, 10], [30, 50, 70], [40, 50, 70]], [("a", "digits")]),
        ([[10, 10, 10], [30, 50, 70], [40, 50, 70]], []),
        ([[10, 50, 70], [30, 10, 70], [40, 50, 70]], [("a", "digits"), ("b", "wine")]),
        ([[10, 50, 70], [30, 50, 70]], []),
        ([[10, 50, 70], [30, 50, 70], [INF, 50, 70]], []),
        ([[10, 50, 70], [30, 50, 70], [NAN, 50, 70]], []),
        ([[10, 50, 70], [30, 50, 70], [NAN, 50, 70], [40, 50, 70]], [("a", "digits")]),
        ([[0, 50, 70], [30, 50, 70], [40, 50, 70]], [("a", "digits")]),
        ([[0, 50, 70], [0, 50, 70], [40, 50, 70]], []),
        ([[10, 50, 70]], []),
        ([[INF, INF, INF]] * 3, []),
        ([[NAN, NAN, NAN]] * 3, []),
    ],
    ids=[
        "far ahead",
        "exactly the factor",
        "just beyond the factor",
        "on two workloads",
        "on a variant",
        "on a workload and its variant",
        "everywhere",
        "two submissions on one each",
        "only one other",
        "only one other that reached it",
        "only one other with measurements",
        "two others among more",
        "zero",
        "zero like another",
        "alone",
        "nobody reaches anything",
        "nothing measured",
    ],
)
def test_a_lead_on_exactly_one_workload_is_named(benchmark_held_out, rows, expected):
    assert flagged(benchmark_held_out, rows) == expected


def test_the_range_of_the_others_counts_not_their_time(benchmark_held_out):
    rows = [[10, 50, 70], [22, 50, 70], [40, 50, 70]]
    assert flagged(benchmark_held_out, rows, 0.05) == [("a", "digits")]
    assert flagged(benchmark_held_out, rows, 0.15) == []


def test_a_range_above_the_time_itself_does_not_accuse(benchmark_held_out):
    ranges, times = compared([[10, 50, 70], [18, 50, 70], [40, 50, 70]])
    ranges.seconds[:, 1, 0] = 30.0
    assert suspicious_times(ranges, times, benchmark_held_out) == ()


def test_the_factor_and_the_confidence_can_be_chosen(benchmark_held_out):
    rows = [[10, 50, 70], [30, 50, 70], [40, 50, 70]]
    assert flagged(benchmark_held_out, rows, factor=3.0) == []
    assert flagged(benchmark_held_out, rows, factor=2.9) == [("a", "digits")]
    assert flagged(benchmark_held_out, rows, 0.5) == []
    assert flagged(benchmark_held_out, rows, 0.5, confidence=0.1) == [("a", "digits")]


@pytest.mark.parametrize("factor", [0.99, -1.0, NAN])
def test_a_factor_below_one_is_refused(benchmark_held_out, factor):
    with pytest.raises(AlgoperfError, match="factor: expected a number of at least 1"):
        flagged(benchmark_held_out, [[10, 50, 70]], factor=factor)


def test_submissions_are_matched_by_name(benchmark_held_out):
    ranges, times = compared([[40, 50, 70], [30, 50, 70], [10, 50, 70]])
    (suspicion,) = suspicious_times(ranges, times.take([2, 0, 1]), benchmark_held_out)
    assert suspicion == Suspicion("c", "digits", 10.0, 30.0, 2.0)


def test_submissions_that_were_not_resampled_are_named(benchmark_held_out):
    ranges, _ = compared([[40, 50, 70], [30, 50, 70]])
    _, times = compared([[40, 50, 70], [30, 50, 70], [10, 50, 70]])
    with pytest.raises(UnknownNameError, match="unknown submission 'c'"):
        suspicious_times(ranges, times, benchmark_held_out)


def test_the_message_asks_for_a_review_and_is_no_verdict():
    message = Suspicion("adam", "wmt", 1234.4, 4000.0, 2.0).message
    assert message.startswith("adam reaches wmt in 1,234 s, less than 1/2 of the 4,000 s")
    assert "review it:" in message
    assert "proves nothing" in message


def test_trials_of_a_real_bootstrap_are_compared(benchmark_small: Benchmark):
    rows = [
        TrialTime(name, workload, f"study_{j}", 1, scale * (1 + 0.01 * j))
        for name, digits in (("adam", 100.0), ("muon", 20.0), ("sgd", 90.0))
        for workload, scale in (("digits", digits), ("wine", 50.0))
        for j in range(5)
    ]
    trials = TrialTimes.from_rows(rows, workloads=benchmark_small.scored)
    ranges = bootstrap(trials, benchmark_small, resamples=200)
    times = times_to_target(trials, benchmark_small.scoring.study_time)
    (suspicion,) = suspicious_times(ranges, times, benchmark_small)
    assert (suspicion.submission, suspicion.workload) == ("muon", "digits")
    assert suspicion.seconds == pytest.approx(20.4)
    assert 90.0 <= suspicion.others_from_s <= 91.8


def test_nobody_in_the_published_field_is_suspicious(published_logs):
    benchmark = load_benchmark("algoperf-v0.5")
    logs = read_logs(published_logs("algoperf-v0.5"), benchmark, ruleset="external")
    trials = read_trial_times(logs, benchmark)
    times = times_to_target(trials, benchmark.scoring.study_time)
    ranges = bootstrap(trials, benchmark, resamples=500)
    assert suspicious_times(ranges, times, benchmark) == ()
