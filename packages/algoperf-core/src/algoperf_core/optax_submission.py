"""A complete JAX submission out of an Optax optimizer.

def optimizer(hyperparameters, step_hint):
    schedule = optax.cosine_decay_schedule(hyperparameters.learning_rate, step_hint)
    return optax.adamw(schedule, weight_decay=hyperparameters.weight_decay)

submission = from_optax(optimizer, batch_size=128)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from algoperf_core.batch_sizes import BatchSize, batch_size_function
from algoperf_core.sharding import replicate, replicated
from algoperf_core.spec import ForwardPassMode, Hyperparameters, UpdateReturn, Workload
from algoperf_core.submission import Submission

LOG_EVERY_STEPS = 100


def from_optax(
    make_optimizer: Callable[[Hyperparameters, int], optax.GradientTransformation],
    *,
    batch_size: BatchSize,
) -> Submission:
    """Makes a submission that trains with an Optax optimizer.

    The loss is the workload's `summed / n_valid_examples` over the global batch. The hyperparameters
    `label_smoothing`, `dropout_rate` and `grad_clip` (largest global L2 norm of the gradient) are used
    where the search space has them.

    Args:
        make_optimizer: `(hyperparameters, step_hint) -> optax.GradientTransformation`.
        batch_size: Global batch size: a number, a table by workload name, or a function of the name.
    """

    def init_optimizer_state(
        workload: Workload, model_params: Any, model_state: Any, hyperparameters: Any, rng: Any
    ) -> Any:
        del model_state, rng
        optimizer = make_optimizer(hyperparameters, workload.step_hint or 0)
        clip = getattr(hyperparameters, "grad_clip", None)
        if clip is not None:
            optimizer = optax.chain(clip_by_global_norm(clip), optimizer)
        state = replicate(jax.jit(optimizer.init)(model_params))
        return state, _training_step(workload, optimizer, hyperparameters)

    return Submission(
        framework="jax",
        get_batch_size=batch_size_function(batch_size),
        init_optimizer_state=init_optimizer_state,
        update_params=_update_params,
    )


def clip_by_global_norm(max_norm: float) -> optax.GradientTransformation:
    """Scales gradients by `clamp(max_norm / (norm + 1e-6), 0, 1)`, the rule PyTorch uses too."""

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        del params
        factor = jnp.clip(max_norm / (optax.tree.norm(updates) + 1e-6), 0.0, 1.0)
        return jax.tree.map(lambda gradient: gradient * factor, updates), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def _training_step(workload: Workload, optimizer: Any, hyperparameters: Any) -> Callable[..., Any]:
    label_smoothing = getattr(hyperparameters, "label_smoothing", 0.0)
    dropout_rate = getattr(hyperparameters, "dropout_rate", None)
    dropout = {} if dropout_rate is None else {"dropout_rate": dropout_rate}

    def loss_fn(params: Any, model_state: Any, batch: Any, rng: Any) -> Any:
        logits, new_model_state = workload.model_fn(
            params,
            batch,
            model_state,
            ForwardPassMode.TRAIN,
            rng,
            update_batch_norm=True,
            **dropout,
        )
        loss = workload.loss_fn(
            label_batch=batch["targets"],
            logits_batch=logits,
            mask_batch=batch.get("weights"),
            label_smoothing=label_smoothing,
        )
        return loss["summed"], (loss["n_valid_examples"], new_model_state)

    def step(params: Any, optimizer_state: Any, model_state: Any, batch: Any, rng: Any) -> Any:
        (summed, (n_valid, model_state)), gradient = jax.value_and_grad(loss_fn, has_aux=True)(
            params, model_state, batch, rng
        )
        gradient = jax.tree.map(lambda leaf: leaf / n_valid, gradient)
        updates, optimizer_state = optimizer.update(gradient, optimizer_state, params)
        scalars = {"loss": summed / n_valid, "grad_norm": optax.tree.norm(gradient)}
        return optax.apply_updates(params, updates), optimizer_state, model_state, scalars

    jitted: Callable[..., Any] = jax.jit(step, donate_argnums=(0, 1, 2), out_shardings=replicated())
    return jitted


def _update_params(
    *,
    workload: Workload,
    current_param_container: Any,
    current_params_types: Any,
    model_state: Any,
    hyperparameters: Any,
    batch: Any,
    loss_type: Any,
    optimizer_state: Any,
    eval_results: Any,
    global_step: int,
    rng: Any,
) -> UpdateReturn:
    del current_params_types, hyperparameters, loss_type, eval_results
    state, step = optimizer_state
    params, state, model_state, scalars = step(
        current_param_container, state, model_state, batch, rng
    )
    if workload.metrics_logger is not None and global_step % LOG_EVERY_STEPS == 0:
        workload.metrics_logger.append_scalar_metrics(scalars, global_step)
    return (state, step), params, model_state
