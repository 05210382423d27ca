import io

import pytest
from rich.console import Console

from algoperf_scoring import Benchmark, score_logs
from algoperf_scoring.tables import format_seconds, print_leaderboard


def printed(leaderboard, width: int = 80) -> str:
    buffer = io.StringIO()
    print_leaderboard(leaderboard, Console(file=buffer, width=width, highlight=False))
    return buffer.getvalue()


@pytest.fixture
def leaderboard(tree, benchmark_held_out):
    for name, seconds in (("fast", 10.0), ("slow_but_sure", 2000.0)):
        for workload in ("digits", "wine", "digits_noisy"):
            value = 0.4 if workload == "wine" else 0.95
            tree.trial(f"{name}/study_0/{workload}_jax/trial_1", [(seconds, value)])
    tree.trial("lost/study_0/digits_jax/trial_1", [(5.0, 0.1)])
    return score_logs(tree.root, benchmark_held_out, method="exact")


def row(text: str, *starts: str) -> list[list[str]]:
    lines = [line.split() for line in text.splitlines()]
    return [words for words in lines if words[: len(starts)] == list(starts)]


def test_scores_and_counts_of_reached_workloads_and_trials_are_shown(leaderboard):
    text = printed(leaderboard)
    assert row(text, "1", "fast") == [["1", "fast", "1.0000", "2/2", "1/1", "2/2", "3/3"]]
    assert row(text, "2", "slow_but_sure")[0][2:] == ["0.0000", "2/2", "1/1", "0/2", "3/3"]
    assert row(text, "2", "lost")[0][2:] == ["0.0000", "0/2", "0/1", "0/2", "0/1"]


def test_times_are_marked_as_missed_or_not_counted(leaderboard):
    text = printed(leaderboard)
    assert row(text, "digits") == [["digits", "10.0", "—", "2,000*"]]
    assert row(text, "digits_noisy") == [["digits_noisy", "10.0", "2,000"]]
    assert "* not counted: more than 4 times the fastest, or a held-out variant was missed" in text


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


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("version", ["algoperf-v0.5", "algoperf-v0.6"])
def test_published_leaderboards_fit_their_width_with_nothing_cut(published_logs, version, width):
    leaderboard = score_logs(published_logs(version), version)
    text = printed(leaderboard, width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    for workload in leaderboard.benchmark.scored:
        assert len(row(text, workload)) == text.count("Seconds to target")
    for submission in leaderboard.submissions:
        assert len(row(text, submission)) >= 1


def test_more_submissions_than_fit_go_into_further_tables(tree, benchmark_small):
    for number in range(12):
        tree.trial(f"submission_{number:02}/study_0/digits_jax/trial_1", [(1234.5, 0.95)])
    text = printed(score_logs(tree.root, benchmark_small))
    cells = [cell for words in row(text, "digits") for cell in words[1:]]
    assert cells == ["1,234"] * 12
    assert "Seconds to target, continued" in text


def test_names_that_look_like_markup_are_shown_as_they_are(tree, benchmark_small):
    for name in ("adam[lr=1]", "sgd[bold]", "lion[!x]"):
        tree.trial(f"{name}/study_0/digits_jax/trial_1", [(10.0, 0.95)])
    text = printed(score_logs(tree.root, benchmark_small))
    for name in ("adam[lr=1]", "sgd[bold]", "lion[!x]"):
        assert text.count(name) == 3


def test_a_narrow_terminal_folds_names_and_keeps_numbers(leaderboard):
    lines = printed(leaderboard, width=50).splitlines()
    assert max(map(len, lines)) <= 50
    assert "2,000*" in "\n".join(lines)


def test_there_are_no_colours_outside_a_terminal(leaderboard):
    assert "\x1b" not in printed(leaderboard)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(70196.7, "70,197"), (123.4, "123"), (12.34, "12.3"), (1.234, "1.23"), (0.0, "0.00")],
)
def test_seconds_have_as_many_digits_as_a_reader_needs(seconds, text):
    assert format_seconds(seconds) == text
