"""Facts of the workload in formulas; targets compared with what was measured."""

from .honest import data_selection, get_batch_size

__all__ = ["data_selection", "get_batch_size"]


def init_optimizer_state(workload, model_params, model_state, hyperparameters, rng):
    steps_per_epoch = workload.num_train_examples // get_batch_size(workload.name)
    horizon = max(workload.step_hint or 1, 1)
    if workload.step_hint is None or workload.num_test_examples is None:
        horizon = 1000
    warmup = min(int(0.05 * horizon), 1000)
    per_eval = workload.eval_period_time_sec / (workload.max_allowed_runtime_sec / horizon)
    return {"warmup": warmup, "epoch": steps_per_epoch, "per_eval": per_eval}, None


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
    train_state=None,
):
    del current_params_types, loss_type
    state, step = optimizer_state
    if eval_results and train_state["is_time_remaining"]:
        best = eval_results[-1][1][f"validation/{workload.target_metric_name}"]
        if best > workload.validation_target_value:
            state = dict(state, best=best)
    mask = batch.get("weights") if "weights" in batch else None
    if global_step == 1000 or global_step < state["warmup"]:
        state = dict(state, mask=mask)
    if workload.metrics_logger is not None and global_step % 100 == 0:
        workload.metrics_logger.append_scalar_metrics({"loss": 0.0}, global_step)
    return (state, step), current_param_container, model_state
