"""Which parameters decay, by their type; the same choice in both frameworks.

JAX: `optax.adamw(schedule, weight_decay=h.weight_decay, mask=decay_mask(parameter_types))`.
PyTorch: `torch.optim.AdamW(decay_groups(parameters, parameter_types, h.weight_decay), h.learning_rate)`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from algoperf_core.errors import SubmissionError
from algoperf_core.spec import ParameterType

BIASES_AND_NORMS = frozenset(
    {
        ParameterType.BIAS,
        ParameterType.ATTENTION_BIAS,
        ParameterType.BATCH_NORM_SCALE,
        ParameterType.BATCH_NORM_BIAS,
        ParameterType.LAYER_NORM_SCALE,
        ParameterType.LAYER_NORM_BIAS,
    }
)
"""Biases and the scales of norms: what usually does not decay."""


def decay_mask(
    parameter_types: Any, without: Collection[ParameterType] = BIASES_AND_NORMS
) -> dict[str, Any]:
    """A tree like the parameters that says of each leaf whether it decays; a `mask` for Optax.

    >>> decay_mask({"Dense_0": {"kernel": ParameterType.WEIGHT, "bias": ParameterType.BIAS}})
    {'Dense_0': {'kernel': True, 'bias': False}}

    Args:
        parameter_types: Nested dict of types, as `workload.model_params_types`.
        without: Types that do not decay.
    """
    return {
        name: decay_mask(branch, without) if isinstance(branch, Mapping) else branch not in without
        for name, branch in parameter_types.items()
    }


def decay_groups(
    parameters: Iterable[Any],
    parameter_types: Mapping[Any, ParameterType],
    weight_decay: float,
    without: Collection[ParameterType] = BIASES_AND_NORMS,
) -> list[dict[str, Any]]:
    """Two groups of parameters for a `torch.optim` optimizer: those that decay, and the others.

    Args:
        parameters: Parameters of the model.
        parameter_types: From each parameter to its type, as `from_torch` hands it over.
        weight_decay: Weight decay of the first group; the second has 0.
        without: Types that do not decay.

    Raises:
        SubmissionError: A parameter has no type.
    """
    decayed: list[Any] = []
    others: list[Any] = []
    for parameter in parameters:
        if parameter not in parameter_types:
            raise SubmissionError(
                f"decay_groups: a parameter of shape {tuple(parameter.shape)} is not in parameter_types; "
                "pass both on as the factory received them"
            )
        (others if parameter_types[parameter] in without else decayed).append(parameter)
    groups = (decayed, weight_decay), (others, 0.0)
    return [{"params": params, "weight_decay": decay} for params, decay in groups if params]
