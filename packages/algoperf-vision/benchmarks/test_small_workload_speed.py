"""What a step and an evaluation of `digits` and the minis cost, and what share is the input pipeline.

Run with `pytest packages/algoperf-vision/benchmarks`; pin it to one core with `taskset -c 0`.
"""

import jax
import numpy as np
import optax
import pytest
import torch

import algoperf_core
from algoperf_scoring import load_benchmark
from algoperf_vision import digits
from algoperf_vision.fastmri_mini import FASTMRI_MINI
from algoperf_vision.imagenet_mini import RESNET_MINI, VIT_MINI
from algoperf_workloads.pipeline import TrainingBatches

MINI = load_benchmark("algoperf-mini")
WORKLOADS = {
    definition.name: definition
    for definition in (digits.WORKLOAD, RESNET_MINI, VIT_MINI, FASTMRI_MINI)
}
KEYS = {"jax": jax.random.key(1), "pytorch": np.array([1, 2], np.int32)}
BATCH_SIZES = dict.fromkeys(WORKLOADS, 128) | {"fastmri_mini": 16}
EVERY_WORKLOAD = pytest.mark.parametrize("name", WORKLOADS)
BOTH_FRAMEWORKS = pytest.mark.parametrize("framework", ["jax", "pytorch"])


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """Where each dataset is made once."""
    return str(tmp_path_factory.mktemp("data"))


def create(name, framework):
    return WORKLOADS[name].create(framework, MINI.workload(name))


def submission(framework, batch_size):
    if framework == "jax":
        return algoperf_core.from_optax(lambda h, hint: optax.adamw(1e-3), batch_size=batch_size)
    return algoperf_core.from_torch(
        lambda parameters, h, hint: torch.optim.AdamW(parameters, 1e-3), batch_size=batch_size
    )


@BOTH_FRAMEWORKS
@EVERY_WORKLOAD
def test_train_step(benchmark, name, framework, data_dir):
    workload, key = create(name, framework), KEYS[framework]
    algorithm = submission(framework, BATCH_SIZES[name])
    params, state = workload.init_model_fn(key)
    trained = [algorithm.init_optimizer_state(workload, params, state, None, key), params, state]
    queue = workload._build_input_queue(key, "train", data_dir, BATCH_SIZES[name])

    def step():
        trained[:] = algorithm.update_params(
            workload=workload,
            current_param_container=trained[1],
            current_params_types=workload.model_params_types,
            model_state=trained[2],
            hyperparameters=None,
            batch=next(queue),
            loss_type=workload.loss_type,
            optimizer_state=trained[0],
            eval_results=[],
            global_step=1,
            rng=key,
        )
        if framework == "jax":
            jax.block_until_ready(trained[1])

    benchmark.pedantic(step, rounds=50, warmup_rounds=5)


@BOTH_FRAMEWORKS
@EVERY_WORKLOAD
def test_evaluation(benchmark, name, framework, data_dir):
    workload, key = create(name, framework), KEYS[framework]
    params, state = workload.init_model_fn(key)
    arguments = (workload.eval_batch_size, params, state, key, data_dir)
    benchmark.pedantic(workload.eval_model, arguments, rounds=5, warmup_rounds=1)


@BOTH_FRAMEWORKS
@EVERY_WORKLOAD
def test_next_batch_on_the_device(benchmark, name, framework, data_dir):
    workload = create(name, framework)
    queue = workload._build_input_queue(KEYS[framework], "train", data_dir, BATCH_SIZES[name])
    benchmark(lambda: next(queue))


@EVERY_WORKLOAD
def test_next_batch_in_numpy(benchmark, name, data_dir):
    dataset = WORKLOADS[name].dataset
    examples = dataset.examples(dataset.open(data_dir).splits, "train")
    batches = TrainingBatches(dataset, examples, batch_size=BATCH_SIZES[name], seed=(0,))
    numbers = iter(range(10**9))
    benchmark(lambda: batches[next(numbers)])
