"""Logs, tables of times and the published field, alone and together."""

import csv

import pytest

from algoperf_scoring import (
    AlgoperfError,
    LogError,
    UnknownNameError,
    analyse,
    load_benchmark,
    save_figures,
    score_logs,
    write_report,
)

HIT = [(5.0, 0.1), (10.0, 0.95)]
WIDE = "submission,one,two\nfast,10,20\nslow,20,80\nlost,,inf\n"
LONG = """submission,workload,study,trial,time
a,digits,s0,1,30
a,digits,s0,2,20
a,digits,s1,1,40
b,digits,s0,1,inf
b,wine,s0,1,7
"""


@pytest.fixture
def table(tmp_path):
    def table(text: str, name: str = "times.csv"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return table


def scores(*arguments, **options):
    return score_logs(*arguments, method="exact", **options).to_dict()["scores"]


def test_a_wide_table_needs_no_benchmark(table):
    board = score_logs(table(WIDE))
    assert board.benchmark.base == ("one", "two")
    assert board.to_dict()["scores"] == {"fast": 1.0, "slow": pytest.approx(1 / 3), "lost": 0.0}
    assert board.logs is None
    assert {row.verdict for row in board.audit if row.submission == "lost"} == {
        "no measurements",
        "target missed",
    }


def test_a_long_table_needs_no_benchmark_and_expects_the_trials_it_has(table):
    board = score_logs(table(LONG))
    # The median of the studies, of which the second has one trial.
    assert board.to_dict()["times"]["a"] == {"digits": 30.0, "wine": None}
    kinds = [(found.kind, found.submission) for found in board.findings]
    assert ("trial_count", "a") in kinds
    assert ("study_count", "b") in kinds


def test_a_table_is_scored_by_a_benchmark_that_is_given(table, benchmark_small):
    board = score_logs(table(LONG + "b,spare,s0,1,1\n"), benchmark_small)
    assert board.times.workloads == ("digits", "wine")
    assert "workload ignored because the benchmark does not score it: b/spare (1 trial)" in [
        found.message for found in board.findings
    ]


def test_logs_and_tables_are_scored_together(tree, table, benchmark_small):
    tree.trial("mine/study_0/digits_jax/trial_1", HIT)
    together = scores([tree.root, table(LONG)], benchmark_small)
    assert together == pytest.approx({"a": 1 / 6, "b": 0.5, "mine": 0.5})
    assert list(scores([tree.root, table(LONG)], benchmark_small, include=["a"])) == ["a"]
    assert list(scores([tree.root, table(LONG)], benchmark_small, exclude=["a", "b"])) == ["mine"]


def test_what_is_left_out_is_not_read(tree, table, benchmark_small):
    tree.trial("mine/study_0/digits_jax/trial_1", HIT)
    broken = tree.trial("broken/study_0/digits_jax/trial_1", HIT)
    broken.write_text("score,validation/accuracy\nten,0.9\n")
    with pytest.raises(LogError, match="expected a number"):
        scores([tree.root, table(LONG)], benchmark_small)
    assert "broken" not in scores([tree.root, table(LONG)], benchmark_small, exclude=["broken"])


def test_a_submission_that_two_sources_have_is_refused(tree, table, benchmark_small):
    tree.trial("a/study_0/digits_jax/trial_1", HIT)
    with pytest.raises(LogError, match=r"times\.csv and .*logs both have a submission 'a'; rena"):
        scores([tree.root, table(LONG)], benchmark_small)


def test_nothing_and_nowhere_are_refused(tmp_path, benchmark_small):
    with pytest.raises(AlgoperfError, match="nothing to score"):
        score_logs([], benchmark_small)
    with pytest.raises(LogError, match="no/where: no such folder"):
        score_logs(tmp_path / "no" / "where", benchmark_small)


def test_an_unknown_submission_is_told_those_of_all_sources(tree, table, benchmark_small):
    tree.trial("mine/study_0/digits_jax/trial_1", HIT)
    with pytest.raises(UnknownNameError, match=r"did you mean 'mine'.* Known: a, b, mine"):
        scores([tree.root, table(LONG)], benchmark_small, include=["min"])


def published_like(tree, name: str, seconds: float) -> None:
    benchmark = load_benchmark("algoperf-v0.6")
    for workload in benchmark.scored:
        facts = benchmark.workload(workload)
        rows = [(1.0, float("nan")), (seconds, facts.validation_target)]
        tree.trial(f"{name}/study_0/{workload}_jax/trial_1", rows, metric=facts.metric)


def test_a_submission_is_scored_against_the_published_field(tree):
    published_like(tree, "mine", 600.0)
    board = score_logs(tree.root, "algoperf-v0.6", against="published")
    assert board.submissions == ("mine", "shampoo", "baseline")
    assert board.scores[0] == 1.0
    # All but on the workloads that nobody had reached before, mine is far ahead.
    assert board.to_dict()["times"]["shampoo"]["fastmri"] == pytest.approx(640.7693979740143)
    # Findings are about what was brought, not about what is known.
    assert {found.submission for found in board.findings} == {"mine"}


def test_a_report_and_figures_can_be_made_of_logs_and_the_published_field(tree, tmp_path):
    published_like(tree, "mine", 600.0)
    board = score_logs(tree.root, "algoperf-v0.6", against="published")
    analysis = analyse(board, resamples=20)
    write_report(analysis, tmp_path / "report.html")
    assert "shampoo" in (tmp_path / "report.html").read_text()
    paths = save_figures(analysis, tmp_path / "figures", trial_scatters=False)
    assert any("ogbg" in path.name for path in paths)


def test_the_field_of_another_benchmark_can_be_named(tree):
    published_like(tree, "mine", 600.0)
    definition = load_benchmark("algoperf-v0.6").subset(include=["ogbg", "wmt"])
    board = score_logs(tree.root, definition, against="published:algoperf-v0.5")
    assert len(board.submissions) == 12
    assert board.times.workloads == ("ogbg", "wmt")


def test_only_the_published_field_can_be_competed_against(tree):
    published_like(tree, "mine", 600.0)
    with pytest.raises(AlgoperfError, match="against: 'everybody' is not known; give 'published'"):
        score_logs(tree.root, "algoperf-v0.6", against="everybody")


def test_strict_scoring_does_not_judge_the_published_field(tree):
    published_like(tree, "mine", 600.0)
    benchmark = load_benchmark("algoperf-v0.6")
    from dataclasses import replace

    once = {"external": replace(benchmark.ruleset("external"), studies=1, trials=1)}
    board = score_logs(
        tree.root, replace(benchmark, rulesets=once), against="published", strict=True
    )
    assert board.ranks == (1, 2, 3)


def test_times_written_as_a_table_score_as_the_logs_do(tree, tmp_path, benchmark_small):
    from algoperf_scoring.time_tables import write_long_table

    for trial, rows in enumerate((HIT, [(3.0, 0.2)]), start=1):
        tree.trial(f"mine/study_0/digits_jax/trial_{trial}", rows)
    tree.trial("yours/study_0/wine_jax/trial_1", [(5.0, 0.4)])
    from_logs = score_logs(tree.root, benchmark_small)
    write_long_table(from_logs.trials, tmp_path / "times.csv")
    with open(tmp_path / "times.csv", newline="") as file:
        assert len(list(csv.reader(file))) == 4
    from_table = score_logs(tmp_path / "times.csv", benchmark_small)
    without = ("findings", "audit")
    expected, found = (
        {key: value for key, value in board.to_dict().items() if key not in without}
        for board in (from_logs, from_table)
    )
    assert found == expected
