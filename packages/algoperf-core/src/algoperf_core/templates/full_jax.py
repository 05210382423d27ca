"""Momentum with cosine decay in JAX, every function of the submission API written out."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import optax

from algoperf_core import spec
from algoperf_core.sharding import replicate, replicated


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
    """Called once, before the clock starts; in JAX the state is a pair `(tree of arrays, function)`."""
    del model_state, rng
    schedule = optax.cosine_decay_schedule(hyperparameters.learning_rate, workload.step_hint or 1)
    optimizer = optax.sgd(schedule, momentum=1.0 - hyperparameters.one_minus_beta1)
    # Parameters are whole on every device, and so is what is computed from them.
    return replicate(jax.jit(optimizer.init)(model_params)), training_step(workload, optimizer)


def training_step(workload: spec.Workload, optimizer: Any) -> Callable[..., Any]:
    """Compiles a step; a helper of our own, not a part of the API."""

    def loss_fn(params: Any, model_state: Any, batch: Any, rng: Any) -> Any:
        logits, model_state = workload.model_fn(
            params, batch, model_state, spec.ForwardPassMode.TRAIN, rng, update_batch_norm=True
        )
        loss = workload.loss_fn(
            label_batch=batch["targets"], logits_batch=logits, mask_batch=batch.get("weights")
        )
        return loss["summed"] / loss["n_valid_examples"], model_state

    def step(params: Any, state: Any, model_state: Any, batch: Any, rng: Any) -> Any:
        (loss, model_state), gradient = jax.value_and_grad(loss_fn, has_aux=True)(
            params, model_state, batch, rng
        )
        updates, state = optimizer.update(gradient, state, params)
        return optax.apply_updates(params, updates), state, model_state, loss

    # Donated arguments are overwritten, so that old and new parameters are never both in memory. Batches
    # are split over the devices; jit takes the mean over all of them.
    compiled: Callable[..., Any] = jax.jit(
        step, donate_argnums=(0, 1, 2), out_shardings=replicated()
    )
    return compiled


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
    state, step = optimizer_state
    params, state, model_state, loss = step(current_param_container, state, model_state, batch, rng)
    if workload.metrics_logger is not None and global_step % 100 == 0:
        # Arrays stay on the device until the next evaluation: logging does not wait for them.
        workload.metrics_logger.append_scalar_metrics({"loss": loss}, global_step)
    return (state, step), params, model_state


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
