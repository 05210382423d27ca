"""Fingerprints by shapes and numbers of parameters."""

import math

import jax

from .honest import data_selection, get_batch_size, update_params

__all__ = ["data_selection", "get_batch_size", "update_params"]

KNOWN = {25_557_032: 0.4, 161: 0.1}


def count(tree):
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


def init_optimizer_state(workload, model_params, model_state, hyperparameters, rng):
    leaves = jax.tree.leaves(model_params)
    if len(leaves) == 161:  # caught: workload-shapes
        return 1, None
    if count(model_params) == 25_557_032:  # caught: workload-shapes
        return 2, None
    if 20_000_000 < count(model_params) < 30_000_000:  # caught: workload-shapes
        return 3, None
    if count(model_params) > 10 * 1_000_000:  # caught: workload-size
        return 4, None
    if model_params["w"].shape == (2048, 1000):  # caught: workload-shapes
        return 5, None
    if any(leaf.shape[0] in (30_522, 32_000) for leaf in leaves):  # caught: workload-shapes
        return 6, None
    shapes = jax.tree.map(lambda shape: shape.shape_tuple, workload.param_shapes)
    if len(jax.tree.leaves(shapes)) == 102:  # caught: workload-shapes
        return 7, None
    return KNOWN.get(count(model_params), 0.3), None  # caught: workload-shapes
