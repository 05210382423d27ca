"""What a training step and an evaluation pass cost: every full-size model, both frameworks, side by side.

Run with `pytest packages/algoperf-vision/benchmarks/test_model_speed.py`; `examples_per_s` is in the
extra information. Batches are small on a CPU, where compiling and measuring all of it takes some twenty
minutes; choose with `-k`, for example `-k "vit and train"`. Images have the size they are trained with.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from algoperf_vision.mlp import MNIST
from algoperf_vision.resnet import CIFAR, IMAGENET_RESNET
from algoperf_vision.unet import FASTMRI, FASTMRI_LAYERNORM
from algoperf_vision.vit import IMAGENET_VIT, IMAGENET_VIT_GLU
from algoperf_workloads.testing import available_compile_backend

pytestmark = pytest.mark.filterwarnings("ignore")

ON_GPU = torch.cuda.is_available()
# Name: the model, the shape of an input, examples of a batch on a CPU and on a GPU.
MODELS = {
    "imagenet_resnet": (IMAGENET_RESNET, (224, 224, 3), 8, 128),
    "imagenet_vit": (IMAGENET_VIT, (224, 224, 3), 8, 128),
    "imagenet_vit_glu": (IMAGENET_VIT_GLU, (224, 224, 3), 8, 128),
    "fastmri": (FASTMRI, (320, 320), 2, 32),
    "fastmri_layernorm": (FASTMRI_LAYERNORM, (320, 320), 2, 32),
    "cifar": (CIFAR, (32, 32, 3), 32, 1024),
    "mnist": (MNIST, (28, 28, 1), 64, 1024),
}
WAYS = ("jax", "pytorch", "pytorch_compiled")


@dataclass
class Passes:
    """A training step (forward, backward, plain gradient descent) and an evaluation pass, both waited for."""

    train: Any
    evaluate: Any


def in_jax(definition, inputs):
    module, dropout = definition.build("jax"), definition.dropout_arguments(None)
    inputs = jnp.asarray(inputs)
    initialise = jax.jit(partial(module.init, train=False, **dropout))
    state = dict(initialise(jax.random.key(0), inputs))
    trained = [state.pop("params"), state]

    @partial(jax.jit, donate_argnums=(0, 1))
    def step(params, state):
        def loss(params):
            outputs, updated = module.apply(
                {"params": params, **state}, inputs, train=True, mutable=list(state), **dropout
            )
            return jnp.square(outputs - 1).mean(), dict(updated)

        gradient, state = jax.grad(loss, has_aux=True)(params)
        return jax.tree.map(lambda p, g: p - 1e-4 * g, params, gradient), state

    def train():
        trained[:] = jax.block_until_ready(step(*trained))

    @jax.jit
    def forward(params, state):
        return module.apply({"params": params, **state}, inputs, train=False, **dropout)

    return Passes(train, lambda: jax.block_until_ready(forward(*trained)))


def in_pytorch(definition, inputs, compiled):
    torch.compiler.reset()
    device = "cuda" if ON_GPU else "cpu"
    model = definition.build("pytorch").to(device)
    optimizer = torch.optim.SGD(model.parameters(), 1e-4)
    run = torch.compile(model, backend=available_compile_backend()) if compiled else model
    run = partial(run, torch.from_numpy(inputs).to(device), **definition.dropout_arguments(None))
    synchronise = torch.cuda.synchronize if ON_GPU else lambda: None

    def train():
        model.train()
        optimizer.zero_grad()
        (run() - 1).square().mean().backward()
        optimizer.step()
        synchronise()

    def evaluate():
        model.eval()
        with torch.no_grad():
            run()
        synchronise()

    return Passes(train, evaluate)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["train", "evaluate"])
@pytest.mark.parametrize("name", MODELS)
def test_pass(benchmark, name, kind, way):
    definition, shape, *sizes = MODELS[name]
    inputs = np.random.default_rng(0).standard_normal((sizes[ON_GPU], *shape), np.float32)
    if way == "jax":
        passes = in_jax(definition, inputs)
    else:
        passes = in_pytorch(definition, inputs, compiled=way == "pytorch_compiled")
    benchmark.group = f"{name}, {kind}"
    benchmark.pedantic(getattr(passes, kind), rounds=5, warmup_rounds=2)
    benchmark.extra_info["examples_per_s"] = round(len(inputs) / benchmark.stats["min"], 1)
