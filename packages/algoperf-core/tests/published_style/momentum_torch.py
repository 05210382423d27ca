"""A submission in the older published style, in PyTorch: a dict as state, keywords throughout."""

import torch
from algorithmic_efficiency import spec
from algorithmic_efficiency.pytorch_utils import pytorch_setup

USE_PYTORCH_DDP = pytorch_setup()[0]


def get_batch_size(workload_name):
    return {"toy": 64}[workload_name]


def init_optimizer_state(
    workload: spec.Workload,
    model_params: spec.ParameterContainer,
    model_state: spec.ModelAuxiliaryState,
    hyperparameters: spec.Hyperparameters,
    rng: spec.RandomState,
) -> spec.OptimizerState:
    sgd = torch.optim.SGD(model_params.parameters(), hyperparameters.learning_rate, momentum=0.9)
    return {"optimizer": sgd, "steps": 0}


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
) -> spec.UpdateReturn:
    assert not USE_PYTORCH_DDP
    optimizer_state["optimizer"].zero_grad()
    logits, new_model_state = workload.model_fn(
        params=current_param_container,
        augmented_and_preprocessed_input_batch=batch,
        model_state=model_state,
        mode=spec.ForwardPassMode.TRAIN,
        rng=rng,
        update_batch_norm=True,
    )
    loss = workload.loss_fn(label_batch=batch["targets"], logits_batch=logits)
    (loss["summed"] / loss["n_valid_examples"]).backward()
    optimizer_state["optimizer"].step()
    optimizer_state["steps"] += 1
    return optimizer_state, current_param_container, new_model_state


def data_selection(
    workload,
    input_queue,
    optimizer_state,
    model_params,
    model_state,
    hyperparameters,
    global_step,
    rng,
):
    return next(input_queue)
