"""Looks behind the interface."""

import gc
import inspect
import sys

from algoperf_core.training import TrainingRun  # caught: harness-internals

from .honest import get_batch_size, init_optimizer_state

__all__ = ["TrainingRun", "get_batch_size", "init_optimizer_state"]


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
    fresh = workload._build_input_queue(rng, "validation", "", 8)  # caught: input-queue-built
    input_queue._batches = fresh  # caught: input-queue
    batch = input_queue._place(next(input_queue))  # caught: input-queue
    workload._cached_evaluations.clear()  # caught: harness-internals
    frame = sys._getframe(1)  # caught: harness-internals
    run = frame.f_back.f_locals["self"]  # caught: harness-internals
    gc.get_objects()  # caught: harness-internals
    inspect.stack()  # caught: harness-internals
    return batch, run


def update_params(*, train_state, eval_results, optimizer_state, workload, **rest):
    train_state["is_time_remaining"] = True  # caught: harness-state
    train_state.update(accumulated_submission_time=0.0)  # caught: harness-state
    eval_results.append((0, {"validation/loss": 0.0}))  # caught: harness-state
    eval_results[0][1]["score"] = 0  # caught: harness-state
    eval_results += [(1, {})]  # caught: harness-state
    if "validation/bleu" in eval_results[0][1]:  # caught: workload-target
        del eval_results[0]  # caught: harness-state
    workload.eval_model(8, rest["current_param_container"], None, None, "")  # caught: evaluation-on-clock
    return optimizer_state, rest["current_param_container"], None
