"""Makes code while it runs, keeps state in globals, seeds the world."""

import importlib
import random
import sys

import numpy as np
import torch

from .honest import data_selection, get_batch_size, update_params

__all__ = ["data_selection", "get_batch_size", "update_params"]

MEMORY = {}


def init_optimizer_state(workload, model_params, model_state, hyperparameters, rng):
    exec("x = 1")  # caught: dynamic-code
    eval("1 + 1")  # caught: dynamic-code
    module = importlib.import_module("os")  # caught: dynamic-code
    module.environ["A"] = "1"  # caught: environment-write
    sys.path.insert(0, ".")  # caught: dynamic-code
    MEMORY["last"] = model_params  # caught: global-state
    torch.manual_seed(0)  # caught: random-state
    np.random.seed(0)  # caught: random-state
    random.seed(0)  # caught: random-state
    return {}, None
