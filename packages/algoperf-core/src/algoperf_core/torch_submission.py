"""A complete PyTorch submission out of a `torch.optim` optimizer.

def optimizer(parameters, hyperparameters, step_hint):
    adamw = torch.optim.AdamW(parameters, hyperparameters.learning_rate)
    return adamw, torch.optim.lr_scheduler.CosineAnnealingLR(adamw, step_hint)

submission = from_torch(optimizer, batch_size=128)
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from algoperf_core.averaging import Average, chosen_average
from algoperf_core.batch_sizes import (
    BatchSize,
    MicroBatches,
    batch_size_function,
    micro_batch_count,
)
from algoperf_core.errors import SubmissionError
from algoperf_core.gradient_options import (
    GradientOptions,
    SamRho,
    chosen_rho,
    wants_parameter_types,
    with_defaults,
)
from algoperf_core.spec import ParameterType, UpdateReturn, Workload
from algoperf_core.state_trees import MadeAnew
from algoperf_core.submission import Submission
from algoperf_core.torch_averaging import ModelAverage
from algoperf_core.torch_gradients import BatchLoss, ascend, clip, gradients

LOG_EVERY_STEPS = 100

Inputs = tuple[Any, Any, Any]
Log = Callable[[dict[str, torch.Tensor]], None]


def from_torch(
    make_optimizer: Callable[..., Any],
    *,
    batch_size: BatchSize,
    micro_batches: MicroBatches = 1,
    average: Average = None,
    sam_rho: SamRho = None,
    closure: bool | None = None,
    defaults: Mapping[str, Any] | None = None,
) -> Submission:
    """Makes a submission that trains with a `torch.optim` optimizer.

    The loss is the workload's `summed / n_valid_examples` over the global batch. The hyperparameters
    `label_smoothing`, `dropout_rate`, `grad_clip_value` (largest absolute value of an element of the
    gradient) and `grad_clip` (its largest global L2 norm) are used where the search space has them.

    An optimizer with methods `train()` and `eval()`, such as those of the package `schedulefree`, is put
    into eval mode before each evaluation and into train mode before each update.

    Args:
        make_optimizer: `(parameters, hyperparameters, step_hint)` to an optimizer, or to an optimizer
            and a learning-rate scheduler that is stepped after each update. If it names a fourth
            parameter `parameter_types`, it gets a dict from each parameter to its `ParameterType`.
        batch_size: Global batch size: a number, a table by workload name, or a function of the name.
        micro_batches: In how many parts each batch is processed, stated like `batch_size`. Loss and
            gradient are those of the whole batch; see `BatchLoss` for batch norm and dropout.
        average: Evaluates an average of the parameters: `ema(...)`, `uniform(...)`, `latest(...)`, or a
            function of `(hyperparameters, step_hint)` that gives one or None.
        sam_rho: Radius of sharpness-aware minimisation, which takes the gradient of each update at
            `params + sam_rho * gradient / norm`; a number, or a function of `(hyperparameters, step_hint)`.
        closure: Whether `step` gets a closure that computes the loss and its gradient anew on the same
            batch; None gives one to optimizers whose `step` requires it, such as LBFGS.
        defaults: Values of hyperparameters that a point lacks; all of them in the self-tuning ruleset.
    """

    def init_optimizer_state(
        workload: Workload, model_params: Any, model_state: Any, hyperparameters: Any, rng: Any
    ) -> dict[str, Any]:
        del model_state, rng
        point, step_hint = with_defaults(hyperparameters, defaults), workload.step_hint or 0
        typed = wants_parameter_types(make_optimizer)
        types = {"parameter_types": types_by_parameter(workload, model_params)} if typed else {}
        made = make_optimizer(model_params.parameters(), point, step_hint, **types)
        optimizer, scheduler = made if isinstance(made, tuple) else (made, None)
        training = TorchTraining(
            loss=BatchLoss(
                workload=workload,
                options=GradientOptions.of(point),
                micro_batches=micro_batch_count(micro_batches, workload),
            ),
            rho=chosen_rho(sam_rho, point, step_hint),
            closure=_requires_closure(optimizer) if closure is None else closure,
        )
        state = {"optimizer": optimizer, "scheduler": scheduler, "training": training}
        averaging = chosen_average(average, point, step_hint)
        if averaging is not None:
            state["average"] = ModelAverage(averaging, model_params)
        return state

    return Submission(
        framework="pytorch",
        get_batch_size=batch_size_function(batch_size),
        init_optimizer_state=init_optimizer_state,
        update_params=_update_params,
        prepare_for_eval=_prepare_for_eval,
    )


@dataclass(frozen=True, kw_only=True)
class TorchTraining(MadeAnew):
    """How a trial computes its gradients; nothing in it changes.

    Args:
        loss: Loss and gradient of a batch.
        rho: SAM's radius; None without SAM.
        closure: Whether the optimizer computes gradients itself, by calling a closure.

    Raises:
        SubmissionError: SAM with a closure.
    """

    loss: BatchLoss
    rho: float | None
    closure: bool

    def __post_init__(self) -> None:
        if self.closure and self.rho is not None:
            raise SubmissionError(
                "from_torch: sam_rho does not go with an optimizer that takes a closure"
            )

    def step(self, optimizer: Any, model: Any, inputs: Inputs, log: Log | None) -> None:
        """One update of the parameters.

        Args:
            optimizer: The optimizer.
            model: The model, without gradients.
            inputs: Batch, model state and random key.
            log: Takes the scalars `loss` and `grad_norm`; None logs nothing.
        """
        if not self.closure:
            self.gradient(model, inputs, log)
            optimizer.step()
            return
        calls = 0

        def closure() -> torch.Tensor:
            nonlocal calls
            calls += 1
            model.zero_grad(set_to_none=True)
            first = calls == 1
            with torch.enable_grad():
                return self.gradient(model, inputs, log if first else None, first)

        optimizer.step(closure)

    def gradient(
        self, model: Any, inputs: Inputs, log: Log | None, first: bool = True
    ) -> torch.Tensor:
        """Leaves the clipped gradient in the parameters' `grad` and returns the loss, detached.

        Running averages of batch norm are updated by the first pass of a step only.
        """
        loss = self.loss.backward(model, *inputs, update_batch_norm=first)
        if self.rho is not None:
            back = ascend(model, self.rho)
            self.loss.backward(model, *inputs, update_batch_norm=False)
            back()
        norm = None
        if log is not None:
            norm = torch.nn.utils.get_total_norm(gradients(model))
            log({"loss": loss, "grad_norm": norm})
        clip(model, self.loss.options, norm)
        return loss


def _requires_closure(optimizer: Any) -> bool:
    parameter = inspect.signature(type(optimizer).step).parameters.get("closure")
    return parameter is not None and parameter.default is parameter.empty


def types_by_parameter(workload: Workload, model: torch.nn.Module) -> dict[Any, ParameterType]:
    """From each parameter of a model, wrapped or not, to its type."""
    types = workload.model_params_types
    return {parameter: types[_unwrapped(name)] for name, parameter in model.named_parameters()}


def _unwrapped(name: str) -> str:
    # Data parallelism and compilation put their own names before the model's.
    while (wrapper := name.partition(".")[0]) in ("module", "_orig_mod"):
        name = name.removeprefix(f"{wrapper}.")
    return name


def _set_mode(optimizer: Any, mode: str) -> None:
    if callable(getattr(optimizer, "train", None)) and callable(getattr(optimizer, "eval", None)):
        getattr(optimizer, mode)()


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
    del current_params_types, hyperparameters, loss_type, eval_results
    model, optimizer = current_param_container, optimizer_state["optimizer"]
    average, scheduler = optimizer_state.get("average"), optimizer_state["scheduler"]
    if average is not None and average.evaluating:
        average.swap(model)
    _set_mode(optimizer, "train")
    log = None
    if workload.metrics_logger is not None and global_step % LOG_EVERY_STEPS == 0:
        log = partial(workload.metrics_logger.append_scalar_metrics, global_step=global_step)
    optimizer_state["training"].step(optimizer, model, (batch, model_state, rng), log)
    # Gradients are needed no more; evaluations have their memory.
    model.zero_grad(set_to_none=True)
    if scheduler is not None:
        scheduler.step()
    if average is not None:
        average.advance(model)
    return optimizer_state, model, model_state


def _prepare_for_eval(
    *,
    workload: Workload,
    current_param_container: Any,
    current_params_types: Any,
    model_state: Any,
    hyperparameters: Any,
    loss_type: Any,
    optimizer_state: dict[str, Any],
    eval_results: Any,
    global_step: int,
    rng: Any,
) -> UpdateReturn:
    average = optimizer_state.get("average")
    if average is not None and not average.evaluating:
        average.swap(current_param_container)
    _set_mode(optimizer_state["optimizer"], "eval")
    return optimizer_state, current_param_container, model_state
