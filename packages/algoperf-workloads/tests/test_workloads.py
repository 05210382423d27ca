"""The workload API of the generic classes: what a submission and the training loop see."""

import math
from dataclasses import replace

import jax
import numpy as np
import pytest
import torch

from algoperf_core.spec import ForwardPassMode, ParameterType, ShapeTuple
from algoperf_toy.definition import GOAL, TOY
from algoperf_toy.ranking import RANKED
from algoperf_workloads import workload as workload_module

TRAIN, EVAL = ForwardPassMode.TRAIN, ForwardPassMode.EVAL
KEYS = {"jax": jax.random.key(3), "pytorch": np.array([3, 4], np.int32)}
FRAMEWORKS = ["jax", "pytorch"]


@pytest.fixture(params=FRAMEWORKS)
def ready(request, data_dir):
    """A workload with parameters, state, key and a training batch."""
    workload = TOY.create(request.param, GOAL)
    key = KEYS[request.param]
    params, state = workload.init_model_fn(key)
    return (
        workload,
        params,
        state,
        key,
        next(workload._build_input_queue(key, "train", data_dir, 8)),
    )


def evaluate(ready, data_dir, batch_size=8):
    workload, params, state, key, _ = ready
    return workload.eval_model(batch_size, params, state, key, data_dir)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_shapes_and_types_are_known_after_initialisation_only(framework):
    workload = TOY.create(framework, GOAL)
    for attribute in ("param_shapes", "model_params_types"):
        with pytest.raises(ValueError, match="after init_model_fn"):
            getattr(workload, attribute)


def test_jax_shapes_and_types_are_trees_like_the_parameters():
    workload = TOY.create("jax", GOAL)
    params, state = workload.init_model_fn(KEYS["jax"])
    assert workload.param_shapes["Conv_0"]["kernel"] == ShapeTuple((3, 3, 2, 5))
    assert workload.model_params_types["BatchNorm_0"]["scale"] is ParameterType.BATCH_NORM_SCALE
    assert jax.tree.structure(workload.param_shapes) == jax.tree.structure(params)
    assert jax.tree.structure(workload.model_params_types) == jax.tree.structure(params)
    assert state.keys() == {"batch_stats"}


def test_pytorch_parameters_are_a_module_and_there_is_no_state():
    workload = TOY.create("pytorch", GOAL)
    model, state = workload.init_model_fn(KEYS["pytorch"])
    assert isinstance(model, torch.nn.Module)
    assert state is None
    assert workload.param_shapes["conv.weight"] == ShapeTuple((5, 2, 3, 3))
    assert workload.model_params_types["ln.bias"] is ParameterType.LAYER_NORM_BIAS


def test_evaluation_has_the_published_keys_in_order(ready, data_dir):
    results = evaluate(ready, data_dir)
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
    assert results["validation/num_examples"] == 17
    assert all(type(results[key]) is float for key in results if "num" not in key)


@pytest.mark.parametrize("batch_size", [1, 5, 17, 64])
def test_evaluation_does_not_depend_on_the_batch_size(ready, data_dir, batch_size):
    expected, found = evaluate(ready, data_dir), evaluate(ready, data_dir, batch_size)
    assert found == pytest.approx(expected, rel=1e-5)
    assert round(found["validation/accuracy"] * 17, 4) in range(18)


def test_test_split_is_that_of_the_dataset(ready, data_dir, tmp_path):
    workload, params, state, key, _ = ready
    elsewhere = str(tmp_path / "imagenet_v2")
    found = workload.eval_model(8, params, state, key, data_dir, elsewhere)
    assert found == evaluate(ready, data_dir)
    assert not (tmp_path / "imagenet_v2").exists()


def test_evaluation_changes_nothing(ready, data_dir):
    workload, params, state, key, batch = ready
    before, _ = workload.model_fn(params, batch, state, EVAL, key, False)
    evaluate(ready, data_dir)
    after, _ = workload.model_fn(params, batch, state, EVAL, key, False)
    np.testing.assert_array_equal(_numpy(before), _numpy(after))


