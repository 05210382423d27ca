"""Trains on a thread that nobody joins, started behind names that no reader can follow."""

import math
import threading

from .honest import data_selection, get_batch_size, update_params

__all__ = ["data_selection", "get_batch_size", "update_params"]


def train_on():
    while True:
        math.factorial(2000)


def init_optimizer_state(workload, model_params, model_state, hyperparameters, rng):
    from .honest import init_optimizer_state

    kind = getattr(threading, "".join(["Th", "read"]))
    kind(target=train_on).start()  # seen: paused-work
    return init_optimizer_state(workload, model_params, model_state, hyperparameters, rng)
