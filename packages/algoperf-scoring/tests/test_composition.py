"""Composing a benchmark of another: fewer workloads, own rulesets, other scoring rules."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from algoperf_scoring.benchmark import Benchmark, load_benchmark
from algoperf_scoring.errors import DefinitionError
from algoperf_scoring.facts import Ruleset, ScoringRules

V05 = load_benchmark("algoperf-v0.5")


def composed(lines: str, parent: str = "algoperf-v0.5") -> Benchmark:
    text = f'name = "mine"\nextends = "{parent}"\n{lines}\n'
    return Benchmark.from_toml(text, source="my.toml")


@pytest.mark.parametrize(
    ("lines", "base", "held_out"),
    [
        ('include = ["ogbg"]', ("ogbg",), ("ogbg_model_size",)),
        ('include = ["wmt", "imagenet_vit"]', ("imagenet_vit", "wmt"), ("wmt_glu_tanh",)),
        ('include = ["ogbg", "ogbg_model_size"]', ("ogbg",), ("ogbg_model_size",)),
        ('include = ["ogbg", "wmt"]\nexclude = ["wmt"]', ("ogbg",), ("ogbg_model_size",)),
        ('include = ["ogbg"]\nexclude = ["ogbg_model_size"]', ("ogbg",), ()),
        ('base = ["wmt", "ogbg"]\nheld_out = []\nexclude = ["wmt"]', ("ogbg",), ()),
        (
            'base = ["mnist", "ogbg"]\nheld_out = ["ogbg_gelu"]\nexclude = ["mnist"]',
            ("ogbg",),
            ("ogbg_gelu",),
        ),
    ],
)
def test_only_what_is_included_and_not_excluded_is_scored(lines, base, held_out):
    benchmark = composed(lines)
    assert (benchmark.base, benchmark.held_out) == (base, held_out)
    assert benchmark.workloads == V05.workloads


def test_an_excluded_base_workload_takes_its_variants_with_it():
    benchmark = composed('exclude = ["wmt", "fastmri"]')
    assert set(V05.scored) - set(benchmark.scored) == {
        "wmt",
        "wmt_glu_tanh",
        "fastmri",
        "fastmri_tanh",
    }


def test_a_variant_may_go_alone():
    benchmark = composed('exclude = ["wmt_glu_tanh"]')
    assert benchmark.base == V05.base
    assert set(V05.held_out) - set(benchmark.held_out) == {"wmt_glu_tanh"}


@pytest.mark.parametrize(
    ("lines", "field", "problem"),
    [
        ('exclude = ["wmtt"]', "exclude", r"'wmtt' is unknown; did you mean 'wmt'\? Scored: "),
        ('include = ["obg"]', "include", r"'obg' is unknown; did you mean 'ogbg'\?"),
        ('exclude = ["ogbg_gelu"]', "exclude", "'ogbg_gelu' is defined, but not scored"),
        ('include = ["mnist"]', "include", "'mnist' is defined, but not scored"),
        ('include = ["wmt", "ogbg_model_size"]', "include", "variant of 'ogbg'; include that, too"),
        ("include = []", "include", "no base workload is left"),
        ('include = ["ogbg"]\nexclude = ["ogbg"]', "exclude", "no base workload is left"),
        ('exclude = ["wmt", "wmt"]', "exclude", "'wmt' is listed twice"),
        ('exclude = "wmt"', "exclude", "expected a list of names, found 'wmt'"),
        ("include = [1]", "include", "expected a list of names"),
        ('base = ["nothing"]\ninclude = ["ogbg"]', "base", "no workload 'nothing' is defined"),
        ('base = ["wmt"]\ninclude = ["wmt"]', "held_out", "which is not in base; add it"),
        ('includes = ["ogbg"]', "includes", "did you mean 'include'"),
    ],
)
def test_a_wrong_choice_is_refused_by_file_and_field(lines, field, problem):
    with pytest.raises(DefinitionError, match=rf"^my\.toml: {field}: .*{problem}"):
        composed(lines)


def test_a_definition_may_choose_among_its_own(definition):
    text = definition.replace("held_out = []", 'held_out = ["digits_noisy"]\nexclude = ["wine"]')
    assert Benchmark.from_toml(text).scored == ("digits", "digits_noisy")


def test_a_choice_is_resolved_and_not_inherited(tmp_path):
    (tmp_path / "few.toml").write_text(
        'name = "few"\nextends = "algoperf-v0.5"\ninclude = ["ogbg", "wmt"]\n'
    )
    (tmp_path / "fewer.toml").write_text(
        'name = "fewer"\nextends = "few.toml"\nexclude = ["wmt"]\n'
    )
    (tmp_path / "other.toml").write_text(
        'name = "other"\nextends = "few.toml"\nbase = ["mnist"]\nheld_out = []\n'
    )
    assert load_benchmark(tmp_path / "fewer.toml").base == ("ogbg",)
    assert load_benchmark(tmp_path / "other.toml").base == ("mnist",)
    (tmp_path / "more.toml").write_text(
        'name = "more"\nextends = "fewer.toml"\ninclude = ["wmt"]\n'
    )
    problem = r"'wmt' is defined, but not scored; Scored: ogbg, ogbg_model_size\."
    with pytest.raises(DefinitionError, match=problem):
        load_benchmark(tmp_path / "more.toml")


def test_a_choice_is_written_as_what_it_leaves():
    benchmark = composed('exclude = ["wmt"]')
    text = benchmark.to_toml()
    assert "exclude" not in text
    assert Benchmark.from_toml(text) == benchmark


def test_python_and_toml_choose_alike():
    benchmark = composed('include = ["ogbg", "ogbg_model_size", "wmt"]\nexclude = ["wmt"]')
    subset = V05.subset(include=("ogbg", "ogbg_model_size", "wmt"), exclude={"wmt"})
    assert (subset.base, subset.held_out) == (benchmark.base, benchmark.held_out)
    assert subset == replace(V05, base=subset.base, held_out=subset.held_out)


def test_a_subset_without_a_choice_is_the_whole():
    assert V05.subset() == V05


@pytest.mark.parametrize(
    ("choice", "problem"),
    [
        ({"exclude": ["wmtt"]}, "exclude: 'wmtt' is unknown; did you mean 'wmt'"),
        ({"exclude": "wmt"}, "exclude: expected a list of names, found 'wmt'"),
        ({"include": ["ogbg_gelu"]}, "include: 'ogbg_gelu' is defined, but not scored"),
        ({"exclude": V05.base}, "exclude: no base workload is left"),
        ({"include": [3]}, "include: expected a list of names"),
    ],
)
def test_a_wrong_subset_is_refused(choice, problem):
    with pytest.raises(DefinitionError, match=rf"^benchmark 'algoperf-v0\.5': {problem}"):
        V05.subset(**choice)


@given(st.sets(st.sampled_from(V05.base), max_size=7), st.sets(st.sampled_from(V05.held_out)))
def test_what_is_excluded_is_what_is_not_scored(bases, variants):
    subset = V05.subset(exclude=bases | variants)
    gone = bases | variants | {name for name in V05.held_out if V05.base_of(name) in bases}
    assert subset.scored == tuple(name for name in V05.scored if name not in gone)
    variants_gone = (
        gone
        & set(V05.held_out)
        & {name for name in V05.held_out if V05.base_of(name) in subset.base}
    )
    assert V05.subset(include=subset.base, exclude=variants_gone) == subset


def test_scoring_rules_change_one_by_one():
    benchmark = V05.with_scoring(max_ratio=2, method="exact")
    assert benchmark.scoring == replace(V05.scoring, max_ratio=2.0, method="exact")
    assert replace(benchmark, scoring=V05.scoring) == V05


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"max_ratio": 1.0}, "scoring.max_ratio: expected a finite number greater than 1"),
        ({"max_ratio": "4"}, "scoring.max_ratio: expected a number, found '4'"),
        ({"method": "simpson"}, "scoring.method: expected 'grid' or 'exact', found 'simpson'"),
        ({"grid_points": 1}, "scoring.grid_points: expected an integer of at least 2"),
        ({"max_ratios": 2.0}, "scoring.max_ratios: unknown field; did you mean 'max_ratio'"),
    ],
)
def test_wrong_scoring_rules_are_refused_as_in_a_file(changes, problem):
    with pytest.raises(DefinitionError, match=rf"^benchmark 'algoperf-v0\.5': {problem}"):
        V05.with_scoring(**changes)
    (key, value), *_ = changes.items()
    with pytest.raises(DefinitionError, match=rf"^my\.toml: {problem}"):
        composed(f"[scoring]\n{key} = {value!r}")


def test_a_ruleset_of_any_name_may_be_added():
    lines = "studies = 2\ntrials = 7\nbudget_factor = 0.5\nsearch_space = true"
    benchmark = composed(f"[rulesets.mine]\n{lines}")
    assert benchmark.ruleset("mine") == Ruleset("mine", 2, 7, 0.5, search_space=True)
    assert list(benchmark.rulesets) == [*V05.rulesets, "mine"]
    assert benchmark.budget_s("ogbg", "mine") == V05.budget_s("ogbg", "external") / 2


def test_an_added_ruleset_is_given_in_full():
    with pytest.raises(DefinitionError, match=r"rulesets\.mine\.trials: missing"):
        composed("[rulesets.mine]\nstudies = 2")


def test_a_single_field_of_a_variant_may_be_changed():
    benchmark = composed("[workloads.ogbg_model_size]\nvalidation_target = 0.2")
    changed = replace(V05.workload("ogbg_model_size"), validation_target=0.2)
    assert benchmark.workload("ogbg_model_size") == changed
    assert benchmark.workload("ogbg") == V05.workload("ogbg")


def test_a_benchmark_may_be_put_together_in_python(benchmark_small):
    benchmark = Benchmark(
        name="mine",
        summary="",
        workloads={"digits": benchmark_small.workload("digits")},
        base=("digits",),
        held_out=(),
        rulesets={"mine": Ruleset("mine", 1, 1, 1.0, search_space=False)},
        scoring=ScoringRules(),
    )
    assert Benchmark.from_toml(benchmark.to_toml()) == benchmark


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"base": ()}, "base: missing or empty"),
        ({"base": ("digit",)}, "base: no workload 'digit' is defined; did you mean 'digits'"),
        ({"held_out": ("spare",)}, "held_out: 'spare' is no variant"),
        ({"held_out": ("digits",)}, "held_out: 'digits' is in base, too"),
        ({"base": ("wine",), "held_out": ("digits_noisy",)}, "which is not in base; add it"),
    ],
)
def test_what_is_put_together_in_python_is_checked(benchmark_small, changes, problem):
    with pytest.raises(DefinitionError, match=rf"^benchmark 'small': .*{problem}"):
        replace(benchmark_small, **changes)
