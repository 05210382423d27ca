"""Losses in PyTorch, without regularisation; `jax_losses` has the same functions."""

from __future__ import annotations

from typing import Any

import torch


def softmax_cross_entropy(
    labels: torch.Tensor,
    logits: torch.Tensor,
    mask: torch.Tensor | None = None,
    label_smoothing: Any = 0.0,
) -> dict[str, torch.Tensor]:
    """Cross-entropy of softmax probabilities.

    With label smoothing `a` the target distribution is `(1 - a) q + a / classes`
    (Szegedy et al. 2016, section 7).

    Args:
        labels: Classes `(batch,)`, or distributions over classes `(batch, classes)`.
        logits: `(batch, classes)`.
        mask: Weights of the examples `(batch,)`; None weighs all alike.
        label_smoothing: `a`, a number or a scalar tensor.

    Returns:
        `summed` and `n_valid_examples`, scalars on the device, and `per_example` `(batch,)`.
    """
    log_probabilities = torch.log_softmax(logits, dim=-1)
    if labels.ndim == logits.ndim:
        expected = (labels * log_probabilities).sum(-1)
    else:
        expected = log_probabilities.gather(-1, labels.long().unsqueeze(-1)).squeeze(-1)
    uniform = log_probabilities.mean(-1)
    per_example = -((1.0 - label_smoothing) * expected + label_smoothing * uniform)
    return masked_sum(per_example, mask)


def masked_sum(per_example: torch.Tensor, mask: torch.Tensor | None) -> dict[str, torch.Tensor]:
    """Sums losses of examples `(batch,)`, leaving out those with mask 0."""
    if mask is None:
        mask = torch.ones_like(per_example)
    per_example = per_example * mask
    return {
        "summed": per_example.sum(),
        "n_valid_examples": mask.sum(),
        "per_example": per_example,
    }
