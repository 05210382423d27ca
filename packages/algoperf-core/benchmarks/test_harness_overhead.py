"""What the harness costs a submission per step: a no-op submission, against the same loop bare."""

import time
from dataclasses import replace

import pytest

from algoperf_core.backends import load_backend
from algoperf_core.submission import Submission
from algoperf_core.testing import FakeClock, MemoryRecorder, ScriptedWorkload, SilentProgress
from algoperf_core.training import TrainingRun, TrialPlan
from algoperf_scoring import BenchmarkWorkload

STEPS = 2000
GOAL = BenchmarkWorkload("noop", "loss", "minimize", 0.0, None, 1e9, STEPS, 1e9)


def array(framework):
    if framework == "jax":
        return pytest.importorskip("jax.numpy").zeros(3)
    return pytest.importorskip("torch").zeros(3)


def update_params(*, optimizer_state, current_param_container, model_state, **rest):
    return optimizer_state, current_param_container, model_state


def make_run(framework):
    clock = FakeClock()

    class Workload(ScriptedWorkload):
        def init_model_fn(self, rng):
            return array(framework), super().init_model_fn(rng)[1]

    workload = Workload(replace(GOAL), clock, evaluations=[{"validation/loss": 1.0}])
    submission = Submission(
        get_batch_size=lambda name: 8,
        init_optimizer_state=lambda *arguments: (None, None),
        update_params=update_params,
    )
    plan = TrialPlan(
        workload=workload,
        submission=submission,
        hyperparameters=None,
        seed=0,
        budget_s=1e9,
        data_dir="",
        max_global_steps=STEPS,
    )
    return TrainingRun(
        plan, load_backend(framework), MemoryRecorder(clock), SilentProgress(), time.perf_counter
    )


@pytest.mark.parametrize("framework", ["jax", "pytorch"])
def test_steps_of_a_no_op_submission(benchmark, framework):
    array(framework)
    benchmark.extra_info["steps"] = STEPS
    benchmark.pedantic(lambda run: run.run(), setup=lambda: ((make_run(framework),), {}), rounds=5)


@pytest.mark.parametrize("framework", ["jax", "pytorch"])
def test_bare_loop_without_a_harness(benchmark, framework):
    params = array(framework)

    def loop():
        for _ in range(STEPS):
            update_params(optimizer_state=None, current_param_container=params, model_state=None)

    benchmark.extra_info["steps"] = STEPS
    benchmark(loop)
