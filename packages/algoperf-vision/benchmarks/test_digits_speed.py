"""What a step of `digits` costs, and what share of it is the input pipeline.

Run with `pytest packages/algoperf-vision/benchmarks`; pin it to one core with `taskset -c 0`.
"""

import jax
import numpy as np
import optax
import pytest
import torch

import algoperf_core
from algoperf_scoring import load_benchmark
from algoperf_vision.digits import WORKLOAD
from algoperf_vision.digits_data import DIGITS
from algoperf_workloads.pipeline import TrainingBatches

GOAL = load_benchmark("algoperf-digits").workload("digits")
KEYS = {"jax": jax.random.key(1), "pytorch": np.array([1, 2], np.int32)}
BATCH_SIZE = 128


def submission(framework):
    if framework == "jax":
        return algoperf_core.from_optax(lambda h, hint: optax.adamw(1e-3), batch_size=BATCH_SIZE)
    torch.set_num_threads(1)
    return algoperf_core.from_torch(
        lambda parameters, h, hint: torch.optim.AdamW(parameters, 1e-3), batch_size=BATCH_SIZE
    )


@pytest.mark.parametrize("framework", ["jax", "pytorch"])
def test_train_step(benchmark, framework, tmp_path):
    workload, algorithm, key = (
        WORKLOAD.create(framework, GOAL),
        submission(framework),
        KEYS[framework],
    )
    params, state = workload.init_model_fn(key)
    trained = [algorithm.init_optimizer_state(workload, params, state, None, key), params, state]
    queue = workload._build_input_queue(key, "train", str(tmp_path), BATCH_SIZE)

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

    benchmark.pedantic(step, rounds=200, warmup_rounds=5)


@pytest.mark.parametrize("framework", ["jax", "pytorch"])
def test_evaluation(benchmark, framework, tmp_path):
    workload, key = WORKLOAD.create(framework, GOAL), KEYS[framework]
    params, state = workload.init_model_fn(key)
    benchmark.pedantic(
        workload.eval_model, (700, params, state, key, str(tmp_path)), rounds=20, warmup_rounds=1
    )


@pytest.mark.parametrize("framework", ["jax", "pytorch"])
def test_next_batch_on_the_device(benchmark, framework, tmp_path):
    workload = WORKLOAD.create(framework, GOAL)
    queue = workload._build_input_queue(KEYS[framework], "train", str(tmp_path), BATCH_SIZE)
    benchmark(lambda: next(queue))


def test_next_batch_in_numpy(benchmark, tmp_path):
    examples = DIGITS.examples(DIGITS.open(tmp_path).splits, "train")
    batches = TrainingBatches(DIGITS, examples, batch_size=BATCH_SIZE, seed=(0,))
    numbers = iter(range(10**9))
    benchmark(lambda: batches[next(numbers)])
