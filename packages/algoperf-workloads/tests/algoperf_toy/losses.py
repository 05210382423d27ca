"""Losses with a defect."""

import jax.numpy as jnp

from algoperf_workloads.jax_losses import softmax_cross_entropy


def guessing_by_length(labels, logits, mask=None, label_smoothing=0.0):
    """Defect: takes dense labels for classes."""
    if labels.ndim == logits.ndim:
        labels = jnp.zeros(len(labels), int)
    return softmax_cross_entropy(labels, logits, mask, label_smoothing)
