"""What a training step and an evaluation pass cost: every full-size model, both frameworks, side by side.

Run with `pytest packages/algoperf-vision/benchmarks/test_model_speed.py`. Extra information:
`examples_per_s`; `tflop_per_s`, the operations of the model's matrix products and convolutions, whichever
way runs them; on a GPU of `PEAKS` also `utilisation`, the share of its peak in float32. Batches are small
on a CPU, where compiling and measuring all of it takes some twenty minutes; choose with `-k`, for example
`-k "vit and train"`. Images have the size they are trained with.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

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
# Dense float32 operations per second without tensor cores, as the models run, by part of the device's name.
PEAKS = {"H100 PCIe": 51e12, "H100": 67e12, "H200": 67e12, "A100": 19.5e12, "V100": 15.7e12}
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


def operations(definition, inputs, kind):
    """Floating-point operations of a pass, a multiplication and an addition as two."""
    model = definition.build("pytorch")
    run = partial(model, torch.from_numpy(inputs), **definition.dropout_arguments(None))
    model.train(kind == "train")
    with (
        FlopCounterMode(display=False) as counter,
        torch.set_grad_enabled(kind == "train"),
        # Fused attention hides its products from the counter.
        sdpa_kernel(SDPBackend.MATH),
    ):
        outputs = run()
        if kind == "train":
            outputs.square().mean().backward()
    return counter.get_total_flops()


def peak_flop_per_s():
    """What the GPU can do at most; None on a CPU and on GPUs that are not known."""
    name = torch.cuda.get_device_name() if ON_GPU else ""
    return next((peak for part, peak in PEAKS.items() if part in name), None)


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
    shortest_s = benchmark.stats["min"]
    rate = operations(definition, inputs[:1], kind) * len(inputs) / shortest_s
    benchmark.extra_info["examples_per_s"] = round(len(inputs) / shortest_s, 1)
    benchmark.extra_info["tflop_per_s"] = round(rate / 1e12, 4)
    if (peak := peak_flop_per_s()) is not None:
        benchmark.extra_info["utilisation"] = round(rate / peak, 3)