def test_jax_evaluation_compiles_once_for_all_splits(data_dir):
    workload = TOY.create("jax", GOAL)
    for seed in range(3):
        params, state = workload.init_model_fn(jax.random.key(seed))
        workload.eval_model(8, params, state, KEYS["jax"], data_dir)
    assert workload._add_sums._cache_size() == 1


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_each_split_is_fetched_from_the_device_at_once(framework, data_dir, monkeypatch):
    workload = TOY.create(framework, GOAL)
    params, state = workload.init_model_fn(KEYS[framework])
    fetched = []
    fetch = workload._fetch
    monkeypatch.setattr(workload, "_fetch", lambda *found: fetched.append(1) or fetch(*found))
    workload.eval_model(4, params, state, KEYS[framework], data_dir)
    assert len(fetched) == 3


def test_small_evaluation_batches_stay_on_the_device(ready, data_dir, monkeypatch):
    workload = ready[0]
    expected = evaluate(ready, data_dir)
    monkeypatch.setattr(workload, "_place", lambda batch: pytest.fail("placed again"))
    assert evaluate(ready, data_dir) == expected


def test_large_evaluation_batches_are_read_anew(ready, data_dir, monkeypatch):
    monkeypatch.setattr(workload_module, "CACHED_BYTES", 100)
    expected = evaluate(ready, data_dir)
    assert ready[0]._cached_evaluations == {}
    assert evaluate(ready, data_dir) == expected


def test_running_averages_move_only_when_asked(ready):
    workload, params, state, key, batch = ready
    eval_before, _ = workload.model_fn(params, batch, state, EVAL, key, False)
    _, state = workload.model_fn(params, batch, state, TRAIN, key, update_batch_norm=False)
    eval_kept, _ = workload.model_fn(params, batch, state, EVAL, key, False)
    np.testing.assert_array_equal(_numpy(eval_before), _numpy(eval_kept))
    _, state = workload.model_fn(params, batch, state, TRAIN, key, update_batch_norm=True)
    eval_after, _ = workload.model_fn(params, batch, state, EVAL, key, False)
    assert not np.array_equal(_numpy(eval_before), _numpy(eval_after))


def test_training_normalises_by_the_batch_whether_averages_move_or_not(ready):
    workload, params, state, key, batch = ready
    logits = [
        _numpy(workload.model_fn(params, batch, state, TRAIN, key, update, dropout_rate=0.0)[0])
        for update in (False, True)
    ]
    np.testing.assert_allclose(*logits, rtol=1e-6)
    evaluated, _ = workload.model_fn(params, batch, state, EVAL, key, False)
    assert not np.allclose(logits[0], _numpy(evaluated))


def test_evaluation_mode_refuses_to_update(ready):
    workload, params, state, key, batch = ready
    with pytest.raises(ValueError, match="update_batch_norm=True is for"):
        workload.model_fn(params, batch, state, EVAL, key, update_batch_norm=True)


def test_dropout_rate_can_be_given_per_call(ready):
    workload, params, state, key, batch = ready

    def pass_with(**options):
        return _numpy(workload.model_fn(params, batch, state, TRAIN, key, False, **options)[0])

    np.testing.assert_array_equal(pass_with(dropout_rate=0.0), pass_with(dropout_rate=0.0))
    assert not np.array_equal(pass_with(dropout_rate=0.0), pass_with(dropout_rate=0.9))


def test_a_jax_pass_keeps_no_side_effect_of_its_trace(data_dir):
    workload = TOY.create("jax", GOAL)
    params, state = workload.init_model_fn(KEYS["jax"])
    batch = next(workload._build_input_queue(0, "train", data_dir, 8))

    @jax.jit
    def passes(params, state, batch, rate):
        return workload.model_fn(params, batch, state, TRAIN, KEYS["jax"], True, dropout_rate=rate)

    passes(params, state, batch, 0.0)
    logits, new_state = passes(params, state, batch, 0.0)
    expected, expected_state = workload.model_fn(
        params, batch, state, TRAIN, KEYS["jax"], True, dropout_rate=0.0
    )
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4), new_state, expected_state
    )
    assert passes._cache_size() == 1


