"""What the tables of a leaderboard and its analysis say."""

import pytest

from algoperf_scoring import Benchmark, TrialTime, TrialTimes, score_logs, score_times
from algoperf_scoring.analysis import analyse
from algoperf_scoring.errors import AlgoperfError
from algoperf_scoring.tables import (
    audit_table,
    format_seconds,
    heading,
    leaderboard_tables,
    score_table,
    sensitivity_tables,
    speedup_table,
    times_tables,
    tuning_tables,
)
from algoperf_scoring.text_tables import Table, to_text
from algoperf_scoring.time_tables import benchmark_of_times


def printed(leaderboard, width: int = 80) -> str:
    tables = leaderboard_tables(leaderboard, width=width)
    return heading(leaderboard) + "\n".join(to_text(table, width) for table in tables)


@pytest.fixture
def leaderboard(tree, benchmark_held_out):
    for name, seconds in (("fast", 10.0), ("slow_but_sure", 2000.0)):
        for workload in ("digits", "wine", "digits_noisy"):
            good, bad = (0.4, 0.6) if workload == "wine" else (0.95, 0.1)
            rows = [(seconds - 4.0, bad), (seconds, good)]
            tree.trial(f"{name}/study_0/{workload}_jax/trial_1", rows)
    tree.trial("lost/study_0/digits_jax/trial_1", [(5.0, 0.1)])
    return score_logs(tree.root, benchmark_held_out, method="exact")


def row(text: str, *starts: str) -> list[list[str]]:
    lines = [line.split() for line in text.splitlines()]
    return [words for words in lines if words[: len(starts)] == list(starts)]


def cells(table: Table, name: str) -> tuple[str, ...]:
    return next(cells for cells in table.rows if name in cells)


def test_scores_and_counts_of_reached_workloads_and_trials_are_shown(leaderboard):
    text = printed(leaderboard)
    assert row(text, "1", "fast") == [["1", "fast", "1.0000", "2/2", "1/1", "2/2", "3/3"]]
    assert row(text, "2", "slow_but_sure")[0][2:] == ["0.0000", "2/2", "1/1", "0/2", "3/3"]
    assert row(text, "2", "lost")[0][2:] == ["0.0000", "0/2", "0/1", "0/2", "0/1"]


def test_times_are_marked_as_missed_or_not_counted(leaderboard):
    text = printed(leaderboard)
    assert row(text, "digits") == [["digits", "10.0", "—", "2,000*", "4.00"]]
    assert row(text, "wine") == [["wine", "10.0", "2,000*", "4.00"]]
    assert row(text, "digits_noisy") == [["digits_noisy", "10.0", "2,000", "4.00"]]
    assert "* not counted: more than 4 times the fastest, or a held-out variant was missed" in text


def test_times_that_cannot_be_told_apart_are_marked(tree, benchmark_small):
    for name, rows in (
        ("one", [(10.0, 0.1), (20.0, 0.95)]),
        ("two", [(15.0, 0.1), (25.0, 0.95)]),
        ("three", [(20.0, 0.1), (22.0, 0.1), (30.0, 0.95)]),
        ("four", [(30.0, 0.1), (40.0, 0.95)]),
    ):
        tree.trial(f"{name}/study_0/digits_jax/trial_1", rows)
    (table,) = times_tables(score_logs(tree.root, benchmark_small))
    shown = dict(zip([column.name for column in table.columns], table.rows[0], strict=True))
    assert shown["resolution"] == "10.0"
    assert {name: shown[name] for name in ("one", "two", "three", "four")} == {
        "one": "~20.0",
        "two": "~25.0",
        "three": "~30.0",
        "four": "40.0",
    }


def test_times_without_evaluations_have_no_resolution():
    rows = [TrialTime(name, "w", "s", 1, seconds) for name, seconds in (("a", 10.0), ("b", 20.0))]
    trials = TrialTimes.from_rows(rows)
    (table,) = times_tables(score_times(trials, benchmark_of_times([trials])))
    assert [column.name for column in table.columns] == ["workload", "a", "b"]
    assert "esolution" not in table.legend
    assert "tied" not in table.legend


def test_where_nobody_reaches_a_target_there_is_no_resolution(tree, benchmark_small):
    tree.trial("sub/study_0/digits_jax/trial_1", [(5.0, 0.1), (10.0, 0.2)])
    (table,) = times_tables(score_logs(tree.root, benchmark_small))
    assert [column.name for column in table.columns] == ["workload", "sub"]
    assert "esolution" not in table.legend


def test_profiles_are_shown_at_a_few_points(leaderboard):
    assert row(printed(leaderboard), "fast") == [["fast"] + ["100.0%"] * 6]


def test_held_out_is_not_mentioned_without_held_out_workloads(tree, benchmark_small):
    tree.trial("sub/study_0/digits_jax/trial_1", [(10.0, 0.95)])
    text = printed(score_logs(tree.root, benchmark_small))
    assert "held-out" not in text
    assert "1 submission on 2 base workloads" in text


def test_a_single_workload_is_spoken_of_as_one(tree, definition):
    tree.trial("sub/study_0/digits_jax/trial_1", [(10.0, 0.95)])
    alone = Benchmark.from_toml(
        definition.replace('base = ["digits", "wine"]', 'base = ["digits"]')
    )
    assert "1 submission on 1 base workload\n" in printed(score_logs(tree.root, alone))


