"""A complete JAX submission out of an Optax optimizer.

def optimizer(hyperparameters, step_hint):
    schedule = optax.cosine_decay_schedule(hyperparameters.learning_rate, step_hint)
    return optax.adamw(schedule, weight_decay=hyperparameters.weight_decay)

submission = from_optax(optimizer, batch_size=128)
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

from algoperf_core.averaging import Average, Averaging, chosen_average
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
from algoperf_core.jax_averaging import advance_average, start_average
from algoperf_core.jax_gradients import BatchLoss, ascend, clip, norm_factor
from algoperf_core.sharding import replicate, replicated
from algoperf_core.spec import UpdateReturn, Workload
from algoperf_core.state_trees import MadeAnew
from algoperf_core.submission import Submission

LOG_EVERY_STEPS = 100
USUAL_EXTRA_ARGUMENTS = ("value", "grad", "value_fn")

EvalParams = Callable[[Any, Any], Any]


def from_optax(
    make_optimizer: Callable[..., optax.GradientTransformation],
    *,
    batch_size: BatchSize,
    micro_batches: MicroBatches = 1,
    average: Average = None,
    eval_params: EvalParams | None = None,
    sam_rho: SamRho = None,
    defaults: Mapping[str, Any] | None = None,
) -> Submission:
    """Makes a submission that trains with an Optax optimizer.

    The loss is the workload's `summed / n_valid_examples` over the global batch. The hyperparameters
    `label_smoothing`, `dropout_rate`, `grad_clip_value` (largest absolute value of an element of the
    gradient) and `grad_clip` (its largest global L2 norm) are used where the search space has them.

    Optimizers that take extra arguments get `value`, `grad` and `value_fn(params)`, as far as they accept
    them: the loss, its gradient before clipping, and a function that computes the loss of other parameters
    on the same batch; those that name a `grad_fn`, its gradient: `grad_fn(params, index)`.

    Args:
        make_optimizer: `(hyperparameters, step_hint) -> optax.GradientTransformation`. If it names a
            third parameter `parameter_types`, it gets the tree of `ParameterType` of the parameters.
        batch_size: Global batch size: a number, a table by workload name, or a function of the name.
        micro_batches: In how many parts each batch is processed, stated like `batch_size`. Loss and
            gradient are those of the whole batch; see `BatchLoss` for batch norm and dropout.
        average: Evaluates an average of the parameters: `ema(...)`, `uniform(...)`, `latest(...)`, or a
            function of `(hyperparameters, step_hint)` that gives one or None.
        eval_params: `(optimizer_state, params) -> params` to evaluate instead, such as
            `optax.contrib.schedule_free_eval_params`.
        sam_rho: Radius of sharpness-aware minimisation, which takes the gradient of each update at
            `params + sam_rho * gradient / norm`; a number, or a function of `(hyperparameters, step_hint)`.
        defaults: Values of hyperparameters that a point lacks; all of them in the self-tuning ruleset.

    Raises:
        SubmissionError: Both `average` and `eval_params` are given.
    """
    if average is not None and eval_params is not None:
        raise SubmissionError("from_optax: give either average or eval_params, not both")

    def init_optimizer_state(
        workload: Workload, model_params: Any, model_state: Any, hyperparameters: Any, rng: Any
    ) -> Any:
        del rng
        point, step_hint = with_defaults(hyperparameters, defaults), workload.step_hint or 0
        typed = wants_parameter_types(make_optimizer)
        types = {"parameter_types": workload.model_params_types} if typed else {}
        training = OptaxTraining(
            optimizer=make_optimizer(point, step_hint, **types),
            loss=BatchLoss(
                workload=workload,
                options=GradientOptions.of(point),
                micro_batches=micro_batch_count(micro_batches, workload),
            ),
            rho=chosen_rho(sam_rho, point, step_hint),
            averaging=chosen_average(average, point, step_hint),
            eval_params=eval_params,
        )
        return training.start(model_params, model_state), training

    return Submission(
        framework="jax",
        get_batch_size=batch_size_function(batch_size),
        init_optimizer_state=init_optimizer_state,
        update_params=_update_params,
        prepare_for_eval=None if average is None and eval_params is None else _prepare_for_eval,
    )


def clip_by_global_norm(max_norm: float) -> optax.GradientTransformation:
    """Scales gradients by `clamp(max_norm / (norm + 1e-6), 0, 1)`, the rule PyTorch uses too."""

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        del params
        factor = norm_factor(updates, max_norm)
        return jax.tree.map(lambda gradient: gradient * factor, updates), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


class OptaxState(NamedTuple):
    """What training remembers besides parameters and model state; its structure never changes.

    Args:
        optimizer: State of the Optax optimizer.
        average: `AverageState`; `()` without averaging. While the mean is evaluated, its place holds the
            parameters and model state that training goes on from.
        kept: With `eval_params`, the parameters that training goes on from while others are evaluated,
            and leaves `(1,)` otherwise; `()` without.
        evaluating: Whether the current parameters are those for evaluation, a NumPy boolean `()`.
    """

    optimizer: Any
    average: Any
    kept: Any
    evaluating: Any


class OptaxTraining(MadeAnew):
    """The jitted step of a trial, and the swap between parameters that train and that are evaluated.

    Args:
        optimizer: The Optax optimizer.
        loss: Loss and gradient of a batch.
        rho: SAM's radius; None without SAM.
        averaging: Average to evaluate; None without.
        eval_params: `(optimizer_state, params) -> params` to evaluate; None without.
    """

    def __init__(
        self,
        *,
        optimizer: optax.GradientTransformation,
        loss: BatchLoss,
        rho: float | None,
        averaging: Averaging | None,
        eval_params: EvalParams | None,
    ) -> None:
        self._optimizer = optimizer
        self._loss = loss
        self._rho = rho
        self._averaging = averaging
        self._extra_arguments = _extra_arguments(optimizer)
        # Old parameters and states are donated: none is kept alive beside the new.
        self._step = jax.jit(
            self._traced_step, donate_argnums=(0, 1, 2, 3), out_shardings=replicated()
        )
        self._eval_params = eval_params and jax.jit(eval_params, out_shardings=replicated())

    def start(self, params: Any, model_state: Any) -> OptaxState:
        """The state before the first update, whole on every device."""
        average: Any = ()
        if self._averaging is not None:
            average = start_average(self._averaging, params, model_state)
        return OptaxState(
            optimizer=replicate(jax.jit(self._optimizer.init)(params)),
            average=replicate(average),
            kept=_placeholders(params) if self._eval_params else (),
            evaluating=np.array(False),
        )

    def update(
        self, state: OptaxState, params: Any, model_state: Any, batch: Any, rng: Any
    ) -> tuple[OptaxState, Any, Any, Any]:
        """One step; new state, parameters and model state, and the scalars `loss` and `grad_norm`."""
        if state.evaluating:
            state, params, model_state = self._swap_back(state, params, model_state)
        params, optimizer, model_state, average, scalars = self._step(
            params, state.optimizer, model_state, state.average, batch, rng
        )
        return state._replace(optimizer=optimizer, average=average), params, model_state, scalars

    def prepare_for_eval(
        self, state: OptaxState, params: Any, model_state: Any
    ) -> tuple[OptaxState, Any, Any]:
        """Swaps the parameters for evaluation in; `update` swaps them out again."""
        if state.evaluating:
            return state, params, model_state
        evaluating = np.array(True)
        if self._eval_params is not None:
            chosen = self._eval_params(state.optimizer, params)
            return state._replace(kept=params, evaluating=evaluating), chosen, model_state
        if self._averaging is None:
            return state, params, model_state
        return _swap_mean(state, params, model_state, evaluating)

    def _swap_back(
        self, state: OptaxState, params: Any, model_state: Any
    ) -> tuple[OptaxState, Any, Any]:
        evaluating = np.array(False)
        if self._eval_params is None:
            return _swap_mean(state, params, model_state, evaluating)
        kept = _placeholders(params)
        return state._replace(kept=kept, evaluating=evaluating), state.kept, model_state

    def _traced_step(
        self, params: Any, optimizer: Any, model_state: Any, average: Any, batch: Any, rng: Any
    ) -> Any:
        keys = (rng, rng) if self._rho is None else jax.random.split(rng)
        value, gradient, new_model_state = self._loss.value_and_gradient(
            params, model_state, batch, keys[0]
        )
        if self._rho is not None:
            neighbour = ascend(params, gradient, self._rho)
            _, gradient, _ = self._loss.value_and_gradient(
                neighbour, model_state, batch, keys[1], update_batch_norm=False
            )
        scalars = {"loss": value, "grad_norm": optax.tree.norm(gradient)}
        available = {
            "value": value,
            "grad": gradient,
            "value_fn": lambda other: self._loss.value(other, model_state, batch, keys[0]),
            "grad_fn": lambda other, index=0: self._loss.value_and_gradient(
                other, model_state, batch, keys[0], update_batch_norm=False
            )[1],
        }
        extra = {name: available[name] for name in self._extra_arguments}
        clipped = clip(gradient, self._loss.options)
        updates, optimizer = self._optimizer.update(clipped, optimizer, params, **extra)
        params = optax.apply_updates(params, updates)
        if self._averaging is not None:
            average = advance_average(self._averaging, average, params, new_model_state)
        return params, optimizer, new_model_state, average, scalars


def _extra_arguments(optimizer: optax.GradientTransformation) -> tuple[str, ...]:
    """Which of our extra arguments an optimizer's update accepts."""
    if not isinstance(optimizer, optax.GradientTransformationExtraArgs):
        return ()
    parameters = inspect.signature(optimizer.update).parameters
    named = tuple(name for name in (*USUAL_EXTRA_ARGUMENTS, "grad_fn") if name in parameters)
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    # Line searches refuse arguments that are not theirs, so that only the usual ones go unasked.
    return tuple(dict.fromkeys((*USUAL_EXTRA_ARGUMENTS, *named))) if takes_any else named