def test_a_workload_is_a_static_argument():
    assert hash(TOY.create("jax", GOAL)) != hash(TOY.create("jax", GOAL))


def test_a_pytorch_evaluation_records_no_gradient(data_dir):
    workload = TOY.create("pytorch", GOAL)
    model, _ = workload.init_model_fn(KEYS["pytorch"])
    batch = next(workload._build_input_queue(0, "train", data_dir, 8))
    logits, _ = workload.model_fn(model, batch, None, EVAL, None, False)
    assert not logits.requires_grad
    logits, _ = workload.model_fn(model, batch, None, TRAIN, None, True)
    assert logits.requires_grad


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_evaluation_queues_pass_once_or_for_ever(framework, data_dir):
    workload = TOY.create(framework, GOAL)

    def count(**options):
        return sum(1 for _ in workload._build_input_queue(0, "validation", data_dir, 8, **options))

    assert count() == 3
    assert count(num_batches=2) == 2
    assert count(repeat_final_dataset=True, num_batches=7) == 7


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_training_queues_have_a_position(framework, data_dir):
    queue = TOY.create(framework, GOAL)._build_input_queue(0, "train", data_dir, 8)
    next(queue)
    state = queue.get_state()
    expected = _numpy(next(queue)["inputs"])
    queue.set_state(state)
    np.testing.assert_array_equal(_numpy(next(queue)["inputs"]), expected)


def test_an_untrained_loss_is_near_that_of_guessing(ready, data_dir):
    assert evaluate(ready, data_dir)["train/loss"] == pytest.approx(math.log(3), abs=0.6)


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("batch_size", [3, 8, 64])
def test_metrics_that_are_no_sums_see_every_example_once(framework, batch_size, data_dir):
    workload = RANKED.create(framework, GOAL)
    params, state = workload.init_model_fn(KEYS[framework])
    found = workload.eval_model(batch_size, params, state, KEYS[framework], data_dir)
    assert (found["train/seen"], found["validation/seen"], found["test/seen"]) == (20, 17, 11)
    expected = workload.eval_model(5, params, state, KEYS[framework], data_dir)
    assert found == pytest.approx(expected)


def test_a_batch_from_worker_processes_is_the_same(data_dir):
    ahead = replace(TOY, dataset=replace(TOY.dataset, workers=1))
    expected, found = (
        definition.create("pytorch", GOAL)._build_input_queue(0, "train", data_dir, 8)
        for definition in (TOY, ahead)
    )
    for _ in range(3):
        np.testing.assert_array_equal(
            _numpy(next(expected)["inputs"]), _numpy(next(found)["inputs"])
        )
    assert found.get_state() == expected.get_state()
    found.close()


@pytest.mark.parametrize("devices", [3, 5, 8])
def test_evaluation_is_exact_on_any_number_of_devices(run_python, data_dir, devices):
    code = f"""
import jax
from algoperf_toy.definition import GOAL, TOY
workload = TOY.create("jax", GOAL)
params, state = workload.init_model_fn(jax.random.key(3))
assert len(jax.devices()) == DEVICES
batch = next(workload._build_input_queue(0, "train", {data_dir!r}, 2 * DEVICES))
assert len(batch["inputs"].sharding.device_set) == DEVICES
for batch_size in (DEVICES, 8, 17):
    print(workload.eval_model(batch_size, params, state, None, {data_dir!r}))
"""
    TOY.dataset.open(data_dir)
    one, many = (
        [
            eval(line)  # noqa: S307
            for line in run_python(
                code.replace("DEVICES", str(count)),
                XLA_FLAGS=f"--xla_force_host_platform_device_count={count}",
            ).splitlines()
        ]
        for count in (1, devices)
    )
    assert len(many) == 3
    for found in many:
        assert found == pytest.approx(one[0], rel=1e-5)


def _numpy(array):
    return np.asarray(array.detach() if hasattr(array, "detach") else array)
