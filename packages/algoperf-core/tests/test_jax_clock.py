"""JAX computes in the background; the submission pays for all of it all the same."""

import time

import numpy as np
import pytest

from algoperf_core.backends import load_backend
from algoperf_core.ledger import Account
from algoperf_core.submission import Submission
from algoperf_core.testing import FakeClock, MemoryRecorder, ScriptedWorkload, SilentProgress
from algoperf_core.training import TrainingRun, TrialPlan

jax = pytest.importorskip("jax")
jnp = jax.numpy

STEPS = 12


@jax.jit
def heavy(matrix):
    return jax.lax.fori_loop(0, 30, lambda _, m: jnp.tanh(m @ m), matrix)


def seconds_of_one_call(matrix):
    heavy(matrix).block_until_ready()
    times = []
    for _ in range(5):
        start = time.perf_counter()
        heavy(matrix).block_until_ready()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


class JaxScripted(ScriptedWorkload):
    """A scripted workload with a real array for its parameter."""

    def init_model_fn(self, rng):
        super().init_model_fn(rng)
        return jnp.zeros(3), None


def run(goal, update_params, max_steps=STEPS):
    submission = Submission(
        get_batch_size=lambda name: 8,
        init_optimizer_state=lambda *arguments: ({}, None),
        update_params=update_params,
    )
    clock = FakeClock()
    plan = TrialPlan(
        workload=JaxScripted(goal, clock),
        submission=submission,
        hyperparameters=None,
        seed=0,
        budget_s=1e6,
        data_dir="",
        max_global_steps=max_steps,
    )
    training = TrainingRun(
        plan, load_backend("jax"), MemoryRecorder(clock), SilentProgress(), now=time.perf_counter
    )
    start = time.perf_counter()
    training.run()
    elapsed_s = time.perf_counter() - start
    assert sum(training.ledger.entries().values()) == pytest.approx(elapsed_s, rel=1e-3, abs=1e-3)
    return training.ledger


def test_dispatched_work_in_the_parameters_is_charged(goal):
    matrix = jnp.eye(400)
    one_call_s = seconds_of_one_call(matrix)

    def update_params(*, current_param_container, **rest):
        start = time.perf_counter()
        work = heavy(matrix)
        dispatch_s.append(time.perf_counter() - start)
        return ({}, None), current_param_container + work[0, 0], None

    dispatch_s = []
    ledger = run(goal, update_params)
    assert ledger.seconds(Account.SUBMISSION) >= 0.3 * STEPS * one_call_s
    # Otherwise the call itself waited, and this test would show nothing.
    assert np.median(dispatch_s[:2]) < 0.5 * one_call_s


def test_dispatched_work_that_is_hidden_from_the_harness_is_charged(goal):
    matrix = jnp.eye(400)
    one_call_s = seconds_of_one_call(matrix)
    hidden = []

    def update_params(*, current_param_container, **rest):
        hidden.append(heavy(matrix))
        return ({}, None), current_param_container, None

    ledger = run(goal, update_params)
    assert ledger.seconds(Account.SUBMISSION) >= 0.3 * STEPS * one_call_s
    assert ledger.seconds(Account.EVALUATION) < 0.5 * STEPS * one_call_s


def test_host_does_not_run_far_ahead_of_the_device(goal):
    matrix = jnp.eye(400)
    one_call_s = seconds_of_one_call(matrix)
    started_s = []

    def update_params(*, current_param_container, **rest):
        started_s.append(time.perf_counter())
        return ({}, None), current_param_container + heavy(matrix)[0, 0], None

    run(goal, update_params)
    # Steps 1 and 2 may start at once; from then on each waits for the one before the last.
    assert started_s[-1] - started_s[3] >= 0.3 * (STEPS - 4) * one_call_s


def test_parameters_may_be_donated(goal):
    @jax.jit
    def plain(params):
        return params + 1.0

    donating = jax.jit(plain, donate_argnums=0)

    def update_params(*, current_param_container, **rest):
        return ({}, None), donating(current_param_container), None

    ledger = run(goal, update_params)
    assert ledger.seconds(Account.SUBMISSION) > 0.0
