"""A definition: one value, variants by replacement, frameworks only when asked for."""

from dataclasses import FrozenInstanceError, replace

import pytest

from algoperf_core.spec import LossType
from algoperf_scoring import AlgoperfError
from algoperf_toy.definition import GOAL, TOY


@pytest.mark.parametrize("framework", ["jax", "pytorch"])
def test_a_workload_has_the_facts_of_its_definition_and_goal(framework):
    workload = TOY.create(framework, GOAL)
    assert workload.name == "toy"
    assert workload.loss_type is LossType.SOFTMAX_CROSS_ENTROPY
    assert workload.num_train_examples == 53
    assert workload.num_eval_train_examples == 20
    assert workload.num_validation_examples == 17
    assert workload.num_test_examples == 11
    assert workload.eval_batch_size == 8
    assert workload.step_hint == 100
    assert workload.validation_target_value == 0.5


def test_a_variant_is_a_replacement():
    variant = replace(TOY, name="toy_wide", model=replace(TOY.model, options={"width": 9}))
    workload = variant.create("pytorch", GOAL)
    model, _ = workload.init_model_fn([0, 0])
    assert model.conv.weight.shape == (9, 2, 3, 3)
    assert TOY.model.options == {"width": 5}


def test_a_definition_is_a_value():
    assert replace(TOY) == TOY
    with pytest.raises(FrozenInstanceError):
        TOY.name = "other"


def test_an_unknown_framework_is_refused_with_the_nearest():
    with pytest.raises(AlgoperfError, match=r"'torch'.*pytorch"):
        TOY.create("torch", GOAL)


@pytest.mark.parametrize(
    ("framework", "package", "extra"), [("jax", "flax", "jax"), ("pytorch", "torch", "torch")]
)
def test_a_missing_framework_is_explained(run_python, framework, package, extra):
    code = f"""
import sys
sys.modules[{package!r}] = None
sys.modules["jax" if {package!r} == "flax" else {package!r}] = None
from algoperf_toy.definition import GOAL, TOY
try:
    TOY.create({framework!r}, GOAL)
except ModuleNotFoundError as error:
    print(error)
"""
    assert f'pip install "algoperf-workloads[{extra}]"' in run_python(code)


def test_importing_definitions_imports_no_framework_and_no_data_library(run_python):
    code = """
import sys
import algoperf_toy.definition
heavy = {"jax", "flax", "optax", "torch", "grain", "datasets", "pyarrow", "sklearn", "absl"}
print(sorted(heavy & set(sys.modules)))
"""
    assert run_python(code).strip() == "[]"


def test_batches_need_no_data_library_but_that_which_maps_files(run_python, data_dir):
    TOY.dataset.open(data_dir)
    code = f"""
import sys
from algoperf_toy.definition import GOAL, TOY
next(TOY.create("pytorch", GOAL)._build_input_queue(0, "train", {data_dir!r}, 4))
print(sorted({{"grain", "datasets", "jax", "pyarrow"}} & set(sys.modules)))
"""
    assert run_python(code).strip() == "['pyarrow']"


@pytest.mark.parametrize(
    ("framework", "key", "expected"),
    [
        ("jax", "Dense_1", True),
        ("jax", "Dense_0", False),
        ("pytorch", "head.weight", True),
        ("pytorch", "head.bias", True),
        ("pytorch", "hidden.weight", False),
        ("pytorch", "head.more.weight", False),
        ("pytorch", "_orig_mod.head.weight", True),
        ("pytorch", "_orig_mod.module.head.bias", True),
        ("pytorch", "module.head.bias", True),
    ],
)
def test_output_parameters_are_those_of_the_output_layer(framework, key, expected):
    assert TOY.model.is_output_parameter(framework, key) is expected


def test_dropout_is_asked_for_only_where_the_model_has_it():
    assert TOY.model.dropout_arguments(None) == {"dropout_rate": 0.1}
    assert TOY.model.dropout_arguments(0.4) == {"dropout_rate": 0.4}
    assert replace(TOY.model, dropout_rate=None).dropout_arguments(0.4) == {}
