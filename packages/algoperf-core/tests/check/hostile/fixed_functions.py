"""Replaces functions and facts of the workload."""

from .honest import data_selection, get_batch_size, update_params

__all__ = ["data_selection", "get_batch_size", "update_params"]


def easy(*arguments, **keywords):
    return {"validation/loss": 0.0}


def init_optimizer_state(workload, model_params, model_state, hyperparameters, rng):
    workload.eval_model = easy  # caught: fixed-functions
    setattr(workload, "loss_fn", easy)  # caught: fixed-functions
    object.__setattr__(workload.goal, "validation_target", 100.0)  # caught: fixed-functions
    type(workload).model_fn = easy  # caught: patching
    model_params.forward = easy  # caught: fixed-functions
    for part in model_params.modules():
        part.register_forward_hook(easy)  # caught: model-hooks
    return {}, None
