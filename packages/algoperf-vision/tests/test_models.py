"""Facts of the full-size models: parameters, their types, their initial values, the output layers."""

import json
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import jax
import numpy as np
import pytest
import torch

from algoperf_core.spec import ParameterType as T
from algoperf_scoring import AlgoperfError
from algoperf_vision import mlp, resnet, unet, vit
from algoperf_workloads.parameter_types import jax_parameter_types, torch_parameter_types
from algoperf_workloads.parity import torch_arrays

GOLDENS = Path(__file__).parent / "goldens"
# Name: the model, the shape of an input, the number of parameters, the number of arrays they are in.
MODELS = {
    "imagenet_resnet": (resnet.IMAGENET_RESNET, (64, 64, 3), 25_557_032, 161),
    "imagenet_resnet_silu": (resnet.IMAGENET_RESNET_SILU, (64, 64, 3), 25_557_032, 161),
    "imagenet_resnet_gelu": (resnet.IMAGENET_RESNET_GELU, (64, 64, 3), 25_557_032, 161),
    "imagenet_resnet_large_bn_init": (
        resnet.IMAGENET_RESNET_LARGE_BN_INIT,
        (64, 64, 3),
        25_557_032,
        161,
    ),
    "imagenet_vit": (vit.IMAGENET_VIT, (32, 32, 3), 22_122_472, 200),
    "imagenet_vit_glu": (vit.IMAGENET_VIT_GLU, (32, 32, 3), 50_452_456, 224),
    "imagenet_vit_post_ln": (vit.IMAGENET_VIT_POST_LN, (32, 32, 3), 22_121_704, 198),
    "imagenet_vit_map": (vit.IMAGENET_VIT_MAP, (32, 32, 3), 23_896_552, 215),
    "fastmri": (unet.FASTMRI, (32, 32), 7_756_097, 24),
    "fastmri_model_size": (unet.FASTMRI_MODEL_SIZE, (32, 32), 7_692_929, 19),
    "fastmri_tanh": (unet.FASTMRI_TANH, (32, 32), 7_756_097, 24),
    "fastmri_layernorm": (unet.FASTMRI_LAYERNORM, (32, 32), 7_761_985, 60),
    "mnist": (mlp.MNIST, (28, 28, 1), 101_770, 4),
    "cifar": (resnet.CIFAR, (32, 32, 3), 11_173_962, 62),
}
DENSE, LAYER_NORM = r"(Dense_\d|pre_logits|head)", r"(LayerNorm_\d|encoder_layernorm)"
ATTENTION = r"MultiHeadDotProductAttention_\d"
JAX_TYPES = {
    r"(^|/)(Conv_\w+|conv_patch_extract|ConvTranspose_0)/kernel": T.CONV_WEIGHT,
    r"BatchNorm_\w+/scale": T.BATCH_NORM_SCALE,
    r"BatchNorm_\w+/bias": T.BATCH_NORM_BIAS,
    rf"{LAYER_NORM}/scale": T.LAYER_NORM_SCALE,
    rf"{LAYER_NORM}/bias": T.LAYER_NORM_BIAS,
    rf"{ATTENTION}/query/kernel": T.ATTENTION_Q,
    rf"{ATTENTION}/key/kernel": T.ATTENTION_K,
    rf"{ATTENTION}/value/kernel": T.ATTENTION_V,
    rf"{ATTENTION}/out/kernel": T.ATTENTION_OUT,
    rf"{ATTENTION}/(query|key|value|out)/bias": T.ATTENTION_BIAS,
    rf"{DENSE}/kernel": T.WEIGHT,
    r"MAPHead_0/probe": T.WEIGHT,
    rf"({DENSE}|^Conv_0|conv_patch_extract)/bias": T.BIAS,
}
LINEAR, NORM = (
    r"(fc|head|pre_logits|linear\d|glu_linear|net\.layer\d)",
    r"\.(layer_norm\d?|norm\d|encoder_norm)",
)
PROJECTIONS = r"\.(self_attention1|mha)"
TORCH_TYPES = {
    r"(^|\.)(conv\d?|conv_patch_extract|final_conv)\.weight": T.CONV_WEIGHT,
    r"(^|\.)bn\d?\.weight": T.BATCH_NORM_SCALE,
    r"(^|\.)bn\d?\.bias": T.BATCH_NORM_BIAS,
    rf"(^map)?{NORM}\.weight": T.LAYER_NORM_SCALE,
    rf"(^map)?{NORM}\.bias": T.LAYER_NORM_BIAS,
    rf"{PROJECTIONS}\.query\.weight": T.ATTENTION_Q,
    rf"{PROJECTIONS}\.key\.weight": T.ATTENTION_K,
    rf"{PROJECTIONS}\.value\.weight": T.ATTENTION_V,
    rf"{PROJECTIONS}\.out\.weight": T.ATTENTION_OUT,
    rf"{PROJECTIONS}\.(query|key|value|out)\.bias": T.ATTENTION_BIAS,
    rf"(^|\.){LINEAR}\.weight": T.WEIGHT,
    r"map\.probe": T.WEIGHT,
    rf"(^|\.)({LINEAR}|conv_patch_extract|final_conv)\.bias": T.BIAS,
}
# The beginning of a name: the output layer in both frameworks.
OUTPUT_LAYERS = {
    "imagenet_resnet": ("Dense_0", "fc"),
    "imagenet_vit": ("head", "head"),
    "fastmri": ("Conv_0", "final_conv"),
    "mnist": ("Dense_1", "net.layer2"),
    "cifar": ("Dense_0", "fc"),
}
WRAPPED = ("", "_orig_mod.", "module.", "_orig_mod.module.", "module._orig_mod.")


