"""Reading definitions: composition, and refusals that name file and field."""

import math
import subprocess
import sys
from dataclasses import FrozenInstanceError, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from algoperf_scoring import (
    AlgoperfError,
    Benchmark,
    BenchmarkWorkload,
    DefinitionError,
    ScoringRules,
    UnknownNameError,
    load_benchmark,
)
from algoperf_scoring import definitions as definitions_module

MINIMIZE = BenchmarkWorkload("wine", "loss", "minimize", 0.5, test_target=0.6)
MAXIMIZE = BenchmarkWorkload("digits", "accuracy", "maximize", 0.9)


@pytest.mark.parametrize(
    ("workload", "value", "met"),
    [
        (MINIMIZE, 0.49, True),
        (MINIMIZE, 0.5, True),
        (MINIMIZE, 0.51, False),
        (MINIMIZE, math.nan, False),
        (MINIMIZE, -math.inf, False),
        (MINIMIZE, math.inf, False),
        (MAXIMIZE, math.inf, False),
        (MAXIMIZE, 0.91, True),
        (MAXIMIZE, 0.9, True),
        (MAXIMIZE, 0.89, False),
        (MAXIMIZE, math.nan, False),
    ],
)
def test_a_target_is_met_from_the_right_side_and_by_equality(workload, value, met):
    assert workload.meets(value, workload.validation_target) is met


def test_the_validation_target_is_looked_up_by_split_and_metric():
    assert MINIMIZE.reached_validation({"validation/loss": 0.4})
    assert not MINIMIZE.reached_validation({"train/loss": 0.4, "validation/loss": 0.6})
    assert not MINIMIZE.reached_validation({"loss": 0.4})


def test_an_unknown_test_target_is_never_reached():
    assert MINIMIZE.reached_test({"test/loss": 0.6})
    assert not MINIMIZE.reached_test({"validation/loss": 0.1})
    assert not MAXIMIZE.reached_test({"test/accuracy": 1.0})


def test_facts_are_frozen(benchmark_small):
    with pytest.raises(FrozenInstanceError):
        MINIMIZE.name = "other"
    with pytest.raises(FrozenInstanceError):
        benchmark_small.name = "other"


def test_a_variant_inherits_what_it_does_not_give(benchmark_small):
    base, variant = (benchmark_small.workload(name) for name in ("digits", "digits_noisy"))
    changes = {"name": "digits_noisy", "validation_target": 0.8, "variant_of": "digits"}
    assert variant == replace(base, **changes)
    assert benchmark_small.base_of("digits_noisy") == benchmark_small.base_of("digits") == "digits"


def test_direction_follows_from_a_known_metric(benchmark_small):
    assert benchmark_small.workload("wine").direction == "minimize"
    assert benchmark_small.workload("digits").direction == "maximize"


def test_unknown_names_suggest_the_nearest(benchmark_small):
    with pytest.raises(UnknownNameError, match="unknown workload 'digit': did you mean 'digits'"):
        benchmark_small.workload("digit")
    with pytest.raises(UnknownNameError, match="unknown ruleset 'selv': did you mean 'self'"):
        benchmark_small.ruleset("selv")
    with pytest.raises(UnknownNameError, match=r"did you mean 'algoperf-v0\.5'"):
        load_benchmark("algoperf-v05")


def test_an_unknown_budget_is_an_error_that_says_what_to_do(benchmark_small):
    assert benchmark_small.budget_s("digits", "self") == 300.0
    with pytest.raises(AlgoperfError, match=r"workloads\.wine\.budget_s is unknown; write"):
        benchmark_small.budget_s("wine", "self")


def test_scored_is_base_then_held_out(benchmark_held_out):
    assert benchmark_held_out.scored == ("digits", "wine", "digits_noisy")


def test_scoring_has_exact_defaults(definition):
    start = definition.index("[scoring]")
    text = definition[:start] + definition[definition.index("[rulesets.external]") :]
    assert Benchmark.from_toml(text).scoring == ScoringRules()
    assert (ScoringRules().method, ScoringRules().max_ratio) == ("exact", 4.0)