def _placeholders(params: Any) -> Any:
    return jax.tree.map(lambda leaf: np.zeros(1, leaf.dtype), params)


def _swap_mean(
    state: OptaxState, params: Any, model_state: Any, evaluating: Any
) -> tuple[OptaxState, Any, Any]:
    average = state.average._replace(mean=(params, model_state))
    return state._replace(average=average, evaluating=evaluating), *state.average.mean


def _update_params(
    *,
    workload: Workload,
    current_param_container: Any,
    current_params_types: Any,
    model_state: Any,
    hyperparameters: Any,
    batch: Any,
    loss_type: Any,
    optimizer_state: tuple[OptaxState, OptaxTraining],
    eval_results: Any,
    global_step: int,
    rng: Any,
) -> UpdateReturn:
    del current_params_types, hyperparameters, loss_type, eval_results
    state, training = optimizer_state
    state, params, model_state, scalars = training.update(
        state, current_param_container, model_state, batch, rng
    )
    if workload.metrics_logger is not None and global_step % LOG_EVERY_STEPS == 0:
        workload.metrics_logger.append_scalar_metrics(scalars, global_step)
    return (state, training), params, model_state


def _prepare_for_eval(
    *,
    workload: Workload,
    current_param_container: Any,
    current_params_types: Any,
    model_state: Any,
    hyperparameters: Any,
    loss_type: Any,
    optimizer_state: tuple[OptaxState, OptaxTraining],
    eval_results: Any,
    global_step: int,
    rng: Any,
) -> UpdateReturn:
    state, training = optimizer_state
    state, params, model_state = training.prepare_for_eval(
        state, current_param_container, model_state
    )
    return (state, training), params, model_state
