"""Micro-batches: the loss and gradient of the whole batch, with the memory of a part."""

import gc
import importlib
import json
import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest

from algoperf_core.batch_sizes import micro_batch_count
from algoperf_core.errors import SubmissionError
from algoperf_scoring import BenchmarkWorkload

FRAMEWORKS = ("jax", "pytorch")
EVERY_FRAMEWORK = pytest.mark.parametrize("framework", FRAMEWORKS)


def agree(ours, theirs, rtol=1e-5, atol=2e-6):
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        np.testing.assert_allclose(array, theirs[name], rtol=rtol, atol=atol, err_msg=name)


@EVERY_FRAMEWORK
@pytest.mark.parametrize("count", [2, 4, 64])
@pytest.mark.parametrize("valid", [64, 37, 1])
def test_loss_and_gradient_are_those_of_the_whole_batch(make_trial, framework, count, valid):
    whole = make_trial(framework, batch_norm=False, valid=valid)
    parts = make_trial(framework, batch_norm=False, valid=valid, micro_batches=count)
    # Plain gradient descent: parameters after a step show the gradient.
    agree(parts.step(), whole.step())
    assert parts.logged == pytest.approx(whole.logged, rel=1e-5)
    agree(parts.step(10), whole.step(10), rtol=1e-4, atol=1e-5)


@EVERY_FRAMEWORK
def test_parts_without_any_valid_example_count_nothing(make_trial, framework):
    # Example 0 alone is valid: 63 of the 64 parts are empty.
    arrays = make_trial(framework, batch_norm=False, valid=1, micro_batches=64).step()
    assert all(np.isfinite(array).all() for array in arrays.values())


@EVERY_FRAMEWORK
def test_clipping_and_smoothing_are_those_of_the_whole_batch(make_trial, framework):
    point = {"grad_clip": 0.05, "grad_clip_value": 0.03, "label_smoothing": 0.2}
    whole = make_trial(framework, point, batch_norm=False)
    parts = make_trial(framework, point, batch_norm=False, micro_batches=8)
    agree(parts.step(5), whole.step(5), rtol=1e-4, atol=1e-5)


@EVERY_FRAMEWORK
def test_sam_takes_both_gradients_in_parts(make_trial, framework):
    whole = make_trial(framework, batch_norm=False, sam_rho=0.1)
    parts = make_trial(framework, batch_norm=False, sam_rho=0.1, micro_batches=4)
    agree(parts.step(3), whole.step(3), rtol=1e-4, atol=1e-5)


def batch_norm_statistics(small_net, trial, count):
    """Mean over the parts of their means and variances, before the first step."""
    params = small_net.initial_params()["hidden"]
    inputs = np.asarray(next(trial.queue)["inputs"])
    hidden = inputs @ params["kernel"] + params["bias"]
    parts = [hidden[part::count] for part in range(count)]
    return np.mean([p.mean(0) for p in parts], 0), np.mean([p.var(0) for p in parts], 0)


