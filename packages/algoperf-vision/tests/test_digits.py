"""The workload `digits`: sound in both frameworks, found by name, and learnable."""

import subprocess
import sys
from importlib.metadata import entry_points

import jax
import numpy as np
import pytest
import torch

import algoperf_core
from algoperf_core.spec import LossType, ParameterType
from algoperf_scoring import load_benchmark
from algoperf_vision.digits import MODEL, WORKLOAD
from algoperf_workloads.testing import CHECKS, Subject

GOAL = load_benchmark("algoperf-digits").workload("digits")
KEYS = {"jax": jax.random.key(1), "pytorch": np.array([1, 2], np.int32)}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return str(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def subject(data_dir):
    return Subject(WORKLOAD, GOAL, data_dir)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_digits_conforms(check, subject):
    check(subject)


def test_digits_is_found_by_its_name():
    (point,) = entry_points(group="algoperf.workloads", name="digits")
    assert point.load() is WORKLOAD


def test_importing_digits_imports_no_framework():
    code = """
import sys
import algoperf_vision.digits
heavy = {"jax", "flax", "torch", "grain", "datasets", "pyarrow", "sklearn"}
print(sorted(heavy & set(sys.modules)))
"""
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert printed.stdout.strip() == "[]"


def test_it_is_a_classification_of_ten_digits():
    assert WORKLOAD.loss_type is LossType.SOFTMAX_CROSS_ENTROPY
    workload = WORKLOAD.create("jax", GOAL)
    params, state = workload.init_model_fn(KEYS["jax"])
    assert params["Dense_0"]["kernel"].shape[-1] == 10
    assert workload.output_activation_fn(
        np.zeros((1, 10), np.float32), "jax"
    ).sum() == pytest.approx(1)
    assert len(jax.tree.leaves(state)) == 2 * len(MODEL.options["widths"])


def test_both_frameworks_have_the_same_number_of_parameters():
    params, _ = WORKLOAD.create("jax", GOAL).init_model_fn(KEYS["jax"])
    model, _ = WORKLOAD.create("pytorch", GOAL).init_model_fn(KEYS["pytorch"])
    expected = sum(parameter.numel() for parameter in model.parameters())
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == expected == 14_458


@pytest.mark.parametrize("framework", ["jax", "pytorch"])
def test_every_kind_of_parameter_is_recognised(framework):
    workload = WORKLOAD.create(framework, GOAL)
    workload.init_model_fn(KEYS[framework])
    types = workload.model_params_types
    if framework == "jax":
        types = {
            f"{module}.{leaf}": kind for module in types for leaf, kind in types[module].items()
        }
    assert sorted(kind.name for kind in types.values()) == sorted(
        ["CONV_WEIGHT", "BATCH_NORM_SCALE", "BATCH_NORM_BIAS"] * 3 + ["WEIGHT", "BIAS"]
    )
    assert ParameterType.WEIGHT in types.values()


@pytest.mark.parametrize("framework", ["jax", "pytorch"])
def test_parameters_start_as_usual_for_convolutions(framework):
    workload = WORKLOAD.create(framework, GOAL)
    params, _ = workload.init_model_fn(KEYS[framework])
    if framework == "jax":
        kernel, bias = params["Conv_1"]["kernel"], params["Dense_0"]["bias"]
    else:
        kernel, bias = params.blocks[1].conv.weight.detach(), params.fc.bias.detach()
    assert float(kernel.std()) == pytest.approx((9 * 16) ** -0.5, rel=0.05)
    assert float(abs(bias).max()) == 0


def train(framework, data_dir, steps):
    """Trains with plain gradient descent and returns evaluations before and after."""
    workload = WORKLOAD.create(framework, GOAL)
    if framework == "jax":
        import optax

        submission = algoperf_core.from_optax(lambda h, hint: optax.sgd(0.5), batch_size=64)
    else:
        submission = algoperf_core.from_torch(
            lambda parameters, h, hint: torch.optim.SGD(parameters, 0.5), batch_size=64
        )
    key = KEYS[framework]
    queue = workload._build_input_queue(key, "train", data_dir, 64)
    params, state = workload.init_model_fn(key)
    optimizer_state = submission.init_optimizer_state(workload, params, state, None, key)
    evaluations = [workload.eval_model(700, params, state, key, data_dir)]
    for step in range(steps):
        optimizer_state, params, state = submission.update_params(
            workload=workload,
            current_param_container=params,
            current_params_types=workload.model_params_types,
            model_state=state,
            hyperparameters=None,
            batch=next(queue),
            loss_type=workload.loss_type,
            optimizer_state=optimizer_state,
            eval_results=[],
            global_step=step,
            rng=key,
        )
    return [*evaluations, workload.eval_model(700, params, state, key, data_dir)]


@pytest.mark.parametrize("framework", ["jax", "pytorch"])
def test_gradient_descent_learns_digits(framework, data_dir):
    before, after = train(framework, data_dir, 60)
    assert before["validation/accuracy"] < 0.4
    assert after["validation/accuracy"] > 0.7
    assert after["train/loss"] < 0.5 * before["train/loss"]
    assert set(after) == {
        *(
            f"{split}/{name}"
            for split in ("train", "validation", "test")
            for name in ("accuracy", "loss")
        ),
        "validation/num_examples",
        "test/num_examples",
    }
    assert after["validation/num_examples"] == WORKLOAD.dataset.num_validation_examples
