"""Time of one update: NAdamW beside the framework's AdamW, on 64 leaves of 64 Ki parameters."""

import jax
import jax.numpy as jnp
import optax
import pytest
import torch

from algoperf_baselines.nadamw.submission_jax import nadamw
from algoperf_baselines.nadamw.submission_pytorch import NAdamW

LEAVES, SHAPE = 64, (256, 256)


@pytest.mark.benchmark(group="jax, one update")
@pytest.mark.parametrize("rule", ["optax.adamw", "nadamw"])
def test_jax_update(rule, benchmark):
    optimizer = {
        "optax.adamw": optax.adamw(1e-3, 0.9, 0.999, weight_decay=0.1),
        "nadamw": nadamw(1e-3, 0.9, 0.999, weight_decay=0.1),
    }[rule]
    keys = jax.random.split(jax.random.key(0), LEAVES)
    params = {str(number): jax.random.normal(key, SHAPE) for number, key in enumerate(keys)}
    gradient = jax.tree.map(jnp.sin, params)
    state = optimizer.init(params)

    @jax.jit
    def step(params, state):
        updates, state = optimizer.update(gradient, state, params)
        return optax.apply_updates(params, updates), state

    jax.block_until_ready(step(params, state))
    benchmark(lambda: jax.block_until_ready(step(params, state)))


@pytest.mark.benchmark(group="pytorch, one update")
@pytest.mark.parametrize("rule", ["torch.optim.AdamW", "torch.optim.AdamW foreach", "NAdamW"])
def test_pytorch_update(rule, benchmark):
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    params = [torch.nn.Parameter(torch.randn(SHAPE, device=device)) for _ in range(LEAVES)]
    for parameter in params:
        parameter.grad = torch.randn(SHAPE, device=device)
    options = {"lr": 1e-3, "betas": (0.9, 0.999), "weight_decay": 0.1}
    optimizer = {
        "torch.optim.AdamW": lambda: torch.optim.AdamW(params, **options),
        "torch.optim.AdamW foreach": lambda: torch.optim.AdamW(params, **options, foreach=True),
        "NAdamW": lambda: NAdamW(params, **options),
    }[rule]()

    def update() -> None:
        optimizer.step()
        if device == "cuda":
            torch.cuda.synchronize()

    update()
    benchmark(update)