def initialiser(definition, shape):
    module, dropout = definition.build("jax"), definition.dropout_arguments(None)
    inputs = np.zeros((1, *shape), np.float32)
    return lambda key: module.init(key, inputs, train=False, **dropout)


@cache
def flax_shapes(name):
    """Shapes of the full-size parameters, by path; nothing is computed."""
    definition, shape, *_ = MODELS[name]
    return by_path(jax.eval_shape(initialiser(definition, shape), jax.random.key(0))["params"])


@cache
def meta_model(name):
    with torch.device("meta"):
        return MODELS[name][0].build("pytorch")


def by_path(tree):
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {"/".join(key.key for key in path): leaf for path, leaf in leaves}


def nested(path, leaf):
    for key in reversed(path.split("/")):
        leaf = {key: leaf}
    return leaf


@pytest.mark.parametrize("name", MODELS)
def test_models_have_the_published_numbers_of_parameters(name):
    _, _, size, arrays = MODELS[name]
    flax, model = flax_shapes(name), meta_model(name)
    assert sum(leaf.size for leaf in flax.values()) == size
    assert sum(parameter.numel() for parameter in model.parameters()) == size
    assert len(flax) == len(list(model.parameters())) == arrays


@pytest.mark.parametrize("name", MODELS)
def test_every_full_size_parameter_has_its_shape_in_pytorch(name):
    found = {}
    for path, leaf in flax_shapes(name).items():
        empty = np.broadcast_to(np.float32(0), leaf.shape)
        found |= torch_arrays(nested(path, empty), MODELS[name][0].module_names)
    expected = {key: tuple(leaf.shape) for key, leaf in meta_model(name).named_parameters()}
    assert {key: array.shape for key, array in found.items()} == expected


def assert_types(types, patterns):
    for path, kind in types.items():
        expected = {
            expected for pattern, expected in patterns.items() if re.search(rf"{pattern}$", path)
        }
        assert expected == {kind}, path


@pytest.mark.parametrize("name", MODELS)
def test_every_parameter_has_its_type(name):
    params = {}
    for path, leaf in flax_shapes(name).items():
        params[path] = by_path(jax_parameter_types(nested(path, leaf)))[path]
    assert_types(params, JAX_TYPES)
    names = [name for name, _ in meta_model(name).named_parameters()]
    assert_types(torch_parameter_types(names), TORCH_TYPES)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("prefix", WRAPPED)
def test_the_output_layer_is_known_wrapped_or_not(name, prefix):
    definition = MODELS[name][0]
    ((flax, layer),) = (layers for start, layers in OUTPUT_LAYERS.items() if name.startswith(start))
    names = [prefix + name for name, _ in meta_model(name).named_parameters()]
    output = {key for key in names if definition.is_output_parameter("pytorch", key)}
    assert output == {f"{prefix}{layer}.{leaf}" for leaf in ("weight", "bias")}
    top_level = {path.split("/")[0] for path in flax_shapes(name)}
    assert {key for key in top_level if definition.is_output_parameter("jax", key)} == {flax}


@pytest.mark.parametrize(
    ("variant", "base"),
    [
        (resnet.IMAGENET_RESNET_SILU, resnet.IMAGENET_RESNET),
        (vit.IMAGENET_VIT_MAP, vit.IMAGENET_VIT),
        (unet.FASTMRI_MODEL_SIZE, unet.FASTMRI),
    ],
)
def test_a_variant_is_its_base_with_other_options(variant, base):
    changes = {"options": base.options, "module_names": base.module_names}
    assert replace(variant, **changes) == base
    assert variant.options != base.options


# A block of each kind at full width, with all that variants add.
INITIALISED = {
    "resnet": (
        resnet.resnet_variant(resnet.IMAGENET_RESNET, stage_sizes=(1, 1), bn_init_scale=8.0),
        (32, 32, 3),
    ),
    "cifar": (resnet.resnet_variant(resnet.CIFAR, stage_sizes=(1, 1)), (8, 8, 3)),
    "vit": (vit.vit_variant(vit.IMAGENET_VIT, depth=1, use_glu=True, use_map=True), (16, 16, 3)),
    "fastmri": (unet.unet_variant(unet.FASTMRI, num_pool_layers=2, use_layer_norm=True), (8, 8)),
    "mnist": (mlp.MNIST, (28, 28, 1)),
}


