"""Fingerprints of modules and batches."""

import torch

from .honest import data_selection, get_batch_size, init_optimizer_state

__all__ = ["data_selection", "get_batch_size", "init_optimizer_state"]


def update_params(
    workload,
    current_param_container,
    current_params_types,
    model_state,
    hyperparameters,
    batch,
    loss_type,
    optimizer_state,
    eval_results,
    global_step,
    rng,
):
    parameters = list(current_param_container.parameters())
    if sum(p.numel() for p in parameters) == 11_000_000:  # caught: workload-shapes
        torch.relu(parameters[0])
    if batch["inputs"].shape[0] == 1024:  # caught: workload-shapes
        torch.relu(parameters[0])
    if "inputs_position" in batch:  # caught: workload-data
        torch.relu(parameters[0])
    if parameters[0].size(0) != 512:  # caught: workload-shapes
        torch.relu(parameters[0])
    return optimizer_state, current_param_container, model_state
