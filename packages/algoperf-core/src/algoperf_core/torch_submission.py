"""A complete PyTorch submission out of a `torch.optim` optimizer.

def optimizer(parameters, hyperparameters, step_hint):
    adamw = torch.optim.AdamW(parameters, hyperparameters.learning_rate)
    return adamw, torch.optim.lr_scheduler.CosineAnnealingLR(adamw, step_hint)

submission = from_torch(optimizer, batch_size=128)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch

from algoperf_core.batch_sizes import BatchSize, batch_size_function
from algoperf_core.spec import ForwardPassMode, Hyperparameters, UpdateReturn, Workload
from algoperf_core.submission import Submission

LOG_EVERY_STEPS = 100


def from_torch(
    make_optimizer: Callable[[Iterable[torch.nn.Parameter], Hyperparameters, int], Any],
    *,
    batch_size: BatchSize,
) -> Submission:
    """Makes a submission that trains with a `torch.optim` optimizer.

    The loss is the workload's `summed / n_valid_examples` over the global batch. The hyperparameters
    `label_smoothing`, `dropout_rate` and `grad_clip` (largest global L2 norm of the gradient) are used
    where the search space has them.

    Args:
        make_optimizer: `(parameters, hyperparameters, step_hint)` to an optimizer, or to an optimizer
            and a learning-rate scheduler that is stepped after each update.
        batch_size: Global batch size: a number, a table by workload name, or a function of the name.
    """

    def init_optimizer_state(
        workload: Workload, model_params: Any, model_state: Any, hyperparameters: Any, rng: Any
    ) -> dict[str, Any]:
        del model_state, rng
        made = make_optimizer(model_params.parameters(), hyperparameters, workload.step_hint or 0)
        optimizer, scheduler = made if isinstance(made, tuple) else (made, None)
        return {"optimizer": optimizer, "scheduler": scheduler}

    return Submission(
        framework="pytorch",
        get_batch_size=batch_size_function(batch_size),
        init_optimizer_state=init_optimizer_state,
        update_params=_update_params,
    )


def _loss(
    workload: Workload, model: Any, batch: Any, model_state: Any, hyperparameters: Any, rng: Any
) -> Any:
    dropout_rate = getattr(hyperparameters, "dropout_rate", None)
    dropout = {} if dropout_rate is None else {"dropout_rate": dropout_rate}
    logits, _ = workload.model_fn(
        params=model,
        augmented_and_preprocessed_input_batch=batch,
        model_state=model_state,
        mode=ForwardPassMode.TRAIN,
        rng=rng,
        update_batch_norm=True,
        **dropout,
    )
    loss = workload.loss_fn(
        label_batch=batch["targets"],
        logits_batch=logits,
        mask_batch=batch.get("weights"),
        label_smoothing=getattr(hyperparameters, "label_smoothing", 0.0),
    )
    return loss["summed"] / loss["n_valid_examples"]


def _update_params(
    *,
    workload: Workload,
    current_param_container: Any,
    current_params_types: Any,
    model_state: Any,
    hyperparameters: Any,
    batch: Any,
    loss_type: Any,
    optimizer_state: dict[str, Any],
    eval_results: Any,
    global_step: int,
    rng: Any,
) -> UpdateReturn:
    del current_params_types, loss_type, eval_results
    model, optimizer = current_param_container, optimizer_state["optimizer"]
    optimizer.zero_grad(set_to_none=True)
    loss = _loss(workload, model, batch, model_state, hyperparameters, rng)
    loss.backward()
    clip = getattr(hyperparameters, "grad_clip", None)
    logger = workload.metrics_logger if global_step % LOG_EVERY_STEPS == 0 else None
    if clip is not None or logger is not None:
        parameters = [p for p in model.parameters() if p.grad is not None]
        norm = torch.nn.utils.get_total_norm([p.grad for p in parameters])
        if logger is not None:
            logger.append_scalar_metrics({"loss": loss.detach(), "grad_norm": norm}, global_step)
        if clip is not None:
            torch.nn.utils.clip_grads_with_norm_(parameters, clip, norm)
    optimizer.step()
    if optimizer_state["scheduler"] is not None:
        optimizer_state["scheduler"].step()
    return optimizer_state, model, model_state
