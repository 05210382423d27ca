"""Momentum with cosine decay in PyTorch, every function of the submission API written out."""

from collections.abc import Iterator
from typing import Any

import torch

from algoperf_core import spec


def get_batch_size(workload_name: str) -> int:
    """The global batch size; it divides by the number of devices.

    The only place where a submission may look at the workload's name. For a variant, raise `ValueError`
    to be asked for its base workload instead.
    """
    return {"digits": 128}.get(workload_name, 64)


def init_optimizer_state(
    workload: spec.Workload,
    model_params: spec.ParameterContainer,
    model_state: spec.ModelAuxiliaryState,
    hyperparameters: spec.Hyperparameters,
    rng: spec.RandomState,
) -> spec.OptimizerState:
    """Called once, before the clock starts; in PyTorch the state is a dict of objects with `state_dict`.

    `model_params` is the module, and `model_state` None: the module holds batch statistics, too.
    """
    del model_state, rng
    sgd = torch.optim.SGD(
        model_params.parameters(),
        lr=hyperparameters.learning_rate,
        momentum=1.0 - hyperparameters.one_minus_beta1,
    )
    horizon = workload.step_hint or 1
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(sgd, T_max=horizon)
    return {"optimizer": sgd, "scheduler": scheduler}


def data_selection(
    workload: spec.Workload,
    input_queue: Iterator[spec.Batch],
    optimizer_state: spec.OptimizerState,
    model_params: spec.ParameterContainer,
    model_state: spec.ModelAuxiliaryState,
    hyperparameters: spec.Hyperparameters,
    global_step: int,
    rng: spec.RandomState,
) -> spec.Batch:
    """Chooses the batch of a step; on the clock, waiting for data included."""
    del workload, optimizer_state, model_params, model_state, hyperparameters, global_step, rng
    return next(input_queue)


def update_params(
    workload: spec.Workload,
    current_param_container: spec.ParameterContainer,
    current_params_types: spec.ParameterTypeTree,
    model_state: spec.ModelAuxiliaryState,
    hyperparameters: spec.Hyperparameters,
    batch: spec.Batch,
    loss_type: spec.LossType,
    optimizer_state: spec.OptimizerState,
    eval_results: list[tuple[int, dict[str, float]]],
    global_step: int,
    rng: spec.RandomState,
) -> spec.UpdateReturn:
    """One step, on the clock; `global_step` counts from 0, `eval_results` lists the evaluations so far."""
    del current_params_types, hyperparameters, loss_type, eval_results
    loss = loss_of(workload, current_param_container, batch, model_state, rng)
    loss.backward()
    optimizer_state["optimizer"].step()
    optimizer_state["scheduler"].step()
    # Gradients are not needed any more: their memory is free for the next step.
    current_param_container.zero_grad(set_to_none=True)
    if workload.metrics_logger is not None and global_step % 100 == 0:
        # Tensors stay on the device until the next evaluation: logging does not wait for them.
        workload.metrics_logger.append_scalar_metrics({"loss": loss.detach()}, global_step)
    return optimizer_state, current_param_container, model_state


def loss_of(workload: spec.Workload, model: Any, batch: Any, model_state: Any, rng: Any) -> Any:
    """The mean loss of a batch; a helper of our own, not a part of the API."""
    logits, _ = workload.model_fn(
        params=model,
        augmented_and_preprocessed_input_batch=batch,
        model_state=model_state,
        mode=spec.ForwardPassMode.TRAIN,
        rng=rng,
        update_batch_norm=True,
    )
    loss = workload.loss_fn(
        label_batch=batch["targets"], logits_batch=logits, mask_batch=batch.get("weights")
    )
    return loss["summed"] / loss["n_valid_examples"]


def prepare_for_eval(
    workload: spec.Workload,
    current_param_container: spec.ParameterContainer,
    current_params_types: spec.ParameterTypeTree,
    model_state: spec.ModelAuxiliaryState,
    hyperparameters: spec.Hyperparameters,
    loss_type: spec.LossType,
    optimizer_state: spec.OptimizerState,
    eval_results: list[tuple[int, dict[str, float]]],
    global_step: int,
    rng: spec.RandomState,
) -> spec.UpdateReturn:
    """Called before each evaluation, on the clock; may be left out.

    What it returns is evaluated, and is what the next step gets. To evaluate an average, return it and keep
    the parameters that training goes on from in the optimizer state.
    """
    del workload, current_params_types, hyperparameters, loss_type, eval_results, global_step, rng
    return optimizer_state, current_param_container, model_state
