"""Metrics as sums over examples, which add up over batches of any size and leave padding out.

The functions use only what arrays of NumPy, JAX and PyTorch have in common, so there is one of each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Sums = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """Which metrics a workload reports, and how.

    Args:
        names: Their names, as they appear in evaluations.
        sums: `(logits, batch, loss) -> {name: scalar}`: sums over the batch, each example weighted by
            `batch["weights"]` `(batch,)`; `loss` is what the workload's loss function returns.
    """

    names: tuple[str, ...]
    sums: Callable[[Any, Mapping[str, Any], Mapping[str, Any]], Sums]

    def means(self, totals: Mapping[str, float], num_examples: int) -> dict[str, float]:
        """Means over a split, from sums over all its batches."""
        return {name: float(totals[name]) / num_examples for name in self.names}


def classification_sums(logits: Any, batch: Mapping[str, Any], loss: Mapping[str, Any]) -> Sums:
    """Number of right predictions, and the summed loss.

    Args:
        logits: `(batch, classes)`.
        batch: With `targets`, `(batch,)` integers or `(batch, classes)`, and `weights` `(batch,)`.
        loss: With `summed`.
    """
    targets = batch["targets"]
    labels = targets.argmax(-1) if targets.ndim == logits.ndim else targets
    right = logits.argmax(-1) == labels
    return {"accuracy": (right * batch["weights"]).sum(), "loss": loss["summed"]}


CLASSIFICATION = Metrics(names=("accuracy", "loss"), sums=classification_sums)
"""Accuracy and mean loss."""
