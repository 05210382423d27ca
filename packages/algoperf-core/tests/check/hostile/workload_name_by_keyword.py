"""Takes the keywords of update_params as they come."""

from .honest import data_selection, get_batch_size, init_optimizer_state

__all__ = ["data_selection", "get_batch_size", "init_optimizer_state"]


def update_params(**everything):
    workload = everything["workload"]
    if workload.name == "toy":  # caught: workload-name
        everything["global_step"] += 1
    if everything.get("workload").goal.variant_of == "wmt":  # caught: workload-name
        everything["global_step"] += 1
    return everything["optimizer_state"], everything["current_param_container"], None
