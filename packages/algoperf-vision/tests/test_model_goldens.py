"""The full-size models compute the published numbers, in both frameworks.

`goldens/` holds figures of the published Flax models on generated parameters; the JSON files say how.
"""

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from algoperf_vision.resnet import (
    IMAGENET_RESNET,
    IMAGENET_RESNET_LARGE_BN_INIT,
    IMAGENET_RESNET_SILU,
)
from algoperf_vision.unet import FASTMRI, FASTMRI_MODEL_SIZE
from algoperf_vision.vit import IMAGENET_VIT
from algoperf_workloads import jax_losses, torch_losses
from algoperf_workloads.parity import load_flax_variables, torch_arrays

GOLDENS = Path(__file__).parent / "goldens"
MODELS = {
    "imagenet_resnet": IMAGENET_RESNET,
    "imagenet_resnet_silu": IMAGENET_RESNET_SILU,
    "imagenet_resnet_large_bn_init": IMAGENET_RESNET_LARGE_BN_INIT,
    "imagenet_vit": IMAGENET_VIT,
    "fastmri": FASTMRI,
    "fastmri_model_size": FASTMRI_MODEL_SIZE,
}
# Batch norms over four examples magnify rounding, and kinks of ReLU more so: in double precision the
# gradient norms of ReLU ResNets differ from the recorded ones, in single precision, by up to 0.0023.
OUTPUT_RTOL, GRADIENT_RTOL, LOSS_RTOL = 1e-4, 1e-3, 1e-5
RELU_RESNET_GRADIENT_RTOL, RELU_RESNET_LOSS_RTOL = 5e-3, 1e-4
RELU_RESNETS = ("imagenet_resnet", "imagenet_resnet_large_bn_init")


class Golden:
    """Recorded figures, generated parameters and batch statistics of a model."""

    def __init__(self, name: str) -> None:
        self.name, self.model = name, MODELS[name]
        self.facts = json.loads((GOLDENS / f"{name}.json").read_text())
        with np.load(GOLDENS / f"{name}.npz") as arrays:
            self.arrays = dict(arrays)
        self.leaves = [path for path, _ in self.facts["leaf_order"]]
        self.params = nested(
            {
                path: draw(self.facts["seed"], index, path, shape)
                for index, (path, shape) in enumerate(self.facts["leaf_order"])
            }
        )

    def state(self, mean, variance):
        order = self.facts.get("batch_stats_order", [])
        values = {"mean": mean, "var": variance}
        statistics = {
            path: np.full(shape, values[path.rpartition("/")[2]], np.float32)
            for path, shape in order
        }
        return {"batch_stats": nested(statistics)} if order else {}


def draw(seed, index, path, shape):
    z = np.random.default_rng([seed, index]).standard_normal(shape).astype(np.float32)
    if path.endswith("/scale"):
        return 1 + np.float32(0.1) * z
    return z / np.float32(np.sqrt(np.prod(shape[:-1]))) if z.ndim > 1 else np.float32(0.1) * z


def nested(flat):
    tree = {}
    for path, value in flat.items():
        *modules, leaf = path.split("/")
        branch = tree
        for module in modules:
            branch = branch.setdefault(module, {})
        branch[leaf] = value
    return tree


def by_path(tree):
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {"/".join(key.key for key in path): np.asarray(leaf) for path, leaf in leaves}


def loss(losses, labels, outputs, mask=None, smoothing=0.0):
    images = outputs.ndim == 3
    published = losses.mean_absolute_error if images else losses.softmax_cross_entropy
    return published(labels, outputs, mask, smoothing)


@dataclass
class Computed:
    """What our model makes of the golden's parameters and inputs; trees are by Flax paths."""

    evaluated: Any
    trained: Any
    gradient: dict[str, Any]
    statistics: dict[str, Any]


def in_jax(golden):
    module, dropout = golden.model.build("jax"), golden.model.dropout_arguments(None)
    inputs, targets = golden.arrays["inputs"], golden.arrays["targets"]

    def train(params):
        state = golden.state(0.0, 1.0)
        outputs, updated = module.apply(
            {"params": params, **state}, inputs, train=True, mutable=list(state), **dropout
        )
        losses = loss(jax_losses, targets, outputs)
        return losses["summed"] / losses["n_valid_examples"], (outputs, updated)

    @jax.jit
    def compute(params):
        variables = {"params": params, **golden.state(0.05, 1.2)}
        evaluated = module.apply(variables, inputs, train=False, **dropout)
        return evaluated, jax.grad(train, has_aux=True)(params)

    evaluated, (gradient, (trained, updated)) = compute(golden.params)
    statistics = by_path(updated.get("batch_stats", {}))
    return Computed(np.asarray(evaluated), np.asarray(trained), by_path(gradient), statistics)


