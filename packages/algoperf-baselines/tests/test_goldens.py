"""The update rules against trajectories of the published implementations.

`goldens/optimizers.npz` holds starting parameters, twelve gradients, and the parameters after each
update with a constant learning rate.
"""

import importlib
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch

from algoperf_core.optax_submission import clip_by_global_norm

LEAVES = ("matrix", "vector", "scalar")
TOLERANCE = {"rtol": 2e-5, "atol": 2e-6}
UPDATES = 12
# A horizon so long, and an end so high, that the learning rate is constant in float32.
STEP_HINT = 10**9
POINT = {
    "learning_rate": 0.01,
    "one_minus_beta1": 0.1,
    "beta2": 0.999,
    "weight_decay": 0.1,
    "warmup_factor": 0.0,
    "decay_steps_factor": 1.0,
    "end_factor": 1.0,
}


def point_of(algorithm: str) -> SimpleNamespace:
    return SimpleNamespace(**POINT | ({"weight_decay": 0.01} if algorithm == "nesterov" else {}))


def optimizer_of(algorithm: str, framework: str) -> Any:
    return importlib.import_module(
        f"algoperf_baselines.{algorithm}.submission_{framework}"
    ).optimizer


def expect(trajectory: dict[str, np.ndarray], name: str, update: int, params: dict) -> None:
    for leaf in LEAVES:
        np.testing.assert_allclose(params[leaf], trajectory[f"{name}/{leaf}"][update], **TOLERANCE)


@pytest.mark.parametrize(
    ("algorithm", "name", "grad_clip"),
    [
        ("adamw", "adamw_jax", None),
        ("nadamw", "nadamw_jax", None),
        ("nadamw", "nadamw_jax_gradclip", 0.5),
        ("nesterov", "nesterov_jax", None),
    ],
)
def test_jax_matches_the_published_trajectory(algorithm, name, grad_clip, goldens):
    trajectory = goldens("optimizers")
    optimizer = optimizer_of(algorithm, "jax")(point_of(algorithm), STEP_HINT)
    if grad_clip is not None:
        optimizer = optax.chain(clip_by_global_norm(grad_clip), optimizer)
    params = {leaf: jnp.array(trajectory[f"init/{leaf}"]) for leaf in LEAVES}
    state = optimizer.init(params)

    @jax.jit
    def step(params, state, gradient):
        updates, state = optimizer.update(gradient, state, params)
        return optax.apply_updates(params, updates), state

    for update in range(UPDATES):
        gradient = {leaf: jnp.array(trajectory[f"grads/{leaf}"][update]) for leaf in LEAVES}
        params, state = step(params, state, gradient)
        expect(trajectory, name, update, params)


@pytest.mark.parametrize("algorithm", ["adamw", "nadamw", "nesterov"])
def test_pytorch_matches_the_published_trajectory(algorithm, goldens):
    trajectory = goldens("optimizers")
    params = {leaf: torch.nn.Parameter(torch.tensor(trajectory[f"init/{leaf}"])) for leaf in LEAVES}
    optimizer, scheduler = optimizer_of(algorithm, "pytorch")(
        params.values(), point_of(algorithm), STEP_HINT
    )
    for update in range(UPDATES):
        for leaf, parameter in params.items():
            parameter.grad = torch.tensor(trajectory[f"grads/{leaf}"][update])
        optimizer.step()
        scheduler.step()
        arrays = {leaf: parameter.detach().numpy() for leaf, parameter in params.items()}
        expect(trajectory, f"{algorithm}_torch", update, arrays)
