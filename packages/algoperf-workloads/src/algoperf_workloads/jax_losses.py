"""Losses in JAX, without regularisation; `torch_losses` has the same functions.

Each returns `summed`, `n_valid_examples`, the number that a mean divides by, and `per_example`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

if TYPE_CHECKING:
    from jax import Array
    from jaxtyping import Float, Int, Num


Losses = dict[str, Any]


def softmax_cross_entropy(
    labels: Num[Array, "batch ..."],
    logits: Float[Array, "batch ... classes"],
    mask: Num[Array, "batch ..."] | None = None,
    label_smoothing: Any = 0.0,
) -> Losses:
    """Cross-entropy of softmax probabilities.

    With label smoothing `a` the target distribution is `(1 - a) q + a / classes`
    (Szegedy et al. 2016, section 7).

    Args:
        labels: Classes `(batch, ...)`, or distributions over classes `(batch, ..., classes)`.
        logits: `(batch, ..., classes)`.
        mask: Weights of the examples or tokens `(batch, ...)`; None weighs all alike.
        label_smoothing: `a`, may be traced.

    Returns:
        `summed` and `n_valid_examples`, scalars, and `per_example` `(batch, ...)`.
    """
    log_probabilities = jax.nn.log_softmax(logits)
    if labels.ndim == logits.ndim:
        expected = (labels * log_probabilities).sum(-1)
    else:
        chosen = jnp.take_along_axis(log_probabilities, labels[..., None].astype(int), axis=-1)
        expected = chosen[..., 0]
    uniform = log_probabilities.mean(-1)
    per_example = -((1.0 - label_smoothing) * expected + label_smoothing * uniform)
    return masked_sum(per_example, mask)


def sigmoid_cross_entropy(
    labels: Num[Array, "batch ..."],
    logits: Float[Array, "batch ..."],
    mask: Num[Array, "batch ..."] | None = None,
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
    batch = logits.shape[0]
    losses = _sigmoid_losses(labels.reshape(batch), logits.reshape(batch))
    return masked_sum(losses, None if mask is None else mask.reshape(batch))


def masked_sigmoid_cross_entropy(
    labels: Num[Array, "batch tasks"],
    logits: Float[Array, "batch tasks"],
    mask: Num[Array, "batch tasks"] | None = None,
    label_smoothing: Any = 0.0,
) -> Losses:
    """Cross-entropy of many sigmoid probabilities for each example, some of which have a label.

    With label smoothing `a` the target is `(1 - a) y + a / tasks`, as published.

    Args:
        labels: 0 or 1 where the mask is 1, anything (NaN too) elsewhere, `(batch, tasks)`.
        logits: Log odds of label 1, `(batch, tasks)`.
        mask: 1 where there is a label and 0 where there is none, `(batch, tasks)`; None for all ones.
        label_smoothing: `a`, may be traced.

    Returns:
        `summed`; `n_valid_examples`, the number of labels, not of examples; and `per_example`
        `(batch, tasks)`, 0 where there is no label.
    """
    mask = jnp.ones_like(logits) if mask is None else mask
    known = jnp.where(mask, labels, 0)
    smoothed = (1.0 - label_smoothing) * known + label_smoothing / logits.shape[-1]
    losses = jnp.where(mask, _sigmoid_losses(smoothed, jnp.where(mask, logits, 0)), 0.0)
    return {"summed": losses.sum(), "n_valid_examples": mask.sum(), "per_example": losses}


def mean_absolute_error(
    labels: Float[Array, "batch ..."],
    logits: Float[Array, "batch ..."],
    mask: Num[Array, " batch"] | None = None,
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
    return masked_sum(jnp.abs(logits - labels).mean(tuple(range(1, logits.ndim))), mask)


def ctc_loss(
    labels: tuple[Int[Array, "batch labels"], Float[Array, "batch labels"]],
    logits: tuple[Float[Array, "batch frames vocabulary"], Float[Array, "batch frames"]],
    mask: Num[Array, " batch"] | None = None,
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
        `(batch,)`, in nats, not divided by anything. Where no alignment exists, a loss of the order of 1e5.
    """
    import optax

    del label_smoothing
    (ids, paddings), (scores, frame_paddings) = labels, logits
    losses = optax.ctc_loss(scores, frame_paddings, ids, paddings, blank_id=0)
    tokens = 1.0 - paddings
    if mask is not None:
        losses, tokens = jnp.where(mask, losses * mask, 0.0), tokens * mask[:, None]
    return {
        "summed": losses.sum(),
        "n_valid_examples": jnp.maximum(tokens.sum(), 1),
        "per_example": losses,
    }


def masked_sum(
    per_example: Float[Array, "batch ..."], mask: Num[Array, "batch ..."] | None
) -> Losses:
    """Sums losses `(batch, ...)`, leaving out those with mask 0, even where they are not finite."""
    if mask is None:
        mask = jnp.ones_like(per_example)
    per_example = jnp.where(mask, per_example * mask, 0.0)
    return {
        "summed": per_example.sum(),
        "n_valid_examples": mask.sum(),
        "per_example": per_example,
    }


def _sigmoid_losses(labels: Num[Array, ...], logits: Float[Array, ...]) -> Float[Array, ...]:
    """Cross-entropy of each entry; unlike a maximum, softplus has the right gradient at 0."""
    return jax.nn.softplus(logits) - logits * labels