@EVERY_FRAMEWORK
@pytest.mark.parametrize("count", [1, 2, 4])
def test_running_averages_take_one_step_with_the_mean_over_the_parts(
    small_net, make_trial, framework, count
):
    mean, variance = batch_norm_statistics(small_net, make_trial(framework), count)
    arrays = make_trial(framework, micro_batches=count).step()
    np.testing.assert_allclose(arrays["norm.mean"], 0.1 * mean, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(arrays["norm.var"], 0.9 + 0.1 * variance, rtol=1e-4, atol=1e-6)


def test_batch_norm_in_parts_is_the_same_in_both_frameworks(make_trial):
    trials = [make_trial(framework, micro_batches=4, valid=50) for framework in FRAMEWORKS]
    for _ in range(10):
        agree(*(trial.step() for trial in trials), rtol=1e-4, atol=1e-5)


def test_torch_counters_of_batches_advance_once_a_step(make_trial):
    trial = make_trial("pytorch", micro_batches=4)
    trial.step(3)
    assert trial.params.norm.batches.item() == 3


def test_buffers_that_no_pass_changes_stay_as_they_are(make_trial):
    torch = pytest.importorskip("torch")
    trial = make_trial("pytorch", micro_batches=64)
    table = torch.rand(100)
    trial.params.register_buffer("table", table.clone())
    trial.step(3)
    assert torch.equal(trial.params.table, table)


def test_dropout_has_a_key_of_its_own_for_each_part(make_trial):
    jax = pytest.importorskip("jax")
    trial = make_trial("jax", {"dropout_rate": 0.5}, batch_norm=False, micro_batches=4)
    model_fn, masks = trial.workload.model_fn, []

    def spy(params, batch, model_state, mode, rng, **options):
        mask = jax.random.bernoulli(rng, 0.5, (64,))
        jax.debug.callback(lambda drawn: masks.append(np.asarray(drawn)), mask)
        return model_fn(params, batch, model_state, mode, rng, **options)

    trial.workload.model_fn = spy
    trial.step()
    jax.effects_barrier()
    assert len({mask.tobytes() for mask in masks}) == len(masks) == 4


@pytest.mark.parametrize("count", [1, 4])
def test_jax_step_compiles_once(make_trial, count):
    trial = make_trial("jax", micro_batches=count)
    trial.step(5)
    traced = len(trial.workload.passes)
    trial.step(3)
    assert len(trial.workload.passes) == traced


# Memory.


def test_jax_donates_old_parameters_states_and_averages(make_trial):
    jax = pytest.importorskip("jax")
    optax = pytest.importorskip("optax")
    from algoperf_core import ema

    trial = make_trial(
        "jax",
        micro_batches=2,
        average=ema(0.9),
        optimizer=lambda h, steps: optax.adam(h.learning_rate),
    )
    trial.step()
    for prepared in (False, True):
        if prepared:
            trial.prepare()
        state = trial.state[0]
        old = jax.tree.leaves((trial.params, trial.model_state, state.optimizer, state.average))
        trial.step()
        assert all(leaf.is_deleted() for leaf in old)


def test_jax_keeps_no_array_beside_the_current_ones(make_trial):
    jax = pytest.importorskip("jax")
    trial = make_trial("jax", micro_batches=2)
    trial.step()
    gc.collect()
    before = sum(array.nbytes for array in jax.live_arrays() if not array.is_deleted())
    trial.step(5)
    gc.collect()
    after = sum(array.nbytes for array in jax.live_arrays() if not array.is_deleted())
    assert after <= before + 1000


@pytest.mark.parametrize("options", [{}, {"micro_batches": 4}, {"sam_rho": 0.1}])
def test_torch_frees_activations_and_gradients_without_the_garbage_collector(make_trial, options):
    trial = make_trial("pytorch", **options)
    model_fn, alive = trial.workload.model_fn, []

    def spy(**arguments):
        # What an earlier pass computed is gone before the next one begins.
        assert [reference() for reference in alive] == [None] * len(alive)
        logits, state = model_fn(**arguments)
        alive.append(weakref.ref(logits))
        return logits, state

    trial.workload.model_fn = spy
    gc.disable()
    try:
        trial.step(2)
        assert len(alive) == 2 * (options.get("micro_batches", 1) + ("sam_rho" in options))
        assert [reference() for reference in alive] == [None] * len(alive)
    finally:
        gc.enable()
    assert all(parameter.grad is None for parameter in trial.params.parameters())


def test_torch_views_a_batch_and_does_not_copy_it():
    torch = pytest.importorskip("torch")
    split_batch = importlib.import_module("algoperf_core.torch_gradients").split_batch
    inputs = torch.arange(12.0).reshape(6, 2)
    parts = list(split_batch({"inputs": inputs, "targets": (inputs[:, 0], None)}, 3))
    storage = inputs.untyped_storage().data_ptr()
    assert all(part["inputs"].untyped_storage().data_ptr() == storage for part in parts)
    assert [part["targets"][0].tolist() for part in parts] == [[0.0, 6.0], [2.0, 8.0], [4.0, 10.0]]
    assert parts[0]["targets"][1] is None


def test_value_function_has_the_derivative_of_the_whole_batch(make_trial):
    jax = pytest.importorskip("jax")
    losses = [make_trial("jax", micro_batches=count).state[1]._loss for count in (1, 4)]
    trial = make_trial("jax", batch_norm=False, valid=50)
    arguments = (trial.params, None, next(trial.queue), trial.backend.key(0))
    found = []
    for loss in losses:
        loss.workload.batch_norm = False
        found.append(jax.jit(jax.value_and_grad(loss.value))(*arguments))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), *found)


