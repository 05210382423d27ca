"""Types of parameters by their names, right for every leaf of models in use."""

import jax
import numpy as np
import pytest
from flax.core import FrozenDict

from algoperf_core.spec import ParameterType as T
from algoperf_core.spec import ShapeTuple
from algoperf_workloads.parameter_types import (
    ParameterRule,
    jax_parameter_shapes,
    jax_parameter_types,
    parameter_type,
    torch_parameter_types,
)

JAX_PATHS = {
    "Conv_init/kernel": T.CONV_WEIGHT,
    "Conv_0/bias": T.BIAS,
    "BatchNorm_init/scale": T.BATCH_NORM_SCALE,
    "BottleneckResNetBlock_3/BatchNorm_2/bias": T.BATCH_NORM_BIAS,
    "BottleneckResNetBlock_3/BatchNorm_proj/scale": T.BATCH_NORM_SCALE,
    "BottleneckResNetBlock_3/Conv_proj/kernel": T.CONV_WEIGHT,
    "Dense_0/kernel": T.WEIGHT,
    "Dense_0/bias": T.BIAS,
    "conv_patch_extract/kernel": T.CONV_WEIGHT,
    "Transformer/encoderblock_0/LayerNorm_0/scale": T.LAYER_NORM_SCALE,
    "Transformer/encoder_layernorm/bias": T.LAYER_NORM_BIAS,
    "Transformer/encoderblock_0/MultiHeadDotProductAttention_1/query/kernel": T.ATTENTION_Q,
    "Transformer/encoderblock_0/MultiHeadDotProductAttention_1/key/kernel": T.ATTENTION_K,
    "Transformer/encoderblock_0/MultiHeadDotProductAttention_1/value/kernel": T.ATTENTION_V,
    "Transformer/encoderblock_0/MultiHeadDotProductAttention_1/out/kernel": T.ATTENTION_OUT,
    "Transformer/encoderblock_0/MultiHeadDotProductAttention_1/query/bias": T.ATTENTION_BIAS,
    "Transformer/encoderblock_0/MlpBlock_3/Dense_0/kernel": T.WEIGHT,
    "MAPHead_0/probe": T.WEIGHT,
    "shared_embedding/embedding": T.EMBEDDING,
    "embedding_table": T.EMBEDDING,
    "bag_embedding/kernel": T.EMBEDDING,
    "embed/bias": T.BIAS,
    "ConvBlock_0/Dense_0/kernel": T.WEIGHT,
    "ConvolutionBlock_0/LayerNorm_0/scale": T.LAYER_NORM_SCALE,
    "conformer_block_0/self_attention/LayerNorm_0/scale": T.LAYER_NORM_SCALE,
    "self_attention/dense/kernel": T.WEIGHT,
    "attention/in_proj_weight": T.ATTENTION_QKV,
    "self_attention/scale": T.WEIGHT,
    "vulnerable/Dense_0/kernel": T.WEIGHT,
    "logits": T.WEIGHT,
    "bias": T.BIAS,
}
TORCH_NAMES = {
    "conv1.weight": T.CONV_WEIGHT,
    "bn1.weight": T.BATCH_NORM_SCALE,
    "layer1.0.bn2.bias": T.BATCH_NORM_BIAS,
    "layer2.0.downsample.conv.weight": T.CONV_WEIGHT,
    "layer2.0.downsample.bn.weight": T.BATCH_NORM_SCALE,
    "fc.weight": T.WEIGHT,
    "fc.bias": T.BIAS,
    "encoder.net.0.layer_norm0.weight": T.LAYER_NORM_SCALE,
    "encoder.encoder_norm.bias": T.LAYER_NORM_BIAS,
    "encoder.net.0.self_attention1.query.weight": T.ATTENTION_Q,
    "encoder.net.0.self_attention1.key.weight": T.ATTENTION_K,
    "encoder.net.0.self_attention1.value.bias": T.ATTENTION_BIAS,
    "encoder.net.0.self_attention1.out.weight": T.ATTENTION_OUT,
    "encoder.net.0.mlp3.linear1.weight": T.WEIGHT,
    "map.mha.q_proj.weight": T.ATTENTION_Q,
    "map.mha.kv_proj.weight": T.ATTENTION_KV,
    "map.mha.out_proj.weight": T.ATTENTION_OUT,
    "decoder.attn.in_proj_weight": T.ATTENTION_QKV,
    "decoder.attn.out_proj.bias": T.ATTENTION_BIAS,
    "decoder.attn.q_proj.weight": T.ATTENTION_Q,
    "decoder.attn.k_proj.weight": T.ATTENTION_K,
    "decoder.attn.v_proj.weight": T.ATTENTION_V,
    "shared_embedding.weight": T.EMBEDDING,
    "blocks.1.conv.weight": T.CONV_WEIGHT,
    "blocks.1.bn.weight": T.BATCH_NORM_SCALE,
    "_orig_mod.module.ln.weight": T.LAYER_NORM_SCALE,
}


@pytest.mark.parametrize(("path", "kind"), JAX_PATHS.items())
def test_flax_paths_have_their_type(path, kind):
    assert parameter_type(tuple(path.split("/"))) is kind


@pytest.mark.parametrize(("name", "kind"), TORCH_NAMES.items())
def test_pytorch_names_have_their_type(name, kind):
    assert torch_parameter_types([name]) == {name: kind}


@pytest.mark.parametrize("path", ["BatchNorm_0/kernel", "LayerNorm_0/gamma", "bn1/mean"])
def test_a_norm_has_only_scale_and_bias(path):
    with pytest.raises(ValueError, match="inside a norm"):
        parameter_type(tuple(path.split("/")))


def test_a_workload_may_state_exceptions_and_the_first_counts():
    rules = (ParameterRule(r"probe$", T.EMBEDDING), ParameterRule(r"MAP", T.BIAS))
    assert parameter_type(("MAPHead_0", "probe"), rules) is T.EMBEDDING
    assert parameter_type(("MAPHead_0", "Dense_0", "kernel"), rules) is T.BIAS
    assert parameter_type(("Dense_0", "kernel"), rules) is T.WEIGHT


@pytest.mark.parametrize("wrap", [dict, FrozenDict])
def test_trees_have_the_structure_and_the_spelling_of_the_parameters(wrap):
    params = wrap({"Conv_0": {"kernel": np.zeros((3, 3, 1, 2))}, "Dense_0": {"bias": np.zeros(4)}})
    types, shapes = jax_parameter_types(params), jax_parameter_shapes(params)
    assert types == {"Conv_0": {"kernel": T.CONV_WEIGHT}, "Dense_0": {"bias": T.BIAS}}
    assert shapes == {
        "Conv_0": {"kernel": ShapeTuple((3, 3, 1, 2))},
        "Dense_0": {"bias": ShapeTuple((4,))},
    }


def test_a_shape_is_a_leaf_of_its_tree():
    params = {"Dense_0": {"kernel": np.zeros((3, 4)), "bias": np.zeros(4)}}
    shapes = jax_parameter_shapes(params)
    assert jax.tree.structure(shapes) == jax.tree.structure(params)
