"""A submission that keeps to the rules; the hostile ones beside it replace one function each."""

import functools

import jax

from algoperf_core.spec import ForwardPassMode


def get_batch_size(workload_name):
    return {"toy": 64, "digits": 128}[workload_name]


def init_optimizer_state(workload, model_params, model_state, hyperparameters, rng):
    return {"momentum": jax.tree.map(jax.numpy.zeros_like, model_params)}, None


@functools.partial(jax.jit, static_argnums=0)
def step(workload, params, model_state, state, batch, rng):
    def loss_fn(params):
        logits, new_state = workload.model_fn(
            params, batch, model_state, ForwardPassMode.TRAIN, rng, update_batch_norm=True
        )
        loss = workload.loss_fn(label_batch=batch["targets"], logits_batch=logits)
        return loss["summed"] / loss["n_valid_examples"], new_state

    gradient, model_state = jax.grad(loss_fn, has_aux=True)(params)
    momentum = jax.tree.map(lambda m, g: 0.5 * m + g, state["momentum"], gradient)
    params = jax.tree.map(lambda p, m: p - 0.01 * m, params, momentum)
    return {"momentum": momentum}, params, model_state


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
    state, _ = optimizer_state
    state, params, model_state = step(
        workload, current_param_container, model_state, state, batch, rng
    )
    return (state, None), params, model_state


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
