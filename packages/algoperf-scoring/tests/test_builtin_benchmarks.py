"""Facts of the built-in definitions."""

from importlib.metadata import entry_points

import numpy as np
import pytest

from algoperf_scoring import Benchmark, available_benchmarks, load_benchmark
from algoperf_scoring.facts import DIRECTIONS

V05 = load_benchmark("algoperf-v0.5")
V06 = load_benchmark("algoperf-v0.6")
BASE = (
    "criteo1tb",
    "fastmri",
    "imagenet_resnet",
    "imagenet_vit",
    "librispeech_conformer",
    "librispeech_deepspeech",
    "ogbg",
    "wmt",
)
DRAW_SEED = 3438810845
DRAW = {
    "librispeech": [
        "conformer_attention_temperature",
        "conformer_layernorm",
        "deepspeech_no_resnet",
        "deepspeech_norm_and_spec_aug",
        "deepspeech_tanh",
    ],
    "imagenet": [
        "resnet_silu",
        "resnet_gelu",
        "resnet_large_bn_init",
        "vit_glu",
        "vit_post_ln",
        "vit_map",
    ],
    "ogbg": ["gelu", "silu", "model_size"],
    "wmt": ["post_ln", "attention_temp", "glu_tanh"],
    "fastmri": ["model_size", "tanh", "layernorm"],
    "criteo1tb": ["layernorm", "embed_init", "resnet"],
}


def test_built_in_benchmarks_are_found_by_their_entry_points():
    found = available_benchmarks()
    assert found["algoperf-v0.5"] == found["algoperf-v0.6"] == "algoperf-scoring"
    assert set(found) == {point.name for point in entry_points(group="algoperf.benchmarks")}


def test_both_versions_score_the_eight_base_workloads():
    assert V05.base == V06.base == BASE
    assert V06.held_out == ()
    assert V06.scored == BASE


def test_held_out_workloads_of_v05_follow_from_the_published_seed():
    generator = np.random.default_rng(DRAW_SEED)
    drawn = [
        f"{data_set}_{variants[generator.integers(len(variants))]}"
        for data_set, variants in DRAW.items()
    ]
    assert sorted(drawn) == sorted(V05.held_out)


def test_every_variant_that_could_be_drawn_is_defined():
    for data_set, variants in DRAW.items():
        for variant in variants:
            assert V05.base_of(f"{data_set}_{variant}") in BASE


@pytest.mark.parametrize("name", V05.held_out)
def test_the_base_of_a_held_out_workload_is_the_base_name_it_starts_with(name):
    assert V05.base_of(name) == next(base for base in BASE if name.startswith(base))


@pytest.mark.parametrize(
    ("definition", "ruleset", "studies", "trials", "factor", "tuned"),
    [
        (V05, "external", 5, 5, 1.0, True),
        (V05, "self", 5, 1, 3.0, False),
        (V06, "external", 3, 5, 1.0, True),
        (V06, "self", 3, 1, 1.5, False),
    ],
)
def test_rulesets(definition, ruleset, studies, trials, factor, tuned):
    rules = definition.ruleset(ruleset)
    assert (rules.studies, rules.trials) == (studies, trials)
    assert (rules.budget_factor, rules.tuned) == (factor, tuned)


@pytest.mark.parametrize(
    ("name", "target", "test_target", "v05", "v06", "period"),
    [
        ("criteo1tb", 0.123735, 0.126041, (10666, 7703), (10666, 7703), 120),
        ("fastmri", 0.723653, 0.740633, (36189, 8859), (18094, 4430), 80),
        ("fastmri_tanh", 0.71784, 0.734505, (36189, 8859), (18094, 4430), 80),
        ("imagenet_resnet", 0.77431, 0.656, (186666, 63008), (195999, 66159), 510),
        ("imagenet_vit_map", 0.77113, 0.6523, (186666, 77520), (167999, 69768), 420),
        ("librispeech_conformer", 0.085884, 0.052981, (80000, 61068), (76000, 58015), 1440),
        ("librispeech_deepspeech", 0.119936, 0.074143, (48000, 55506), (38400, 44405), 1440),
        ("ogbg_model_size", 0.269446, 0.253051, (80000, 18477), (52000, 12011), 240),
        ("wmt", 30.8491, 30.7219, (133333, 48151), (120000, 43336), 840),
        ("wmt_attention_temp", 29.3379, 29.4143, (133333, 48151), (120000, 43336), 840),
        ("wmt_glu_tanh", 29.5779, 29.0515, (133333, 48151), (120000, 43336), 840),
        ("mnist", 0.97, 0.97, (7813, 60), (7813, 60), 10),
    ],
)
def test_targets_and_budgets(name, target, test_target, v05, v06, period):
    for benchmark, (step_hint, budget) in ((V05, v05), (V06, v06)):
        workload = benchmark.workload(name)
        assert (workload.validation_target, workload.test_target) == (target, test_target)
        assert (workload.step_hint, workload.budget_s) == (step_hint, budget)
        assert workload.eval_period_s == period


def test_budgets_are_multiplied_by_the_ruleset():
    assert V05.budget_s("ogbg", "external") == 18477
    assert V05.budget_s("ogbg", "self") == 3 * 18477
    assert V06.budget_s("ogbg_gelu", "self") == 1.5 * 12011


def test_language_modelling_is_defined_but_not_scored_in_v06():
    workload = V06.workload("finewebedu_lm")
    assert (workload.metric, workload.direction) == ("ppl", "minimize")
    assert (workload.validation_target, workload.step_hint) == (22.2995, 72000)
    assert workload.test_target is workload.budget_s is workload.eval_period_s is None
    assert workload.name not in V06.scored
    assert workload.name not in V05.workloads


@pytest.mark.parametrize("definition", [V05, V06], ids=lambda definition: definition.name)
def test_published_benchmarks_score_by_the_published_method(definition):
    rules = definition.scoring
    assert (rules.study_time, rules.method) == ("earliest_evaluation", "grid")
    assert (rules.max_ratio, rules.grid_points, rules.time_column) == (4.0, 100, "score")


@pytest.mark.parametrize("definition", [V05, V06], ids=lambda definition: definition.name)
def test_every_metric_has_its_published_direction(definition):
    for workload in definition.workloads.values():
        assert workload.direction == DIRECTIONS[workload.metric]


@pytest.mark.parametrize("definition", [V05, V06], ids=lambda definition: definition.name)
def test_a_written_copy_reads_back_equal(definition):
    text = definition.to_toml()
    assert "extends" not in text
    assert Benchmark.from_toml(text) == definition
    assert Benchmark.from_toml(text).to_toml() == text
