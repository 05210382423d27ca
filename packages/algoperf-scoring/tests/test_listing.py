"""Benchmarks are listed in a table, and told in full one by one."""

from dataclasses import replace

import pytest

from algoperf_scoring.benchmark import available_benchmarks, load_benchmark
from algoperf_scoring.listing import benchmark_table, describe
from algoperf_scoring.text_tables import to_markdown, to_text
from algoperf_scoring.time_tables import benchmark_of_times, read_times


def test_all_installed_benchmarks_are_listed():
    table, valid = benchmark_table()
    assert valid
    assert [row[0] for row in table.rows] == list(available_benchmarks())
    row = next(row for row in table.rows if row[0] == "algoperf-v0.5")
    assert row[1:5] == ("8", "6", "external 5x5, self 5x1", "algoperf-scoring")
    assert "eight base workloads" in row[5]


def test_a_file_is_listed_by_the_name_it_gives(tmp_path, definition):
    path = tmp_path / "mine.toml"
    path.write_text(definition)
    table, valid = benchmark_table([path])
    assert valid
    assert table.rows[0][:5] == ("small", "2", "0", "external 1x1, self 1x1", "file")


@pytest.mark.parametrize("text", ["name = 3", "[", "name = 'x'\nextends = 'nowhere'"])
def test_a_broken_definition_does_not_hide_the_others(tmp_path, text):
    path = tmp_path / "broken.toml"
    path.write_text(text)
    table, valid = benchmark_table([str(path), "algoperf-v0.6", "algoperf-v06"])
    assert not valid
    assert [row[0] for row in table.rows] == [str(path), "algoperf-v0.6", "algoperf-v06"]
    assert table.rows[0][-1].startswith("error: ")
    assert "did you mean 'algoperf-v0.6'" in table.rows[2][-1]
    assert table.rows[1][1] == "8"


def test_a_table_of_benchmarks_can_be_shown():
    table, _ = benchmark_table(["algoperf-v0.6"])
    assert "algoperf-v0.6" in to_text(table)
    assert "algoperf-v0.6" in to_markdown(table)


def lines(text: str, word: str) -> list[list[str]]:
    return [line.split() for line in text.split("\n") if line.split()[:1] == [word]]


def test_a_benchmark_is_told_in_full():
    text = describe(load_benchmark("algoperf-v0.5"))
    first, summary, scores, *_ = text.split("\n")
    assert first == "algoperf-v0.5"
    assert summary.startswith("The first AlgoPerf competition")
    assert "grid integration on 100 points up to 4 times the fastest" in scores
    assert "earliest evaluation" in scores
    assert lines(text, "self") == [["self", "5", "1", "3", "no"]]
    assert lines(text, "ogbg") == [
        ["ogbg", "base", "mean_average_precision", "higher", "0.28098", "18,477", "80,000"]
    ]
    assert lines(text, "wmt_glu_tanh") == [
        ["wmt_glu_tanh", "held-out", "wmt", "bleu", "higher", "29.5779", "48,151", "133,333"]
    ]
    assert lines(text, "mnist")[0][1:3] == ["not", "scored"]


def test_every_workload_is_told_once():
    benchmark = load_benchmark("algoperf-v0.6")
    text = describe(benchmark)
    assert all(len(lines(text, name)) == 1 for name in benchmark.workloads)


def test_what_is_unknown_is_a_dash():
    benchmark = benchmark_of_times([read_times({"a": {"x": 1.0}}).trials])
    text = describe(benchmark)
    assert lines(text, "x") == [["x", "base", "unknown", "lower", "—", "—", "—"]]
    assert "exact integration up to 4 times" in text


def test_control_characters_reach_no_terminal(benchmark_small):
    loud = replace(benchmark_small, name="a\x1b[31m", summary="b\x1b[0m")
    assert "\x1b" not in describe(loud)
