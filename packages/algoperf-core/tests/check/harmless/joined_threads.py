"""Threads that are over before the function returns want a look, no more."""

import threading
from concurrent.futures import ThreadPoolExecutor

from .honest import data_selection, get_batch_size, update_params

__all__ = ["data_selection", "get_batch_size", "update_params"]


def init_optimizer_state(workload, model_params, model_state, hyperparameters, rng):
    with ThreadPoolExecutor(2) as pool:  # caught: threads
        results = list(pool.map(abs, [1, 2]))
    thread = threading.Thread(target=print)  # caught: threads
    thread.start()
    thread.join()
    return results, None
