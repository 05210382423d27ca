"""Remembers the name that it is told for the batch size."""

from .honest import data_selection, init_optimizer_state, update_params

__all__ = ["data_selection", "init_optimizer_state", "update_params"]

SEEN = []
CURRENT = ""


def get_batch_size(workload_name):
    global CURRENT
    SEEN.append(workload_name)  # caught: workload-name-kept global-state
    CURRENT = workload_name  # caught: workload-name-kept global-state
    get_batch_size.current = workload_name  # caught: workload-name-kept global-state
    return 64
