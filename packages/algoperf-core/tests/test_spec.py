"""The published vocabulary: names, values and call styles that submissions rely on."""

import inspect

import numpy as np
import pytest

from algoperf_core import spec
from algoperf_core.run_directory import workload_facts
from algoperf_core.testing import ScriptedWorkload

# What published submissions import; annotations are evaluated on import, so each name must exist.
PUBLISHED_NAMES = [
    "Tensor",
    "Shape",
    "ParameterShapeTree",
    "ParameterKey",
    "ParameterContainer",
    "ParameterTypeTree",
    "RandomState",
    "OptimizerState",
    "Hyperparameters",
    "Timing",
    "Steps",
    "ModelAuxiliaryState",
    "ModelInitState",
    "InitOptimizerFn",
    "UpdateParamsFn",
    "PrepareForEvalFn",
    "DataSelectionFn",
    "UpdateReturn",
    "LossType",
    "ForwardPassMode",
    "ParameterType",
    "ShapeTuple",
    "TrainingCompleteError",
    "Workload",
]


@pytest.fixture
def workload(goal, clock):
    return ScriptedWorkload(goal, clock)


@pytest.mark.parametrize("name", PUBLISHED_NAMES)
def test_published_name_exists(name):
    assert hasattr(spec, name)


def test_enums_have_the_published_values():
    assert [member.value for member in spec.LossType] == list(range(5))
    assert spec.LossType.CTC_LOSS.value == 3
    assert [member.name for member in spec.ForwardPassMode] == ["TRAIN", "EVAL"]
    assert len(spec.ParameterType) == 15
    assert spec.ParameterType.ATTENTION_BIAS.value == 14


def test_shape_tuple_is_a_leaf_with_equality_on_its_shape():
    assert spec.ShapeTuple([2, 3]) == spec.ShapeTuple((2, 3))
    assert spec.ShapeTuple((2, 3)) != (2, 3)
    assert len({spec.ShapeTuple((2,)), spec.ShapeTuple((2,))}) == 1
    jax = pytest.importorskip("jax")
    tree = {"w": spec.ShapeTuple((2, 3))}
    assert jax.tree.map(lambda leaf: leaf.shape_tuple, tree) == {"w": (2, 3)}


def test_model_fn_has_the_published_parameters():
    names = list(inspect.signature(spec.Workload.model_fn).parameters)
    assert names[1:] == [
        "params",
        "augmented_and_preprocessed_input_batch",
        "model_state",
        "mode",
        "rng",
        "update_batch_norm",
        "dropout_rate",
    ]


def test_goal_answers_for_the_benchmark(workload):
    assert workload.target_metric_name == "accuracy"
    assert workload.validation_target_value == 0.9
    assert workload.test_target_value == 0.8
    assert workload.max_allowed_runtime_sec == 100.0
    assert workload.eval_period_time_sec == 10.0
    assert workload.step_hint == 50


def test_targets_are_tested_on_their_split(workload):
    assert workload.has_reached_validation_target({"validation/accuracy": 0.9})
    assert not workload.has_reached_validation_target({"test/accuracy": 0.9})
    assert not workload.has_reached_test_target({"test/accuracy": float("nan")})


def test_workload_is_hashable_by_identity(goal, clock):
    one, other = ScriptedWorkload(goal, clock), ScriptedWorkload(goal, clock)
    assert len({one, other, one}) == 2


@pytest.mark.parametrize("name", ["param_shapes", "model_params_types"])
def test_parameter_trees_are_unknown_before_the_model_is_made(workload, name):
    with pytest.raises(ValueError, match=f"{name} is known after init_model_fn"):
        getattr(workload, name)


@pytest.mark.parametrize("framework", spec.FRAMEWORKS)
@pytest.mark.parametrize(
    ("loss_type", "expected"),
    [
        (spec.LossType.MEAN_SQUARED_ERROR, [0.0, np.log(3.0)]),
        (spec.LossType.MEAN_ABSOLUTE_ERROR, [0.0, np.log(3.0)]),
        (spec.LossType.SOFTMAX_CROSS_ENTROPY, [0.25, 0.75]),
        (spec.LossType.CTC_LOSS, [0.25, 0.75]),
        (spec.LossType.SIGMOID_CROSS_ENTROPY, [0.5, 0.75]),
    ],
)
def test_output_activation_follows_the_loss(workload, framework, loss_type, expected):
    module = pytest.importorskip({"jax": "jax.numpy", "pytorch": "torch"}[framework])
    workload.loss_type = loss_type
    logits = np.array([[0.0, np.log(3.0)]], np.float32)
    tensor = module.asarray(logits)
    np.testing.assert_allclose(
        workload.output_activation_fn(tensor, framework), [expected], rtol=1e-6
    )


def test_output_activation_refuses_other_frameworks(workload):
    with pytest.raises(ValueError, match="'tensorflow' is not one of jax, pytorch"):
        workload.output_activation_fn(None, "tensorflow")


class ThreeSplits(ScriptedWorkload):
    """Answers each split with what it was asked."""

    eval_model = spec.Workload.eval_model

    def _eval_model_on_split(
        self, split, num_examples, batch_size, params, state, rng, data_dir, step
    ):
        self.asked = [*getattr(self, "asked", []), (split, num_examples, data_dir)]
        return {"accuracy": 0.5, "loss": 2.0}


def test_evaluation_goes_through_the_splits_in_the_published_order(goal, clock):
    workload = ThreeSplits(goal, clock)
    results = workload.eval_model(8, None, None, None, "data", "v2", 3)
    assert list(results) == [
        "train/accuracy",
        "train/loss",
        "validation/accuracy",
        "validation/loss",
        "validation/num_examples",
        "test/accuracy",
        "test/loss",
        "test/num_examples",
    ]
    assert workload.asked == [
        ("eval_train", 100, "data"),
        ("validation", 100, "data"),
        ("test", 100, "v2"),
    ]


def test_workload_without_test_split_is_evaluated_on_the_other_two(goal, clock):
    workload = ThreeSplits(goal, clock)
    workload.num_test_examples = None
    assert not [name for name in workload.eval_model(8, None, None, None, "") if "test" in name]


def test_facts_leave_out_what_a_workload_has_no_value_for(workload):
    facts = workload_facts(workload)
    assert facts["workload.num_train_examples"] == 1000
    assert facts["workload.target_metric_name"] == "accuracy"
    assert "workload.train_mean" not in facts
    assert "workload.param_shapes" not in facts
