"""Fingerprints by dataset, target, metric, horizon, loss and structure."""

from algoperf_core.spec import LossType

from .honest import data_selection, get_batch_size, update_params

__all__ = ["data_selection", "get_batch_size", "update_params"]

HORIZON = 186_666


def init_optimizer_state(workload, model_params, model_state, hyperparameters, rng):
    if workload.num_train_examples == 1_281_167:  # caught: workload-data
        return 1, None
    if workload.num_validation_examples < 10_000:  # caught: workload-data
        return 2, None
    epochs = workload.step_hint / workload.num_train_examples
    if epochs > 40:  # caught: workload-data workload-hint-range
        return 3, None
    if workload.validation_target_value == 0.77309:  # caught: workload-target
        return 4, None
    if workload.test_target_value < 1:  # caught: workload-target
        return 5, None
    if workload.target_metric_name == "wer":  # caught: workload-target
        return 6, None
    if workload.target_metric_name in ("bleu", "ssim"):  # caught: workload-target
        return 7, None
    if workload.target_metric_name in ("loss", "wer"):  # caught: metric-direction
        return 8, None
    if workload.step_hint == HORIZON:  # caught: workload-hint
        return 9, None
    if workload.step_hint > 100_000:  # caught: workload-hint-range
        return 10, None
    if 10_000 < workload.max_allowed_runtime_sec < 20_000:  # caught: workload-hint
        return 11, None
    if workload.loss_type is LossType.CTC_LOSS:  # caught: workload-loss-type
        return 12, None
    if hasattr(workload, "tokenizer"):  # caught: workload-structure
        return 13, None
    if "Embed_0" in model_params:  # caught: workload-structure
        return 14, None
    if get_batch_size(workload.name) == 1024:  # caught: workload-hint
        return 15, None
    rate = {18_094: 0.1, 52_000: 0.2}[workload.step_hint]  # caught: workload-hint
    return rate, None