@pytest.mark.parametrize(
    ("old", "new", "field", "problem"),
    [
        ('name = "small"', "", "name", "missing"),
        ('name = "small"', "name = 3", "name", "expected a non-empty string, found 3"),
        ('base = ["digits", "wine"]', "", "base", "at least one"),
        ('base = ["digits", "wine"]', "base = []", "base", "at least one"),
        ('base = ["digits", "wine"]', 'base = "digits"', "base", "list of names"),
        ('"digits", "wine"', '"digits", "digits"', "base", "'digits' is listed twice"),
        ('"digits", "wine"', '"digit"', "base", "no workload 'digit' .* did you mean 'digits'"),
        ("held_out = []", 'held_out = ["wine"]', "held_out", "'wine' is in base"),
        ("held_out = []", 'held_out = ["spare"]', "held_out", "'spare' is no variant"),
        ("held_out = []", 'heldout = ["spare"]', "heldout", "did you mean 'held_out'"),
        ("validation_target = 0.9", "", "workloads.digits.validation_target", "missing"),
        ("= 0.9", '= "high"', "workloads.digits.validation_target", "a number, found 'high'"),
        ("= 0.9", "= true", "workloads.digits.validation_target", "a number, found True"),
        ("= 0.9", "= nan", "workloads.digits.validation_target", "finite"),
        ("budget_s = 100.0", "budget_s = -1", "workloads.digits.budget_s", "greater than 0"),
        ("step_hint = 1000", "step_hint = 0.5", "workloads.digits.step_hint", "an integer"),
        ("step_hint", "step_hints", "workloads.digits.step_hints", "did you mean 'step_hint'"),
        ('metric = "accuracy"', 'metric = "beauty"', "workloads.digits.direction", "missing"),
        (
            'metric = "accuracy"',
            'metric = "beauty"\ndirection = "up"',
            "workloads.digits.direction",
            "expected 'minimize' or 'maximize', found 'up'",
        ),
        (
            'variant_of = "digits"',
            'variant_of = "digit"',
            "workloads.digits_noisy.variant_of",
            "no workload 'digit' is defined; did you mean 'digits'",
        ),
        (
            'metric = "wer"',
            'variant_of = "digits_noisy"',
            "workloads.spare.variant_of",
            "is a variant itself",
        ),
        ("trials = 1", "trials = 0", "rulesets.external.trials", "at least 1, found 0"),
        ("trials = 1", "trials = true", "rulesets.external.trials", "an integer"),
        ("budget_factor = 1.0", "", "rulesets.external.budget_factor", "missing"),
        ("= true", "= 1", "rulesets.external.search_space", "true or false, found 1"),
        ('method = "grid"', 'method = "simpson"', "scoring.method", "'grid' or 'exact'"),
        ('method = "grid"', "max_ratio = 1.0", "scoring.max_ratio", "greater than 1"),
        ('method = "grid"', "grid_points = 1", "scoring.grid_points", "at least 2"),
        ('method = "grid"', 'time_column = ""', "scoring.time_column", "non-empty string"),
        ("earliest_evaluation", "slowest", "scoring.study_time", "found 'slowest'"),
        ("[workloads.wine]", "[[workloads.wine]]", "workloads.wine", "expected a table"),
    ],
)
def test_a_wrong_field_is_refused_by_file_and_name(definition, old, new, field, problem):
    assert old in definition
    text = definition.replace(old, new, 1)
    with pytest.raises(DefinitionError, match=rf"^my\.toml: {field}: .*{problem}"):
        Benchmark.from_toml(text, source="my.toml")


def test_a_held_out_variant_needs_its_workload_in_base(definition):
    text = definition.replace('["digits", "wine"]', '["wine"]')
    text = text.replace("held_out = []", 'held_out = ["digits_noisy"]')
    with pytest.raises(DefinitionError, match="variant of 'digits', which is not in base; add it"):
        Benchmark.from_toml(text)


def test_a_benchmark_needs_a_ruleset(definition):
    text = definition[: definition.index("[rulesets.external]")]
    text += definition[definition.index("[workloads.digits]") :]
    with pytest.raises(DefinitionError, match="rulesets: missing"):
        Benchmark.from_toml(text)


def test_broken_toml_is_refused_with_its_line():
    with pytest.raises(DefinitionError, match=r"my\.toml: not valid TOML: .*line 1"):
        Benchmark.from_toml("name = \n", source="my.toml")


def test_a_file_may_extend_another_beside_it(tmp_path, definition):
    (tmp_path / "parent.toml").write_text(definition)
    child = tmp_path / "child.toml"
    child.write_text(
        'name = "child"\nextends = "parent.toml"\nbase = ["wine"]\n'
        "[workloads.wine]\nbudget_s = 7.5\n[rulesets.external]\nstudies = 4\n"
    )
    benchmark, parent = load_benchmark(child), load_benchmark(str(tmp_path / "parent.toml"))
    assert (benchmark.name, benchmark.summary, benchmark.base) == ("child", "", ("wine",))
    assert benchmark.workload("wine") == replace(parent.workload("wine"), budget_s=7.5)
    assert benchmark.ruleset("external") == replace(parent.ruleset("external"), studies=4)
    assert benchmark.workload("digits") == parent.workload("digits")


def test_variants_follow_a_base_that_is_changed_by_an_extension():
    text = 'name = "mine"\nextends = "algoperf-v0.5"\n[workloads.ogbg]\nbudget_s = 10.0\n'
    benchmark = Benchmark.from_toml(text)
    assert benchmark.workload("ogbg_gelu").budget_s == 10.0
    assert benchmark.held_out == load_benchmark("algoperf-v0.5").held_out


def test_unknown_takes_an_inherited_value_away():
    text = 'name = "mine"\nextends = "algoperf-v0.5"\n[workloads.ogbg]\nbudget_s = "unknown"\n'
    benchmark = Benchmark.from_toml(text)
    assert benchmark.workload("ogbg").budget_s is None
    assert Benchmark.from_toml(benchmark.to_toml()) == benchmark