def expected_values(path, shape, options):
    """Mean, standard deviation and bound of the initial values of a leaf."""
    module, _, leaf = path.rpartition("/")
    if leaf == "scale":
        last = "Block_" in path and module.endswith(
            f"BatchNorm_{2 if options.get('bottleneck') else 1}"
        )
        return (options["bn_init_scale"] if last else 1.0), 0.0, np.inf
    if leaf == "bias":
        return 0.0, (1e-6 if "MlpBlock" in path else 0.0), np.inf
    if module == "head":
        return 0.0, 0.0, 0.0
    if module == "Dense_0" and "bn_init_scale" in options:
        return 0.0, 0.01, np.inf
    if "Attention" in path or "MlpBlock" in path or leaf == "probe":
        # Heads are axes of their own: fans are those of the matrix.
        outputs = shape[-1] if "/out/" in path or len(shape) == 2 else int(np.prod(shape[1:]))
        limit = (6 / (np.prod(shape) / outputs + outputs)) ** 0.5
        return 0.0, limit / 3**0.5, limit
    std = np.prod(shape[:-1]) ** -0.5
    return 0.0, std, 2 * std / 0.87962566103423978


def initial_values(framework, definition, shape):
    """Freshly drawn parameters by Flax path, flattened, and their Flax shapes."""
    initialise = initialiser(definition, shape)
    shapes = by_path(jax.eval_shape(initialise, jax.random.key(0))["params"])
    if framework == "jax":
        options = {"xla_backend_optimization_level": 0}
        params = jax.jit(initialise, compiler_options=options)(jax.random.key(3))["params"]
        values = by_path(params)
    else:
        torch.manual_seed(3)
        parameters = dict(definition.build("pytorch").named_parameters())
        values = {}
        for path, leaf in shapes.items():
            (name,) = torch_arrays(nested(path, np.empty(leaf.shape)), definition.module_names)
            values[path] = parameters[name].detach()
    return {path: np.ravel(values[path]).astype(np.float64) for path in shapes}, shapes


@pytest.mark.parametrize("framework", ["jax", "pytorch"])
@pytest.mark.parametrize("name", INITIALISED)
def test_initial_values_have_their_distribution(name, framework):
    definition, shape = INITIALISED[name]
    values, shapes = initial_values(framework, definition, shape)
    for path, found in values.items():
        mean, std, bound = expected_values(path, shapes[path].shape, definition.options)
        deviations = 5 / found.size**0.5
        assert found.mean() == pytest.approx(mean, abs=deviations * std + 1e-7), path
        assert found.std() == pytest.approx(std, rel=deviations, abs=1e-9), path
        assert np.abs(found).max() <= bound * (1 + 1e-6), path
        if np.isfinite(bound) and found.size > 1000:
            assert np.abs(found).max() >= 0.95 * bound, path


@pytest.mark.parametrize("framework", ["jax", "pytorch"])
@pytest.mark.parametrize("name", ["imagenet_resnet_large_bn_init", "imagenet_vit", "fastmri"])
def test_initial_values_are_distributed_as_the_published(name, framework):
    facts = json.loads((GOLDENS / f"{name}.json").read_text())
    with np.load(GOLDENS / f"{name}.npz") as arrays:
        recorded = {key: arrays[f"init_{key}"] for key in ("mean", "std", "min", "max")}
    values, _ = initial_values(framework, *MODELS[name][:2])
    assert values.keys() == {path for path, _ in facts["leaf_order"]}
    for index, (path, _) in enumerate(facts["leaf_order"]):
        found = values[path]
        mean, std, least, most = (float(recorded[key][index]) for key in recorded)
        deviations = 7 / found.size**0.5  # of two draws
        assert found.mean() == pytest.approx(mean, abs=deviations * std + 1e-7), path
        assert found.std() == pytest.approx(std, rel=deviations, abs=1e-9), path
        if found.size > 5000:
            assert found.min() == pytest.approx(least, rel=0.25), path
            assert found.max() == pytest.approx(most, rel=0.25), path


def test_an_unknown_activation_is_named():
    with pytest.raises(AlgoperfError, match="unknown activation 'sulu': did you mean 'silu'"):
        resnet.resnet_variant(resnet.CIFAR, activation="sulu")


@pytest.mark.parametrize(("width", "num_heads"), [(4, 1), (18, 2), (24, 5)])
def test_a_width_that_fits_no_positions_or_heads_is_refused(width, num_heads):
    with pytest.raises(AlgoperfError, match=f"width {width} with {num_heads} heads"):
        vit.vit_variant(vit.IMAGENET_VIT, width=width, num_heads=num_heads)


@pytest.mark.parametrize("channels", [8, 384])
def test_position_embeddings_are_the_same_and_separate_all_positions(channels):
    from algoperf_vision import vit_jax, vit_torch

    ours = vit_jax.position_embedding(3, 5, channels)
    np.testing.assert_allclose(vit_torch.position_embedding(3, 5, channels), ours, atol=1e-5)
    quarter = channels // 4
    # Token (row 2, column 1): its column first, then its row; the first frequency is 1.
    token = ours[2 * 5 + 1]
    np.testing.assert_allclose(
        token[::quarter], np.array([np.sin(1), np.cos(1), np.sin(2), np.cos(2)]), rtol=1e-5
    )
    assert len(np.unique(ours.round(4), axis=0)) == 15