def test_a_reference_is_named(leaderboard, tree, benchmark_held_out):
    board = score_logs(tree.root, benchmark_held_out, reference="slow_but_sure")
    assert "grid integration, relative to slow_but_sure\n" in heading(board)


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("version", ["algoperf-v0.5", "algoperf-v0.6"])
def test_published_leaderboards_fit_their_width_with_nothing_cut(published_logs, version, width):
    leaderboard = score_logs(published_logs(version), version)
    text = printed(leaderboard, width)
    lines = text.splitlines()
    assert max(len(line) for line in lines if not line.startswith("~")) <= width
    for workload in leaderboard.benchmark.scored:
        assert len(row(text, workload)) == text.count("Seconds to target")
    for submission in leaderboard.submissions:
        assert len(row(text, submission)) >= 1


def test_more_submissions_than_fit_go_into_further_tables(tree, benchmark_small):
    for number in range(12):
        tree.trial(f"submission_{number:02}/study_0/digits_jax/trial_1", [(1234.5, 0.95)])
    text = printed(score_logs(tree.root, benchmark_small))
    shown = [cell for words in row(text, "digits") for cell in words[1:-1]]
    assert shown == ["~1,234"] * 12
    assert "Seconds to target, continued" in text


def test_names_that_look_like_markup_are_shown_as_they_are(tree, benchmark_small):
    for name in ("adam[lr=1]", "sgd[bold]", "lion[!x]"):
        tree.trial(f"{name}/study_0/digits_jax/trial_1", [(10.0, 0.95)])
    text = printed(score_logs(tree.root, benchmark_small))
    for name in ("adam[lr=1]", "sgd[bold]", "lion[!x]"):
        assert text.count(name) == 3


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(70196.7, "70,197"), (123.4, "123"), (12.34, "12.3"), (1.234, "1.23"), (0.0, "0.00")],
)
def test_seconds_have_as_many_digits_as_a_reader_needs(seconds, text):
    assert format_seconds(seconds) == text


@pytest.fixture
def analysis(leaderboard):
    return analyse(leaderboard, resamples=50, speedup_over="fast")


def test_an_analysis_adds_intervals_and_ranks(tree, leaderboard, benchmark_held_out):
    tree.trial("fast/study_1/digits_jax/trial_1", [(6.0, 0.1), (10.0, 0.95)])
    leaderboard = score_logs(tree.root, benchmark_held_out, method="exact")
    table = score_table(leaderboard, analyse(leaderboard, resamples=50))
    assert [column.name for column in table.columns][:5] == [
        *("#", "submission", "score", "95% interval", "ranks")
    ]
    assert cells(table, "fast")[3:5] == ("1.0000 – 1.0000", "1")
    assert "95% of 50 bootstrap resamples, seed 0" in table.legend


def test_speedups_are_told_with_their_intervals_or_why_there_is_none(analysis):
    table = speedup_table(analysis)
    assert cells(table, "fast") == ("fast", "1.0000")
    assert cells(table, "slow_but_sure") == ("slow_but_sure", "0.0050")
    assert cells(table, "lost") == ("lost", "")
    assert "lost has no measurements of wine" in table.legend


def test_speedups_of_repeated_runs_have_intervals(tree, benchmark_small):
    for name, factor in (("fast", 1), ("slow", 2)):
        for study, seconds in enumerate((10.0, 12.0)):
            for workload, good in (("digits", 0.95), ("wine", 0.4)):
                where = f"{name}/study_{study}/{workload}_jax/trial_1"
                tree.trial(where, [(factor * seconds, good)])
    board = score_logs(tree.root, benchmark_small)
    table = speedup_table(analyse(board, resamples=200, speedup_over="slow"))
    name, value, interval = cells(table, "fast")
    assert (name, value) == ("fast", "2.0000")
    low, high = map(float, interval.split(" – "))
    assert low < 2.0 < high


def test_without_a_submission_to_compare_with_there_are_no_speedups(leaderboard):
    with pytest.raises(AlgoperfError, match="no speedups; choose one"):
        speedup_table(analyse(leaderboard, resamples=5))


def test_ranks_that_differ_under_other_rules_are_in_brackets(analysis):
    (table,) = sensitivity_tables(analysis)
    assert cells(table, "as it is") == ("as it is", "1.0000", "0.0000", "0.0000")
    scenarios = [cells[0] for cells in table.rows]
    assert "without wine" in scenarios
    assert "ratios up to 8" in scenarios


def test_a_single_tuning_trial_needs_no_tuning_table(analysis):
    assert tuning_tables(analysis) == []


def test_tuning_tables_say_how_often_k_trials_reach_the_target(tree, benchmark_small):
    for trial, value in enumerate((0.95, 0.1), start=1):
        tree.trial(f"sub/study_0/digits_jax/trial_{trial}", [(10.0, value)])
    board = score_logs(tree.root, benchmark_small)
    reached, expected = tuning_tables(analyse(board, resamples=5))
    # Half of the trials reach digits, nobody has measured wine.
    assert cells(reached, "sub") == ("sub", "25.0%", "50.0%")
    assert cells(expected, "sub") == ("sub", "", "")
    board = score_logs(tree.root, benchmark_small.subset(include=["digits"]))
    reached, expected = tuning_tables(analyse(board, resamples=5))
    assert cells(reached, "sub") == ("sub", "50.0%", "100.0%")
    # A miss counts as the budget of 100 s and 1 s.
    assert cells(expected, "sub") == ("sub", "55.5", "10.0")


def test_the_audit_tells_every_submission_and_workload(leaderboard):
    table = audit_table(leaderboard)
    assert len(table.rows) == 9
    assert table.rows[0] == ("fast", "digits", "1/1", "1/1", "1", "counts", "")
    found = {cells[:2]: cells[5:] for cells in table.rows}
    assert found["lost", "wine"] == ("no measurements", "scored workload without measurements")
    assert found["slow_but_sure", "digits"][0] == "200.00 times the fastest, more than 4"