def test_definitions_that_extend_each_other_are_refused(tmp_path):
    folder = tmp_path / "deep"
    folder.mkdir()
    (tmp_path / "a.toml").write_text('name = "a"\nextends = "deep/b.toml"\n')
    (folder / "b.toml").write_text('name = "b"\nextends = "../a.toml"\n')
    with pytest.raises(DefinitionError, match=r"a\.toml: extends: goes round in a circle: .*b\.t"):
        load_benchmark(tmp_path / "a.toml")


def test_an_error_in_the_extended_file_names_that_file(tmp_path, definition):
    (tmp_path / "parent.toml").write_text(definition.replace("= 0.9", "= -inf"))
    (tmp_path / "child.toml").write_text('name = "child"\nextends = "parent.toml"\n')
    with pytest.raises(DefinitionError, match=r"parent\.toml: workloads\.digits"):
        load_benchmark(tmp_path / "child.toml")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DefinitionError, match=r"nowhere\.toml: cannot read .*No such file"):
        load_benchmark(tmp_path / "nowhere.toml")


def test_a_file_of_another_ending_is_read_when_it_exists(tmp_path, definition):
    path = tmp_path / "definition.txt"
    path.write_text(definition)
    assert load_benchmark(str(path)).name == "small"


class Point:
    def __init__(self, name: str, value: str, distribution: str):
        self.name, self.value = name, value
        self.dist = type("Distribution", (), {"name": distribution})()


@pytest.fixture
def install(monkeypatch):
    """Makes entry points visible as if their distributions were installed."""

    def install(*points: Point) -> None:
        monkeypatch.setattr("importlib.metadata.entry_points", lambda group: points)

    return install


def test_another_package_may_bring_a_benchmark(tmp_path, monkeypatch, install, definition):
    package = tmp_path / "third_party"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "small.toml").write_text(definition)
    (package / "tiny.toml").write_text('name = "tiny"\nextends = "small.toml"\nbase = ["wine"]\n')
    monkeypatch.syspath_prepend(tmp_path)
    points = [Point(name, "third_party", "third-party") for name in ("tiny", "small")]
    install(*points)
    assert definitions_module.available_benchmarks() == dict.fromkeys(
        ("small", "tiny"), "third-party"
    )
    assert load_benchmark("tiny").base == ("wine",)


def test_an_entry_point_without_its_package_is_refused(install):
    install(Point("lost", "no_such_package", "third-party"))
    with pytest.raises(DefinitionError, match="'no_such_package', which cannot be imported"):
        load_benchmark("lost")


def test_two_distributions_cannot_bring_the_same_benchmark(install):
    install(Point("twice", "one", "first"), Point("twice", "two", "second"))
    with pytest.raises(DefinitionError, match="'twice' is brought by 'first' and by 'second'"):
        load_benchmark("twice")
    assert definitions_module.available_benchmarks() == {"twice": "first, second"}


def test_a_name_that_two_distributions_bring_does_not_hide_the_others(
    tmp_path, monkeypatch, install, definition
):
    package = tmp_path / "other_party"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "good.toml").write_text(definition)
    monkeypatch.syspath_prepend(tmp_path)
    twice = [Point("twice", package, package) for package in ("one", "two")]
    install(*twice, Point("good", "other_party", "other-party"))
    assert load_benchmark("good").name == "small"


def test_a_built_in_name_goes_before_another_distributions(install):
    install(Point("algoperf-v0.6", "no_such_package", "third-party"))
    assert load_benchmark("algoperf-v0.6").name == "algoperf-v0.6"


@pytest.mark.parametrize("name", ["../benchmarks/algoperf-v0.6", "", ".", "a" * 5000, "a\0b"])
def test_a_name_is_no_path_among_the_built_in_ones(install, name):
    install()
    with pytest.raises(UnknownNameError):
        load_benchmark(name)


LIGHT = """
import sys, numpy
from algoperf_scoring.benchmark import load_benchmark
print([name for name in ("tomllib", "importlib.resources", "json") if name in sys.modules])
load_benchmark("algoperf-v0.6")
print("importlib.metadata" in sys.modules)
"""


def test_a_built_in_benchmark_is_read_without_a_look_at_what_is_installed():
    command = [sys.executable, "-c", LIGHT]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert output.split("\n")[1] == "False"
    assert "tomllib" not in output


names = st.text(min_size=1, max_size=12).filter(lambda text: "\r" not in text)
targets = st.floats(allow_nan=False, allow_infinity=False)


@given(name=names, target=targets, test_target=st.none() | targets, summary=st.text(max_size=9))
def test_any_benchmark_survives_being_written_and_read(name, target, test_target, summary):
    small = load_benchmark("algoperf-v0.5")
    workload = BenchmarkWorkload(name, "loss", "minimize", target, test_target)
    benchmark = replace(
        small, summary=summary, workloads={name: workload}, base=(name,), held_out=()
    )
    assert Benchmark.from_toml(benchmark.to_toml()) == benchmark
