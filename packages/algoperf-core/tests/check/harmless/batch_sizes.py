"""The batch size may depend on the workload's name, in any way; the name may be logged."""

import logging

from .honest import data_selection, update_params
from .sizes import size_of

__all__ = ["data_selection", "update_params"]


def get_batch_size(workload_name):
    match workload_name:
        case "criteo1tb":
            return 262_144
    if "librispeech" in workload_name:
        return 256
    return size_of(workload_name)


def get_eval_batch_size(workload_name):
    return 2 * get_batch_size(workload_name)


def init_optimizer_state(workload, model_params, model_state, hyperparameters, rng):
    logging.info("training %s", workload.name)
    print(f"{workload.name}: {workload.step_hint} steps")
    return {}, None
