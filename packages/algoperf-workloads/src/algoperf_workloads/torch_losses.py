"""Losses in PyTorch, without regularisation; `jax_losses` has the same functions.

Each returns `summed`, `n_valid_examples`, the number that a mean divides by, and `per_example`, on the
device.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from jaxtyping import Float, Int, Num

Losses = dict[str, torch.Tensor]


def softmax_cross_entropy(
    labels: Num[torch.Tensor, "batch ..."],
    logits: Float[torch.Tensor, "batch ... classes"],
    mask: Num[torch.Tensor, "batch ..."] | None = None,
    label_smoothing: Any = 0.0,
) -> Losses:
    """Cross-entropy of softmax probabilities.

    With label smoothing `a` the target distribution is `(1 - a) q + a / classes`
    (Szegedy et al. 2016, section 7).

    Args:
        labels: Classes `(batch, ...)`, or distributions over classes `(batch, ..., classes)`.
        logits: `(batch, ..., classes)`.
        mask: Weights of the examples or tokens `(batch, ...)`; None weighs all alike.
        label_smoothing: `a`, a number or a scalar tensor.

    Returns:
        `summed` and `n_valid_examples`, scalars, and `per_example` `(batch, ...)`.
    """
    log_probabilities = torch.log_softmax(logits, dim=-1)
    if labels.ndim == logits.ndim:
        expected = (labels * log_probabilities).sum(-1)
    else:
        expected = log_probabilities.gather(-1, labels.long().unsqueeze(-1)).squeeze(-1)
    uniform = log_probabilities.mean(-1)
    per_example = -((1.0 - label_smoothing) * expected + label_smoothing * uniform)
    return masked_sum(per_example, mask)


def sigmoid_cross_entropy(
    labels: Num[torch.Tensor, "batch ..."],
    logits: Float[torch.Tensor, "batch ..."],
    mask: Num[torch.Tensor, "batch ..."] | None = None,
    label_smoothing: Any = 0.0,
) -> Losses:
    """Cross-entropy of one sigmoid probability for each example, as the click workloads define it.

    Args:
        labels: 0 or 1, `(batch,)` or `(batch, 1)`.
        logits: Log odds of label 1, `(batch,)` or `(batch, 1)`.
        mask: Weights of the examples `(batch,)` or `(batch, 1)`; None weighs all alike.
        label_smoothing: Ignored, as published.

    Returns:
        `summed` and `n_valid_examples`, scalars, and `per_example` `(batch,)`.
    """
    del label_smoothing
    batch = len(logits)
    losses = _sigmoid_losses(labels.reshape(batch), logits.reshape(batch))
    return masked_sum(losses, None if mask is None else mask.reshape(batch))


def masked_sigmoid_cross_entropy(
    labels: Num[torch.Tensor, "batch tasks"],
    logits: Float[torch.Tensor, "batch tasks"],
    mask: Num[torch.Tensor, "batch tasks"] | None = None,
    label_smoothing: Any = 0.0,
) -> Losses:
    """Cross-entropy of many sigmoid probabilities for each example, some of which have a label.

    With label smoothing `a` the target is `(1 - a) y + a / tasks`, as published.

    Args:
        labels: 0 or 1 where the mask is 1, anything (NaN too) elsewhere, `(batch, tasks)`.
        logits: Log odds of label 1, `(batch, tasks)`.
        mask: 1 where there is a label and 0 where there is none, `(batch, tasks)`; None for all ones.
        label_smoothing: `a`, a number or a scalar tensor.

    Returns:
        `summed`; `n_valid_examples`, the number of labels, not of examples; and `per_example`
        `(batch, tasks)`, 0 where there is no label.
    """
    mask = torch.ones_like(logits) if mask is None else mask
    labelled = mask.bool()
    known = torch.where(labelled, labels, torch.zeros_like(logits))
    smoothed = (1.0 - label_smoothing) * known + label_smoothing / logits.shape[-1]
    losses = _sigmoid_losses(smoothed, logits.masked_fill(~labelled, 0.0))
    losses = losses.masked_fill(~labelled, 0.0)
    return {"summed": losses.sum(), "n_valid_examples": mask.sum(), "per_example": losses}


def mean_absolute_error(
    labels: Float[torch.Tensor, "batch ..."],
    logits: Float[torch.Tensor, "batch ..."],
    mask: Num[torch.Tensor, " batch"] | None = None,
    label_smoothing: Any = 0.0,
) -> Losses:
    """Absolute difference of output and target, the mean over each example.

    Args:
        labels: Targets `(batch, ...)`.
        logits: Outputs `(batch, ...)`.
        mask: Weights of the examples `(batch,)`; None weighs all alike.
        label_smoothing: Ignored.

    Returns:
        `summed` and `n_valid_examples`, scalars, and `per_example` `(batch,)`.
    """
    del label_smoothing
    return masked_sum((logits - labels).abs().flatten(1).mean(1), mask)


def ctc_loss(
    labels: tuple[Int[torch.Tensor, "batch labels"], Float[torch.Tensor, "batch labels"]],
    logits: tuple[
        Float[torch.Tensor, "batch frames vocabulary"], Float[torch.Tensor, "batch frames"]
    ],
    mask: Num[torch.Tensor, " batch"] | None = None,
    label_smoothing: Any = 0.0,
) -> Losses:
    """Connectionist temporal classification (Graves et al. 2006): all alignments of labels and frames.

    Args:
        labels: Labels `(batch, labels)`, not 0, which is the blank, and their paddings `(batch, labels)`,
            1 after the last label of an example.
        logits: Logits `(batch, frames, vocabulary)`, and their paddings `(batch, frames)`.
        mask: Weights of the examples `(batch,)`; None weighs all alike.
        label_smoothing: Ignored.

    Returns:
        `summed`; `n_valid_examples`, the number of labels (at least 1), not of examples; and `per_example`
        `(batch,)`, in nats, not divided by anything. Where no alignment exists, the loss is infinite.
    """
    del label_smoothing
    (ids, paddings), (scores, frame_paddings) = labels, logits
    losses = functional.ctc_loss(
        torch.log_softmax(scores, -1).transpose(0, 1),
        ids.long(),
        (1 - frame_paddings).sum(-1).long(),
        (1 - paddings).sum(-1).long(),
        blank=0,
        reduction="none",
    )
    tokens = 1.0 - paddings
    if mask is not None:
        losses, tokens = masked_sum(losses, mask)["per_example"], tokens * mask[:, None]
    return {
        "summed": losses.sum(),
        "n_valid_examples": tokens.sum().clamp(min=1),
        "per_example": losses,
    }


def masked_sum(
    per_example: Float[torch.Tensor, "batch ..."], mask: Num[torch.Tensor, "batch ..."] | None
) -> Losses:
    """Sums losses `(batch, ...)`, leaving out those with mask 0, even where they are not finite."""
    if mask is None:
        mask = torch.ones_like(per_example)
    per_example = (per_example * mask).masked_fill(mask == 0, 0.0)
    return {
        "summed": per_example.sum(),
        "n_valid_examples": mask.sum(),
        "per_example": per_example,
    }


def _sigmoid_losses(
    labels: Num[torch.Tensor, ...], logits: Float[torch.Tensor, ...]
) -> Float[torch.Tensor, ...]:
    """Cross-entropy of each entry."""
    return functional.binary_cross_entropy_with_logits(
        logits, labels.to(logits.dtype), reduction="none"
    )
