"""How definitions merge and how they are written."""

import tomllib
from dataclasses import replace

import pytest

from algoperf_scoring import Benchmark, BenchmarkWorkload, Ruleset
from algoperf_scoring.definitions import extend


@pytest.mark.parametrize(
    ("table", "changes", "merged"),
    [
        ({}, {"a": 1}, {"a": 1}),
        ({"a": 1}, {}, {"a": 1}),
        ({"a": 1, "b": 2}, {"b": 3}, {"a": 1, "b": 3}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": {"x": 1, "y": 2}}, {"a": {"y": 3}}, {"a": {"x": 1, "y": 3}}),
        ({"a": {"x": {"p": 1}}}, {"a": {"x": {"q": 2}}}, {"a": {"x": {"p": 1, "q": 2}}}),
        ({"a": {"x": 1}}, {"a": 5}, {"a": 5}),
        ({"a": 5}, {"a": {"x": 1}}, {"a": {"x": 1}}),
    ],
)
def test_tables_merge_and_everything_else_is_replaced(table, changes, merged):
    before = repr(table)
    assert extend(table, changes) == merged
    assert repr(table) == before


def test_the_written_definition_spells_everything_out(benchmark_small):
    table = tomllib.loads(benchmark_small.to_toml())
    assert table["base"] == ["digits", "wine"]
    assert table["held_out"] == []
    assert table["scoring"] == {
        "study_time": "earliest_evaluation",
        "max_ratio": 4.0,
        "method": "grid",
        "grid_points": 100,
        "time_column": "score",
    }
    assert table["rulesets"]["self"] == {
        "studies": 1,
        "trials": 1,
        "budget_factor": 3.0,
        "search_space": False,
    }
    assert table["workloads"]["digits_noisy"] == {
        "metric": "accuracy",
        "direction": "maximize",
        "validation_target": 0.8,
        "test_target": 0.8,
        "budget_s": 100.0,
        "step_hint": 1000,
        "eval_period_s": 10.0,
        "variant_of": "digits",
    }
    assert table["workloads"]["wine"]["budget_s"] == "unknown"


def test_what_a_variant_lacks_is_not_inherited_when_a_copy_is_read(benchmark_small):
    variant = replace(benchmark_small.workload("digits_noisy"), test_target=None, budget_s=None)
    workloads = {**benchmark_small.workloads, "digits_noisy": variant}
    benchmark = replace(benchmark_small, workloads=workloads)
    assert Benchmark.from_toml(benchmark.to_toml()).workload("digits_noisy") == variant


@pytest.mark.parametrize(
    "name", ["plain", "with.dot", 'with "quotes"', "back\\slash", "ünï", "\x7f"]
)
def test_any_name_can_be_a_table(benchmark_small, name):
    benchmark = replace(
        benchmark_small,
        workloads={name: BenchmarkWorkload(name, "loss", "minimize", 1e-7)},
        base=(name,),
        rulesets={name: Ruleset(name, 1, 1, 1.0, False)},
    )
    assert Benchmark.from_toml(benchmark.to_toml()) == benchmark


def test_integers_are_read_where_seconds_are_meant(definition):
    benchmark = Benchmark.from_toml(definition.replace("budget_s = 100.0", "budget_s = 100"))
    budget = benchmark.workload("digits").budget_s
    assert (budget, type(budget)) == (100.0, float)


def test_a_relative_path_starts_in_the_folder_of_the_source(tmp_path, definition):
    (tmp_path / "parent.toml").write_text(definition)
    text = 'name = "child"\nextends = "parent.toml"\n'
    child = Benchmark.from_toml(text, source=str(tmp_path / "child.toml"))
    assert child.base == ("digits", "wine")


def test_extensions_may_be_chained(tmp_path, definition):
    (tmp_path / "one.toml").write_text(definition)
    (tmp_path / "two.toml").write_text(
        'name = "two"\nextends = "one.toml"\n[workloads.wine]\nbudget_s = 5.0\n'
    )
    text = 'name = "three"\nextends = "two.toml"\n[workloads.wine]\nstep_hint = 9\n'
    benchmark = Benchmark.from_toml(text, source=str(tmp_path / "three.toml"))
    wine = benchmark.workload("wine")
    assert (wine.budget_s, wine.step_hint, wine.validation_target) == (5.0, 9, 0.5)
