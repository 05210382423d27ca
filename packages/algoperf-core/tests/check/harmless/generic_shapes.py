"""Shapes, types and sizes used generically, as preconditioners and per-layer rules do."""

import math

import jax

from algoperf_core.spec import ParameterType

from .honest import data_selection, get_batch_size, update_params

__all__ = ["data_selection", "get_batch_size", "update_params"]

LARGEST_DIMENSION = 10_000


def precondition(leaf):
    assert leaf.shape[0] != 1024, "blocks are padded"
    if leaf.ndim == 2 and max(leaf.shape) <= LARGEST_DIMENSION:
        return leaf @ leaf.T
    if len(leaf.shape) == 4 or leaf.shape == ():
        return leaf.reshape(leaf.shape[0], -1)
    if leaf.size < 4096 or leaf.shape[0] == leaf.shape[1]:
        return leaf
    return leaf / math.sqrt(math.prod(leaf.shape))


def init_optimizer_state(workload, model_params, model_state, hyperparameters, rng):
    types = workload.model_params_types
    decayed = jax.tree.map(lambda kind: kind is ParameterType.WEIGHT, types)
    zeros = jax.tree.map(lambda s: jax.numpy.zeros(s.shape_tuple), workload.param_shapes)
    leaves = jax.tree.leaves(model_params)
    mean_size = sum(leaf.size for leaf in leaves) / len(leaves)
    factor = [precondition(leaf) for leaf in leaves if leaf.size > mean_size]
    if len(factor) > 1 and model_state is not None:
        factor = factor[:1]
    return (zeros, decayed, factor), None
