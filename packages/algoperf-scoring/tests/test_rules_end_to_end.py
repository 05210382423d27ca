"""Each rule of the protocol, from files to the score."""

from dataclasses import replace

import pytest

from algoperf_scoring import score_logs

HIT, MISS = 0.95, 0.1


@pytest.fixture
def run(tree):
    """Writes one trial per workload and submission; None is a missed target."""

    def run(submission: str, study: int = 0, trial: int = 1, **seconds: float | None) -> None:
        for workload, time in seconds.items():
            reached, missed = (0.4, 0.6) if workload == "wine" else (HIT, MISS)
            rows = [(1.0, missed)] if time is None else [(1.0, missed), (time, reached)]
            tree.trial(f"{submission}/study_{study}/{workload}_jax/trial_{trial}", rows)

    return run


@pytest.fixture
def scores(tree, benchmark_held_out):
    def scores(benchmark=benchmark_held_out, **options) -> dict[str, float]:
        leaderboard = score_logs(tree.root, benchmark, method="exact", **options)
        return {name: round(score, 9) for name, score in leaderboard.to_dict()["scores"].items()}

    return scores


def test_twice_the_fastest_time_earns_two_thirds(run, scores, benchmark_small):
    run("fast", digits=10, wine=10)
    run("slow", digits=20, wine=20)
    assert scores(benchmark_small) == {"fast": 1.0, "slow": round(2 / 3, 9)}


def test_the_denominator_is_the_number_of_base_workloads_of_the_benchmark(
    run, scores, benchmark_small
):
    run("half", digits=10)
    assert scores(benchmark_small) == {"half": 0.5}


def test_a_missed_held_out_variant_takes_its_base_away(run, scores):
    run("robust", digits=20, digits_noisy=10, wine=10)
    run("brittle", digits=10, digits_noisy=None, wine=10)
    assert scores() == {"robust": 1.0, "brittle": 0.5}


def test_a_held_out_variant_that_was_never_run_counts_as_missed(run, scores):
    run("robust", digits=20, digits_noisy=10, wine=10)
    run("untested", digits=10, wine=10)
    assert scores() == {"robust": 1.0, "untested": 0.5}


def test_a_held_out_variant_five_times_slower_takes_its_base_away(run, scores):
    run("robust", digits=20, digits_noisy=10, wine=10)
    run("brittle", digits=10, digits_noisy=50, wine=10)
    assert scores() == {"robust": 1.0, "brittle": 0.5}


def test_a_held_out_time_counts_only_after_its_base_was_reached(run, scores):
    run("lucky", digits=None, digits_noisy=1, wine=10)
    run("honest", digits=20, digits_noisy=100, wine=10)
    assert scores() == {"honest": 1.0, "lucky": 0.5}


def test_unscored_workloads_do_not_enter(run, tree, scores, benchmark_small):
    run("one", digits=10, wine=10)
    run("two", digits=10, wine=10)
    tree.trial("one/study_0/spare_jax/trial_1", [(1.0, 0.0)], metric="wer")
    assert scores(benchmark_small) == {"one": 1.0, "two": 1.0}


def test_the_median_study_counts(run, scores, benchmark_small):
    run("steady", digits=20, wine=10)
    for study, seconds in enumerate((5, 40, None)):
        run("erratic", study=study, digits=seconds, wine=10)
    assert scores(benchmark_small) == {"steady": 1.0, "erratic": round((1 + 2 / 3) / 2, 9)}


def test_the_best_trial_of_a_study_counts(run, scores, benchmark_small):
    for trial, seconds in enumerate((None, 30, 10), start=1):
        run("tuned", trial=trial, digits=seconds, wine=10)
    run("plain", digits=20, wine=10)
    assert scores(benchmark_small)["tuned"] == 1.0


def test_the_rule_for_studies_is_that_of_the_benchmark(tree, run, scores, benchmark_small):
    early, late = [(30.0, HIT)], [(5.0, MISS), (10.0, HIT)]
    tree.trial("sub/study_0/digits_jax/trial_1", early)
    tree.trial("sub/study_0/digits_jax/trial_2", late)
    run("other", digits=10, wine=10)
    rules = replace(benchmark_small.scoring, study_time="fastest_trial")
    assert scores(benchmark_small)["sub"] == round(1 / 6, 9)
    assert scores(replace(benchmark_small, scoring=rules))["sub"] == 0.5


def test_the_limit_on_ratios_is_that_of_the_benchmark(run, scores, benchmark_small):
    run("fast", digits=10, wine=10)
    run("slow", digits=50, wine=50)
    rules = replace(benchmark_small.scoring, max_ratio=9.0)
    assert scores(benchmark_small)["slow"] == 0.0
    assert scores(replace(benchmark_small, scoring=rules))["slow"] == 0.5


def test_the_ruleset_changes_no_number(run, scores, benchmark_small):
    run("one", digits=10, wine=10)
    run("two", digits=15, wine=30)
    external, own = (scores(benchmark_small, ruleset=name) for name in ("external", "self"))
    assert external == own
