"""What the README shows is true."""

import re
from pathlib import Path

import pytest

from algoperf_scoring import Benchmark, load_benchmark
from algoperf_scoring.layout import LAYOUT

README = (Path(__file__).parents[1] / "README.md").read_text()


@pytest.fixture(scope="module")
def example() -> Benchmark:
    blocks = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    return Benchmark.from_toml(next(block for block in blocks if "extends" in block))


def test_the_example_definition_extends_a_published_one(example):
    assert example.scored == ("ogbg", "digits", "ogbg_gelu")
    assert example.workload("ogbg") == load_benchmark("algoperf-v0.6").workload("ogbg")
    assert (example.scoring.study_time, example.scoring.method) == ("fastest_trial", "exact")
    assert example.ruleset("external").studies == 5


def test_the_example_variant_has_what_it_does_not_give_from_its_workload(example):
    variant = example.workload("digits_noisy")
    assert (variant.metric, variant.validation_target, variant.budget_s) == ("accuracy", 0.9, 60.0)
    assert variant.test_target is None


def test_the_numbers_in_the_python_example_are_right():
    benchmark = load_benchmark("algoperf-v0.5")
    assert f"# {benchmark.workload('ogbg').validation_target}" in README
    assert f"# {benchmark.budget_s('ogbg', 'self')} seconds" in README


def test_the_layout_is_the_one_that_errors_tell():
    assert f"LOGS/{LAYOUT}" in README
