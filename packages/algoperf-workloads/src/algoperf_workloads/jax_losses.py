"""Losses in JAX, without regularisation; `torch_losses` has the same functions."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp


def softmax_cross_entropy(
    labels: Any, logits: Any, mask: Any | None = None, label_smoothing: Any = 0.0
) -> dict[str, Any]:
    """Cross-entropy of softmax probabilities.

    With label smoothing `a` the target distribution is `(1 - a) q + a / classes`
    (Szegedy et al. 2016, section 7).

    Args:
        labels: Classes `(batch,)`, or distributions over classes `(batch, classes)`.
        logits: `(batch, classes)`.
        mask: Weights of the examples `(batch,)`; None weighs all alike.
        label_smoothing: `a`, may be traced.

    Returns:
        `summed` and `n_valid_examples`, scalars, and `per_example` `(batch,)`.
    """
    classes = logits.shape[-1]
    targets = labels if labels.ndim == logits.ndim else jax.nn.one_hot(labels, classes)
    smoothed = (1.0 - label_smoothing) * targets + label_smoothing / classes
    per_example = -jnp.sum(smoothed * jax.nn.log_softmax(logits), axis=-1)
    return masked_sum(per_example, mask)


def masked_sum(per_example: Any, mask: Any | None) -> dict[str, Any]:
    """Sums losses of examples `(batch,)`, leaving out those with mask 0."""
    if mask is None:
        mask = jnp.ones_like(per_example)
    per_example = per_example * mask
    return {
        "summed": per_example.sum(),
        "n_valid_examples": mask.sum(),
        "per_example": per_example,
    }
