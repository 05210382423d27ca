"""Every model, made tiny, is the same function in both frameworks, eager, jitted and compiled."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from algoperf_vision.mlp import mlp
from algoperf_vision.resnet import resnet, resnet_variant
from algoperf_vision.unet import unet, unet_variant
from algoperf_vision.vit import vit, vit_variant
from algoperf_workloads.parity import load_flax_variables, torch_arrays
from algoperf_workloads.testing import available_compile_backend

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

RESNET = resnet(stage_sizes=(1, 2), num_classes=5, num_filters=4)
SMALL_RESNET = resnet_variant(RESNET, bottleneck=False, small_images=True, stage_sizes=(1, 1))
VIT = vit(width=16, depth=2, mlp_dim=24, num_heads=2, num_classes=5, patch_size=4)
UNET = unet(num_channels=4, num_pool_layers=2)
# Name: the model, the shape of an input.
MODELS = {
    "resnet": (RESNET, (37, 48, 3)),
    "resnet_silu": (resnet_variant(RESNET, activation="silu"), (32, 32, 3)),
    "resnet_gelu": (resnet_variant(RESNET, activation="gelu"), (32, 36, 3)),
    "cifar": (SMALL_RESNET, (12, 13, 3)),
    "vit": (VIT, (13, 20, 3)),
    "vit_glu": (vit_variant(VIT, use_glu=True), (12, 8, 3)),
    "vit_post_ln": (vit_variant(VIT, use_post_layer_norm=True), (12, 8, 3)),
    "vit_map": (vit_variant(VIT, use_map=True), (12, 8, 3)),
    "fastmri": (UNET, (13, 15)),
    "fastmri_tanh": (unet_variant(UNET, use_tanh=True), (12, 10)),
    "fastmri_layernorm": (unet_variant(UNET, use_layer_norm=True), (12, 10)),
    "mnist": (mlp(input_size=48, num_hidden=8, num_classes=5), (6, 8, 1)),
}
WITH_DROPOUT = [name for name, (model, _) in MODELS.items() if model.dropout_rate is not None]
# For whatever takes long.
SMALLEST = {
    "vit": (vit_variant(VIT, depth=1), (8, 8, 3)),
    "fastmri": (unet_variant(UNET, num_pool_layers=1), (7, 6)),
}
RTOL = 2e-5


@dataclass(frozen=True)
class Case:
    """A model with random parameters and inputs, and what it computes in JAX.

    Gradients are those of the sum of the training outputs times `cotangent`.
    """

    name: str
    definition: Any
    params: Any
    state: Any
    inputs: Any
    cotangent: Any
    evaluated: Any
    trained: Any
    new_state: Any
    gradient: Any

    def torch_model(self):
        model = self.definition.build("pytorch")
        load_flax_variables(model, self.params, self.state, self.definition.module_names)
        return model

    def torch_pass(self, model, rate=0.0):
        """A training pass; returns outputs and gradients by name."""
        model.train()
        outputs = model(torch.from_numpy(self.inputs), **self.definition.dropout_arguments(rate))
        model.zero_grad()
        (outputs * torch.from_numpy(self.cotangent)).sum().backward()
        parameters = model.named_parameters()
        return outputs.detach(), {name: parameter.grad for name, parameter in parameters}


def make_case(name, definition, shape):
    random = np.random.default_rng(7)
    module, dropout = definition.build("jax"), definition.dropout_arguments(0.0)
    inputs = random.standard_normal((3, *shape), np.float32)
    shapes = jax.eval_shape(partial(module.init, train=False, **dropout), jax.random.key(0), inputs)

    def draw(leaf):
        scale = 0.2 if leaf.ndim == 1 else np.prod(leaf.shape[:-1]) ** -0.5
        return (scale * random.standard_normal(leaf.shape)).astype(np.float32)

    variables = jax.tree.map(draw, shapes)
    params = variables.pop("params")
    # Scales are around 1, and variances positive.
    params = jax.tree_util.tree_map_with_path(
        lambda path, leaf: leaf + np.float32(path[-1].key == "scale"), params
    )
    state = jax.tree_util.tree_map_with_path(
        lambda path, leaf: leaf**2 + 0.5 if path[-1].key == "var" else leaf, variables
    )

    def train(params, cotangent):
        outputs, updated = module.apply(
            {"params": params, **state}, inputs, train=True, mutable=list(state), **dropout
        )
        return jnp.vdot(outputs, cotangent), (outputs, updated)

    def compute(params, cotangent):
        evaluated = module.apply({"params": params, **state}, inputs, train=False, **dropout)
        gradient, (trained, updated) = jax.grad(train, has_aux=True)(params, cotangent)
        return evaluated, trained, updated, gradient

    outputs = inputs.shape if definition.output_layer == "Conv_0" else (3, 5)
    cotangent = random.standard_normal(outputs, np.float32)
    # Compiling takes longer than these passes.
    compiled = jax.jit(compute, compiler_options={"xla_backend_optimization_level": 0})
    return Case(name, definition, params, state, inputs, cotangent, *compiled(params, cotangent))


@pytest.fixture(scope="module", params=MODELS)
def case(request):
    return make_case(request.param, *MODELS[request.param])


@pytest.fixture
def fresh_compiler():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def assert_agree(what, found, expected, least_scale=1e-3):
    found, expected = (np.asarray(value) for value in (found, expected))
    assert found.shape == expected.shape, what
    difference = np.abs(found - expected).max()
    assert difference <= RTOL * max(np.abs(expected).max(), least_scale), f"{what}: {difference}"


def assert_gradients_agree(found, expected):
    assert found.keys() == expected.keys()
    # Some gradients are zero but for rounding, such as that of an attention's key bias.
    scale = max(np.abs(array).max() for array in expected.values())
    for name, array in expected.items():
        assert_agree(f"gradient of {name}", found[name], array, scale)


def test_outputs_of_evaluation_agree(case):
    model = case.torch_model().eval()
    with torch.no_grad():
        found = model(torch.from_numpy(case.inputs), **case.definition.dropout_arguments(0.0))
    assert_agree("outputs", found, case.evaluated)
    assert np.std(case.evaluated) > 0.01


def test_training_passes_agree_in_outputs_statistics_and_gradients(case):
    model = case.torch_model()
    outputs, gradient = case.torch_pass(model)
    assert_agree("outputs", outputs, case.trained)
    assert_gradients_agree(gradient, torch_arrays(case.gradient, case.definition.module_names))
    buffers = dict(model.named_buffers())
    for collection in case.new_state.values():
        for name, array in torch_arrays(collection, case.definition.module_names).items():
            assert_agree(name, buffers[name], array)


def test_every_flax_module_with_parameters_has_a_name_in_pytorch_and_no_other(case):
    paths = jax.tree_util.tree_leaves_with_path(case.params)
    modules = {"/".join(key.key for key in path[:-1]) for path, _ in paths}
    assert modules == set(case.definition.module_names)
    assert len(set(case.definition.module_names.values())) == len(modules)


@pytest.mark.usefixtures("fresh_compiler")
def test_training_pass_is_one_graph_that_is_traced_once(case):
    model = case.torch_model()
    reference, gradient = case.torch_pass(case.torch_model())
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    outputs, found = case.torch_pass(compiled)
    assert_agree("compiled outputs", outputs, reference)
    plain = {name.removeprefix("_orig_mod."): grad.clone() for name, grad in found.items()}
    assert_gradients_agree(plain, {name: grad.numpy() for name, grad in gradient.items()})
    with torch._dynamo.config.patch(error_on_recompile=True):
        case.torch_pass(compiled)


@pytest.mark.usefixtures("fresh_compiler")
@pytest.mark.parametrize("name", SMALLEST)
def test_compiled_training_pass_computes_the_same(name):
    case = make_case(name, *SMALLEST[name])
    model = case.torch_model()
    compiled = torch.compile(model, backend=available_compile_backend())
    outputs, found = case.torch_pass(compiled)
    assert_agree("compiled outputs", outputs, case.trained)
    plain = {name.removeprefix("_orig_mod."): grad for name, grad in found.items()}
    assert_gradients_agree(plain, torch_arrays(case.gradient, case.definition.module_names))


def jax_outputs(definition, inputs, variables, rate, train, seed=0):
    module, rngs = definition.build("jax"), {"dropout": jax.random.key(seed)}
    mutable = [name for name in variables if name != "params"] if train else False
    outputs = module.apply(
        variables, inputs, train=train, dropout_rate=rate, rngs=rngs, mutable=mutable
    )
    return outputs[0] if train else outputs


@pytest.mark.parametrize("name", SMALLEST)
def test_jax_takes_a_traced_dropout_rate_and_compiles_once(name):
    case = make_case(name, *SMALLEST[name])
    variables = {"params": case.params, **case.state}
    compiled = jax.jit(partial(jax_outputs, case.definition, case.inputs, variables, train=True))
    dropped = [np.asarray(compiled(rate)) for rate in (0.0, 0.3, 0.6)]
    assert_agree("outputs without dropout", dropped[0], case.trained)
    assert np.abs(dropped[1] - dropped[0]).max() > 1e-3
    assert np.abs(dropped[2] - dropped[1]).max() > 1e-3
    assert compiled._cache_size() == 1


@pytest.mark.parametrize("name", WITH_DROPOUT)
def test_pytorch_drops_at_random_in_training_only(name):
    definition, shape = MODELS[name]
    torch.manual_seed(0)
    model, inputs = definition.build("pytorch"), torch.randn(2, *shape)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    first, second = (model.train()(inputs, dropout_rate=0.5) for _ in range(2))
    assert not torch.allclose(first, second)
    torch.manual_seed(1)
    first = model(inputs, dropout_rate=0.5)
    torch.manual_seed(1)
    torch.testing.assert_close(model(inputs, dropout_rate=0.5), first)
    evaluated = model.eval()(inputs, dropout_rate=0.5)
    torch.testing.assert_close(evaluated, model(inputs, dropout_rate=0.0))