# How many.


def goal(name, variant_of=None):
    return BenchmarkWorkload(
        name=name,
        metric="loss",
        direction="minimize",
        validation_target=0.1,
        variant_of=variant_of,
    )


def by_function(name):
    if name != "imagenet_vit":
        raise ValueError(name)
    return 4


@pytest.mark.parametrize(
    ("given", "name", "base", "count"),
    [
        (2, "wmt", None, 2),
        ({"wmt": 8}, "wmt", None, 8),
        ({"wmt": 8}, "ogbg", None, 1),
        ({"imagenet_vit": 4}, "imagenet_vit_glu", "imagenet_vit", 4),
        ({"imagenet_vit": 4, "imagenet_vit_glu": 8}, "imagenet_vit_glu", "imagenet_vit", 8),
        (by_function, "imagenet_vit_glu", "imagenet_vit", 4),
    ],
)
def test_number_is_given_for_all_by_table_or_by_function(given, name, base, count):
    workload = type("Named", (), {"name": name, "goal": goal(name, base)})()
    assert micro_batch_count(given, workload) == count


@pytest.mark.parametrize("given", [0, -1, {"wmt": 2.0}, {"wmt": 0}, lambda name: "4"])
def test_numbers_that_make_no_sense_are_refused(given):
    workload = type("Named", (), {"name": "wmt", "goal": goal("wmt")})()
    with pytest.raises(SubmissionError, match=r"micro_batches is .* for workload 'wmt'"):
        micro_batch_count(given, workload)


@EVERY_FRAMEWORK
def test_batch_that_does_not_divide_is_refused(make_trial, framework):
    with pytest.raises(SubmissionError, match=r"64 examples does not divide into 3 .*divides 64"):
        make_trial(framework, micro_batches=3).step()


@EVERY_FRAMEWORK
@pytest.mark.parametrize(("shape", "found"), [((), r"shape \(\)"), ((5,), r"shape \(5,\)")])
def test_array_without_examples_is_refused(small_net, make_trial, framework, shape, found):
    trial = make_trial(framework, micro_batches=2)
    batch = next(small_net.batches(64, 64)) | {"graph": np.zeros(shape, np.float32)}
    place = {
        "jax": lambda array: array,
        "pytorch": lambda array: importlib.import_module("torch").as_tensor(array),
    }[framework]
    trial.queue = iter([{name: place(array) for name, array in batch.items()}])
    with pytest.raises(SubmissionError, match=rf"\['graph'\] of the batch has {found}"):
        trial.step()


# Devices.

RUN = Path(__file__).parent / "sharded_run.py"


def sharded_run(plugin, devices, count, arrays):
    environment = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(plugin),
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
        "JAX_PLATFORMS": "cpu",
    }
    command = [sys.executable, str(RUN), str(count), str(arrays)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout), dict(np.load(arrays))


def test_eight_devices_give_the_numbers_of_one(plugin, tmp_path):
    pytest.importorskip("jax")
    for count in (1, 4):
        one, expected = sharded_run(plugin, 1, count, tmp_path / "one.npz")
        eight, arrays = sharded_run(plugin, 8, count, tmp_path / "eight.npz")
        assert (one["devices"], eight["devices"]) == (1, 8)
        agree(arrays, expected, rtol=1e-4, atol=1e-5)
        # Splitting moves nothing between devices.
        assert eight["collectives"] == []
        assert eight["part_sharding"] == [None, "batch"]