def in_pytorch(golden):
    model, dropout = golden.model.build("pytorch"), golden.model.dropout_arguments(None)
    load = partial(load_flax_variables, model, golden.params)
    inputs, targets = (torch.from_numpy(golden.arrays[key]) for key in ("inputs", "targets"))
    load(golden.state(0.05, 1.2), golden.model.module_names)
    with torch.no_grad():
        evaluated = model.eval()(inputs, **dropout)
    load(golden.state(0.0, 1.0), golden.model.module_names)
    trained = model.train()(inputs, **dropout)
    losses = loss(torch_losses, targets, trained)
    (losses["summed"] / losses["n_valid_examples"]).backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    names, state = golden.model.module_names, golden.state(0.0, 1.0).get("batch_stats", {})

    def renamed(tree, tensors):
        return {
            path: np.asarray(tensors[next(iter(torch_arrays(nested({path: leaf}), names)))])
            for path, leaf in by_path(tree).items()
        }

    return Computed(
        evaluated.numpy(),
        trained.detach().numpy(),
        renamed(golden.params, gradients),
        renamed(state, dict(model.named_buffers())),
    )


@pytest.fixture(scope="module", params=MODELS)
def golden(request):
    return Golden(request.param)


@pytest.fixture(scope="module", params=["jax", "pytorch"])
def computed(request, golden):
    return {"jax": in_jax, "pytorch": in_pytorch}[request.param](golden)


def norm(array):
    return float(np.linalg.norm(np.ravel(array).astype(np.float64)))


def difference(found, expected):
    assert found.shape == expected.shape
    return norm(found - expected) / norm(expected)


def test_parameters_are_generated_as_recorded(golden):
    leaves = by_path(golden.params)
    found = [norm(leaves[path]) for path in golden.leaves]
    np.testing.assert_allclose(found, golden.arrays["param_norms"], rtol=1e-4)


def test_outputs_are_those_recorded(golden, computed):
    assert difference(computed.evaluated, golden.arrays["logits_eval"]) < OUTPUT_RTOL
    assert difference(computed.trained, golden.arrays["logits_train"]) < OUTPUT_RTOL
    if "eval_num_correct" in golden.arrays:
        right = computed.evaluated.argmax(-1) == golden.arrays["targets"]
        assert right.sum() == golden.arrays["eval_num_correct"]


def test_gradients_have_the_norms_recorded(golden, computed):
    rtol = RELU_RESNET_GRADIENT_RTOL if golden.name in RELU_RESNETS else GRADIENT_RTOL
    assert computed.gradient.keys() == set(golden.leaves)
    found = np.array([norm(computed.gradient[path]) for path in golden.leaves])
    expected = golden.arrays["grad_norms"]
    # Softmax does not change when all keys move: gradients of key biases are zero but for rounding.
    zero = np.array([path.endswith("key/bias") for path in golden.leaves])
    assert np.all(found[zero] < 1e-7)
    np.testing.assert_allclose(found[~zero], expected[~zero], rtol=rtol)


def test_new_batch_statistics_have_the_norms_recorded(golden, computed):
    order = [path for path, _ in golden.facts.get("batch_stats_order", [])]
    assert computed.statistics.keys() == set(order)
    found = [norm(computed.statistics[path]) for path in order]
    np.testing.assert_allclose(found, golden.arrays.get("new_batch_stats_norms", []), rtol=1e-4)


def test_losses_of_our_outputs_are_those_recorded(golden, computed):
    arrays = golden.arrays
    rtol = RELU_RESNET_LOSS_RTOL if golden.name in RELU_RESNETS else LOSS_RTOL
    found = loss(jax_losses, arrays["targets"], jnp.asarray(computed.trained))
    masked = loss(jax_losses, arrays["targets"], jnp.asarray(computed.trained), arrays["weights"])
    np.testing.assert_allclose(found["summed"], arrays["loss_summed"], rtol=rtol)
    np.testing.assert_allclose(found["per_example"], arrays["loss_per_example"], rtol=rtol)
    np.testing.assert_allclose(masked["summed"], arrays["loss_summed_masked"], rtol=rtol)
    assert found["n_valid_examples"] == arrays["loss_n_valid_examples"]
    assert masked["n_valid_examples"] == arrays["loss_n_valid_masked"]


@pytest.mark.parametrize(
    ("losses", "tensor"), [(jax_losses, jnp.asarray), (torch_losses, torch.from_numpy)]
)
def test_losses_of_the_recorded_outputs_are_those_recorded(golden, losses, tensor):
    arrays = golden.arrays
    outputs, targets, weights = (
        tensor(arrays[key]) for key in ("logits_train", "targets", "weights")
    )
    for mask, suffix in ((None, ""), (weights, "_masked")):
        found = loss(losses, targets, outputs, mask)
        for key, recorded in (("summed", "loss_summed"), ("per_example", "loss_per_example")):
            np.testing.assert_allclose(found[key], arrays[recorded + suffix], rtol=LOSS_RTOL)
    if "loss_per_example_smoothing01" in arrays:
        smoothed = loss(losses, targets, outputs, smoothing=0.1)["per_example"]
        one_hot = np.eye(1000, dtype=np.float32)[arrays["targets"]]
        mixed = np.float32(0.3) * one_hot + np.float32(0.7) * np.roll(one_hot, 1, axis=0)
        found = loss(losses, tensor(mixed), outputs)["per_example"]
        np.testing.assert_allclose(smoothed, arrays["loss_per_example_smoothing01"], rtol=LOSS_RTOL)
        np.testing.assert_allclose(found, arrays["loss_per_example_mixup03"], rtol=LOSS_RTOL)
