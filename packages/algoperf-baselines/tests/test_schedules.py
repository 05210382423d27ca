"""Learning-rate schedules: the published values, and one definition in two frameworks."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from algoperf_baselines import schedules_jax, schedules_torch
from algoperf_baselines.horizon import split_horizon
from algoperf_core.errors import SubmissionError

HORIZON = 100
STEPS = np.arange(110)


def in_jax(name: str, learning_rate: float, horizon: int, *args: float, steps=STEPS) -> np.ndarray:
    schedule = getattr(schedules_jax, name)(learning_rate, horizon, *args)
    return np.array(schedule(np.asarray(steps)))


def in_pytorch(
    name: str, learning_rate: float, horizon: int, *args: float, steps=STEPS
) -> np.ndarray:
    sgd = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=learning_rate)
    scheduler = getattr(schedules_torch, name)(sgd, horizon, *args)
    return learning_rate * np.array([scheduler.lr_lambdas[0](int(step)) for step in steps])


@pytest.mark.parametrize("values_of", [in_jax, in_pytorch])
@pytest.mark.parametrize("warmup_factor", [0.02, 0.05, 0.1])
def test_warmup_cosine_has_the_published_values(values_of, warmup_factor, goldens):
    expected = goldens("schedules")[f"warmup_cosine_jax_wf{warmup_factor}"]
    actual = values_of("warmup_cosine", 0.002, HORIZON, warmup_factor)
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=2e-10)


@pytest.mark.parametrize("warmup_factor", [0.02, 0.05, 0.1])
def test_warmup_cosine_is_that_of_published_pytorch_up_to_the_horizon(warmup_factor, goldens):
    expected = goldens("schedules")[f"warmup_cosine_torch_wf{warmup_factor}"]
    actual = in_pytorch("warmup_cosine", 0.002, HORIZON, warmup_factor)
    horizon = slice(0, HORIZON + 1)
    np.testing.assert_allclose(actual[horizon], expected[horizon], rtol=0, atol=1e-9 * 0.002)


@pytest.mark.parametrize("values_of", [in_jax, in_pytorch])
@pytest.mark.parametrize("end_factor", [0.001, 0.01])
def test_warmup_linear_has_the_published_values(values_of, end_factor, goldens):
    expected = goldens("schedules")[f"warmup_linear_ef{end_factor}_ds0.9"]
    actual = values_of("warmup_linear", 0.2, HORIZON, 0.05, 0.9, end_factor)
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=2e-8)


@pytest.mark.parametrize("values_of", [in_jax, in_pytorch])
def test_warmup_cosine_stays_at_zero_past_the_horizon(values_of):
    assert np.all(values_of("warmup_cosine", 1.0, HORIZON, 0.05)[HORIZON:] == 0.0)


@pytest.mark.parametrize("values_of", [in_jax, in_pytorch])
def test_no_warmup_starts_at_the_peak(values_of):
    assert values_of("warmup_cosine", 1.0, HORIZON, 0.0)[0] == 1.0


@settings(max_examples=40, deadline=None)
@given(
    horizon=st.integers(1, 300_000),
    warmup_factor=st.floats(0.0, 1.0),
    decay=st.floats(0.1, 1.0),
    end_factor=st.floats(1e-4, 1.0),
    shares=st.lists(st.floats(0.0, 1.2), min_size=8, max_size=8),
)
def test_frameworks_agree_everywhere(horizon, warmup_factor, decay, end_factor, shares):
    steps = np.array([int(share * horizon) for share in shares], np.int32)
    for name, args in (("warmup_cosine", ()), ("warmup_linear", (decay, end_factor))):
        one = in_jax(name, 1.0, horizon, warmup_factor, *args, steps=steps)
        other = in_pytorch(name, 1.0, horizon, warmup_factor, *args, steps=steps)
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@given(horizon=st.integers(1, 10**6), warmup_factor=st.floats(0.0, 1.0))
def test_warmup_and_decay_fill_the_horizon(horizon, warmup_factor):
    warmup_steps, decay_steps = split_horizon(horizon, warmup_factor)
    assert warmup_steps >= 0
    assert decay_steps >= 1
    assert warmup_steps + decay_steps == horizon + (warmup_steps == horizon)


@pytest.mark.parametrize(
    ("horizon", "warmup_factor", "message"),
    [
        (0, 0.05, "step_hint is not given"),
        (-3, 0.05, "step_hint is -3"),
        (100, 1.5, "warmup_factor is 1.5, allowed 0 to 1"),
        (100, -0.1, "warmup_factor is -0.1, allowed 0 to 1"),
    ],
)
def test_impossible_horizon_is_refused(horizon, warmup_factor, message):
    with pytest.raises(SubmissionError, match=message):
        split_horizon(horizon, warmup_factor)
