"""What the builders of submissions read from the hyperparameters, whatever the optimizer."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from algoperf_core.errors import SubmissionError


@dataclass(frozen=True, kw_only=True)
class GradientOptions:
    """How the loss is computed and its gradient clipped.

    Args:
        label_smoothing: Handed to the workload's `loss_fn`.
        dropout: `{"dropout_rate": rate}` for the workload's `model_fn`, or empty for the model's own rate.
        clip_value: Largest absolute value of an element of the gradient; None does not clip.
        clip_norm: Largest global L2 norm of the gradient, after `clip_value`; None does not clip.
    """

    label_smoothing: float = 0.0
    dropout: Mapping[str, float] = field(default_factory=dict)
    clip_value: float | None = None
    clip_norm: float | None = None

    @classmethod
    def of(cls, hyperparameters: Any) -> GradientOptions:
        """Reads `label_smoothing`, `dropout_rate`, `grad_clip_value` and `grad_clip`, where they are."""
        dropout_rate = getattr(hyperparameters, "dropout_rate", None)
        return cls(
            label_smoothing=getattr(hyperparameters, "label_smoothing", 0.0),
            dropout={} if dropout_rate is None else {"dropout_rate": dropout_rate},
            clip_value=getattr(hyperparameters, "grad_clip_value", None),
            clip_norm=getattr(hyperparameters, "grad_clip", None),
        )


def with_defaults(hyperparameters: Any, defaults: Mapping[str, Any] | None) -> Any:
    """A point in which what it lacks has its default; in the self-tuning ruleset, all of it.

    Args:
        hyperparameters: Named tuple of a point, or None.
        defaults: Values by name.
    """
    if not defaults:
        return hyperparameters
    point = {} if hyperparameters is None else hyperparameters._asdict()
    return SimpleNamespace(**{**defaults, **point})


def wants_parameter_types(make_optimizer: Callable[..., Any]) -> bool:
    """Whether an optimizer's factory names a parameter `parameter_types`."""
    return "parameter_types" in inspect.signature(make_optimizer).parameters


SamRho = float | Callable[[Any, int], float | None] | None
"""SAM's radius, or a function of `(hyperparameters, step_hint)` that gives it, or None."""


def chosen_rho(sam_rho: SamRho, hyperparameters: Any, step_hint: int) -> float | None:
    """SAM's radius in a trial; None without SAM.

    Raises:
        SubmissionError: It is not above 0.
    """
    rho = sam_rho(hyperparameters, step_hint) if callable(sam_rho) else sam_rho
    if rho is not None and not rho > 0:
        raise SubmissionError(f"sam_rho is {rho}; allowed are numbers above 0, or None without SAM")
    return rho
