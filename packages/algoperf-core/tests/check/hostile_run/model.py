"""Changes the module, seeds the world, and crashes in the end."""

import torch

from algoperf_core import from_torch


def optimizer(parameters, hyperparameters, step_hint):
    return torch.optim.SGD(parameters, 0.01)


inner = from_torch(optimizer, batch_size=64)
get_batch_size = inner.get_batch_size
data_selection = inner.data_selection


def init_optimizer_state(workload, model_params, model_state, hyperparameters, rng):  # seen: fixed-functions model-hooks random-state
    state = inner.init_optimizer_state(workload, model_params, model_state, hyperparameters, rng)
    setattr(model_params, "".join(["for", "ward"]), model_params.forward)
    getattr(model_params, "register_" + "forward_hook")(lambda *arguments: None)
    getattr(torch, "manual" + "_seed")(1)
    return state


def update_params(**keywords):
    if keywords["global_step"] == 5:
        raise RuntimeError("out of ideas")  # seen: run-failed
    return inner.update_params(**keywords)
