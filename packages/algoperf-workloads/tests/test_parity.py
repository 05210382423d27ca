"""Flax variables under the names and in the layout of PyTorch."""

import flax.linen
import jax
import numpy as np
import pytest
import torch

from algoperf_workloads.parity import load_flax_variables, torch_arrays
from algoperf_workloads.torch_layers import MultiHeadAttention

PARAMS = {
    "Conv_0": {"kernel": np.arange(3 * 2 * 4 * 5.0).reshape(3, 2, 4, 5), "bias": np.arange(5.0)},
    "Block_0": {"Dense_0": {"kernel": np.arange(6.0).reshape(2, 3)}},
    "BatchNorm_0": {"scale": np.ones(5), "bias": np.zeros(5)},
    "Embed_0": {"embedding": np.arange(8.0).reshape(4, 2)},
}
NAMES = {"Conv_0": "conv", "Block_0/Dense_0": "block.fc", "BatchNorm_0": "bn", "Embed_0": "table"}


def test_axes_and_names_are_those_of_pytorch():
    arrays = torch_arrays(PARAMS, NAMES)
    assert {name: array.shape for name, array in arrays.items()} == {
        "conv.weight": (5, 4, 3, 2),
        "conv.bias": (5,),
        "block.fc.weight": (3, 2),
        "bn.weight": (5,),
        "bn.bias": (5,),
        "table.weight": (4, 2),
    }
    assert arrays["conv.weight"][1, 2, 0, 1] == PARAMS["Conv_0"]["kernel"][0, 1, 2, 1]
    assert arrays["block.fc.weight"][2, 1] == PARAMS["Block_0"]["Dense_0"]["kernel"][1, 2]


def test_heads_of_attention_are_joined_as_flax_computes_them():
    random = np.random.default_rng(0)
    layer = flax.linen.MultiHeadDotProductAttention(2)
    queries, context = (random.standard_normal((3, size, 8), np.float32) for size in (4, 5))
    mask = random.random((3, 1, 4, 5)) < 0.7
    variables = layer.init(jax.random.key(0), queries, context)
    params = jax.tree.map(
        lambda leaf: leaf + random.standard_normal(leaf.shape, np.float32), variables["params"]
    )
    module = MultiHeadAttention(8, 2)
    path = "Block_0/MultiHeadDotProductAttention_0"
    projections = ("query", "key", "value", "out")
    names = {f"{path}/{projection}": projection for projection in projections}
    tree = {"Block_0": {"MultiHeadDotProductAttention_0": params}}
    load_flax_variables(module, tree, None, names)
    for masked in (None, mask):
        expected = layer.apply({"params": params}, queries, context, mask=masked)
        tensors = (
            None if array is None else torch.from_numpy(array)
            for array in (queries, context, masked)
        )
        np.testing.assert_allclose(module(*tensors).detach(), expected, rtol=1e-4, atol=1e-5)


def test_windows_of_transposed_convolutions_are_flipped():
    layer = flax.linen.ConvTranspose(4, (2, 3), strides=(2, 3), use_bias=False)
    images = np.random.default_rng(0).standard_normal((2, 5, 4, 3), np.float32)
    params = layer.init(jax.random.key(0), images)["params"]
    module = torch.nn.ModuleDict({"up": torch.nn.ConvTranspose2d(3, 4, (2, 3), (2, 3), bias=False)})
    load_flax_variables(module, {"ConvTranspose_0": params}, None, {"ConvTranspose_0": "up"})
    found = module["up"](torch.from_numpy(images).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    expected = layer.apply({"params": params}, images)
    np.testing.assert_allclose(found.detach(), expected, rtol=1e-5, atol=1e-5)


def test_one_dimensional_convolutions_are_no_attention():
    params = {"Attention_0": {"Conv_0": {"kernel": np.arange(24.0).reshape(2, 3, 4)}}}
    (array,) = torch_arrays(params, {"Attention_0/Conv_0": "conv"}).values()
    np.testing.assert_array_equal(
        array, params["Attention_0"]["Conv_0"]["kernel"].transpose(2, 1, 0)
    )


def test_batch_statistics_become_buffers():
    arrays = torch_arrays({"BatchNorm_0": {"mean": np.ones(2), "var": np.zeros(2)}}, NAMES)
    assert arrays.keys() == {"bn.running_mean", "bn.running_var"}


def test_a_module_without_a_name_is_reported():
    with pytest.raises(ValueError, match="'Conv_1' has parameters but no PyTorch name"):
        torch_arrays({"Conv_1": {"bias": np.zeros(1)}}, NAMES)


def test_a_leaf_of_unknown_kind_is_reported():
    with pytest.raises(ValueError, match=r"'Conv_0/probe' with shape \(1, 2\)"):
        torch_arrays({"Conv_0": {"probe": np.zeros((1, 2))}}, NAMES)


def test_variables_are_copied_into_a_module():
    model = torch.nn.Linear(2, 3)
    params = {"Dense_0": {"kernel": np.arange(6.0).reshape(2, 3), "bias": np.ones(3)}}
    load_flax_variables(torch.nn.ModuleDict({"fc": model}), params, None, {"Dense_0": "fc"})
    output = model(torch.tensor([[1.0, 10.0]]))
    np.testing.assert_allclose(
        output.detach(), np.array([[1.0, 10.0]]) @ params["Dense_0"]["kernel"] + 1
    )


def test_missing_and_misshapen_parameters_are_reported():
    model = torch.nn.ModuleDict({"fc": torch.nn.Linear(2, 3)})
    kernel = {"kernel": np.zeros((2, 3))}
    with pytest.raises(ValueError, match=r"only in PyTorch: \['fc.bias'\]"):
        load_flax_variables(model, {"Dense_0": kernel}, None, {"Dense_0": "fc"})
    with pytest.raises(ValueError, match=r"fc.bias: Flax \(4,\), PyTorch \(3,\)"):
        load_flax_variables(
            model, {"Dense_0": {**kernel, "bias": np.zeros(4)}}, None, {"Dense_0": "fc"}
        )
