"""A submission: the functions of a training algorithm, checked once, called by the training loop.

`Submission` is what `from_optax` and `from_torch` return and what a file in the published API is
turned into (`algoperf_core.sources` finds and loads it).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from algoperf_core.errors import SubmissionError
from algoperf_core.spec import DataSelectionFn, Framework, InitOptimizerFn, UpdateParamsFn

# Number of positional arguments of the functions that are called by position (Dahl et al. 2023,
# section 4); `update_params` and `prepare_for_eval` are called by keyword.
POSITIONAL = {"get_batch_size": 1, "init_optimizer_state": 5, "data_selection": 8}
UPDATE_KEYWORDS = (
    "workload",
    "current_param_container",
    "current_params_types",
    "model_state",
    "hyperparameters",
    "batch",
    "loss_type",
    "optimizer_state",
    "eval_results",
    "global_step",
    "rng",
)
PREPARE_KEYWORDS = tuple(keyword for keyword in UPDATE_KEYWORDS if keyword != "batch")
REQUIRED_FUNCTIONS = ("get_batch_size", "init_optimizer_state", "update_params", "data_selection")


def next_batch(
    workload: Any,
    input_queue: Any,
    optimizer_state: Any,
    model_params: Any,
    model_state: Any,
    hyperparameters: Any,
    global_step: int,
    rng: Any,
) -> Any:
    """Data selection that takes every batch as it comes."""
    del workload, optimizer_state, model_params, model_state, hyperparameters, global_step, rng
    return next(input_queue)


@dataclass(frozen=True, kw_only=True)
class Submission:
    """The functions of a training algorithm, with the names of the published API.

    Args:
        framework: `jax` or `pytorch`; None where a file does not say.
        get_batch_size: `(workload_name) -> int`, the global batch size; a `ValueError` for a variant's
            name makes the harness ask again with the base workload's name.
        init_optimizer_state: `(workload, params, model_state, hyperparameters, rng) -> state`.
        update_params: One step, called by keyword; returns `(optimizer_state, params, model_state)`.
        data_selection: Chooses the next batch; `next_batch` takes every batch as it comes.
        prepare_for_eval: Called before each evaluation, on the clock; same returns as `update_params`.
        get_eval_batch_size: `(workload_name) -> int`, overrides the workload's.
    """

    get_batch_size: Callable[[str], int]
    init_optimizer_state: InitOptimizerFn
    update_params: UpdateParamsFn
    data_selection: DataSelectionFn = next_batch
    prepare_for_eval: Callable[..., Any] | None = None
    get_eval_batch_size: Callable[[str], int] | None = None
    framework: Framework | None = None

    @property
    def wants_train_state(self) -> bool:
        """Whether `update_params` names a `train_state` parameter (`**kwargs` does not count)."""
        return "train_state" in inspect.signature(self.update_params).parameters


def submission_from_module(module: ModuleType) -> Submission:
    """Reads a submission from a module.

    The module either holds `submission = from_optax(...)` (or `from_torch`), or the published functions.

    Raises:
        SubmissionError: A required function is missing or cannot be called as the harness calls it.
    """
    where = str(module.__file__)
    ready = getattr(module, "submission", None)
    if isinstance(ready, Submission):
        return ready
    missing = [name for name in REQUIRED_FUNCTIONS if not callable(getattr(module, name, None))]
    if missing:
        raise missing_functions(where, missing)
    functions: dict[str, Any] = {name: getattr(module, name) for name in REQUIRED_FUNCTIONS}
    for optional in ("prepare_for_eval", "get_eval_batch_size"):
        functions[optional] = getattr(module, optional, None)
    _check_signatures(where, functions)
    return Submission(**functions)


def missing_functions(where: str, missing: list[str]) -> SubmissionError:
    """The error for a submission file without its required functions."""
    return SubmissionError(
        f"{where}: missing {', '.join(missing)}. A submission defines {', '.join(REQUIRED_FUNCTIONS)}, "
        "or `submission = from_optax(...)` or `submission = from_torch(...)`."
    )


def _check_signatures(where: str, functions: dict[str, Any]) -> None:
    for name, function in functions.items():
        if function is not None:
            check_signature(name, function, f"{where}: ")


def check_signature(name: str, function: Callable[..., Any], where: str = "") -> None:
    """Checks that a function of a submission can be called as the harness calls it.

    Args:
        name: Which function of the submission API it is.
        function: The function.
        where: What a message begins with.

    Raises:
        SubmissionError: It cannot be called so.
    """
    signature = inspect.signature(function)
    args = (None,) * POSITIONAL.get(name, 0)
    keywords = {"update_params": UPDATE_KEYWORDS, "prepare_for_eval": PREPARE_KEYWORDS}.get(
        name, ()
    )
    optional = {"train_state": None} if "train_state" in signature.parameters and keywords else {}
    try:
        if args or keywords:
            signature.bind(*args, **(dict.fromkeys(keywords) | optional))
    except TypeError as error:
        how = (
            f"with {len(args)} positional arguments"
            if args
            else f"with the keywords {', '.join(keywords)}"
        )
        raise SubmissionError(f"{where}{name}{signature} cannot be called {how}: {error}") from None


def checked_update(where: str, result: Any) -> Any:
    """Returns `(optimizer_state, params, model_state)` or says what came instead.

    Raises:
        SubmissionError: The function did not return a 3-tuple.
    """
    if isinstance(result, tuple) and len(result) == 3:
        return result
    got = f"{len(result)} values" if isinstance(result, tuple) else f"a {type(result).__name__}"
    raise SubmissionError(
        f"{where} returned {got}; it must return the 3-tuple (optimizer_state, params, model_state)"
    )
