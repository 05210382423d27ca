"""Replaces what belongs to others."""

import sys
import time
from unittest import mock  # caught: patching

import jax
import jax.numpy as jnp
import torch.nn.functional as functional
from torch import nn

from algoperf_core import spec

from .honest import data_selection, get_batch_size, init_optimizer_state, update_params

__all__ = ["data_selection", "get_batch_size", "init_optimizer_state", "update_params"]


def fast(*arguments):
    return arguments


jax.block_until_ready = fast  # caught: patching
time.perf_counter = lambda: 0.0  # caught: patching
nn.Linear.forward = fast  # caught: patching
functional.dropout = fast  # caught: patching
spec.Workload.eval_model = fast  # caught: patching
setattr(jnp, "matmul", fast)  # caught: patching
object.__setattr__(nn.Module, "eval", fast)  # caught: patching
del jax.live_arrays  # caught: patching
sys.modules["optax"] = None  # caught: patching
sys.modules["time"].time = fast  # caught: patching
jnp.__dict__["dot"] = fast  # caught: patching
vars(jax)["jit"] = fast  # caught: patching
mock.patch("time.monotonic").start()  # caught: patching
