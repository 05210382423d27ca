"""Metrics as accumulators: exact under padding, sharding and any division of a split into batches.

Most metrics are quotients of sums. Their sums are taken on the devices, batch by batch, and fetched once
for a split. Single precision would lose counts above 2**24, so totals are pairs of a sum and what rounding
has kept from it (Neumaier 1974), which together are exact for counts up to 2**48.

What is no sum, a ranking or a comparison of texts, collects outputs on the devices; they are fetched with the
sums, and an accumulator on the host, with `from_batch`, `merge` and `compute`, takes them in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, Protocol, Self

import numpy as np

from algoperf_core.spec import Framework
from algoperf_workloads.columns import Array
from algoperf_workloads.implementation import Implementation

Sums = dict[str, Any]


class Accumulator(Protocol):
    """What is known of the examples seen so far; a value, not something that changes.

    Its class has a class method `from_batch(**collected)` that takes in one batch, in which rows of weight 0
    count nothing.
    """

    def merge(self, other: Self) -> Self:
        """What is known of the examples of both."""
        ...

    def compute(self) -> dict[str, float]:
        """The metrics by name."""
        ...


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """Which metrics a workload reports, and how.

    Args:
        names: Their names, in the order in which evaluations report them.
        sums: `(outputs, batch, loss) -> {name: scalar}`: sums over the batch, each example weighted by
            `batch["weights"]`; `loss` is what the workload's loss function returns. One function of what
            arrays of JAX and PyTorch have in common, or an `Implementation`. In JAX it is compiled.
        divisors: Name of the sum that a metric's sum is divided by, where that is not the number of
            examples of the split.
        collect: `(forward, outputs, batch) -> {key: (batch, ...)}`: what `accumulate` needs, on the devices;
            `forward` is the model in evaluation mode with its parameters: `forward(*inputs)`, in JAX also
            with `method=...`. One function or an `Implementation`; None collects nothing.
        accumulate: `(**collected) -> Accumulator` for a batch, on the host, in NumPy, such as the class
            method `from_batch` of an accumulator.
        accumulated: The metrics among `names` that the accumulator computes, and that have no sum.
    """

    names: tuple[str, ...]
    sums: Callable[[Any, Mapping[str, Any], Mapping[str, Any]], Sums] | Implementation
    divisors: Mapping[str, str] = field(default_factory=dict)
    collect: Callable[[Any, Any, Mapping[str, Any]], Mapping[str, Any]] | Implementation | None = (
        None
    )
    accumulate: Callable[..., Accumulator] | None = None
    accumulated: tuple[str, ...] = ()

    @property
    def sum_names(self) -> tuple[str, ...]:
        """Names of the sums that are taken on the devices."""
        summed = [name for name in self.names if name not in self.accumulated]
        return tuple(dict.fromkeys([*summed, *self.divisors.values()]))

    def load_sums(self, framework: Framework) -> Any:
        """`sums` for a framework."""
        return self.sums.load(framework) if isinstance(self.sums, Implementation) else self.sums

    def load_collect(self, framework: Framework) -> Any:
        """`collect` for a framework; None where nothing is collected."""
        collect = self.collect
        return collect.load(framework) if isinstance(collect, Implementation) else collect

    def total(self, totals: Array) -> dict[str, float]:
        """Sums by name, in double precision, from compensated totals `(2, sums)`."""
        exact = np.asarray(totals, np.float64).sum(0)
        return dict(zip(self.sum_names, exact.tolist(), strict=True))

    def compute(
        self,
        sums: Mapping[str, float],
        num_examples: int,
        collected: Sequence[Mapping[str, Array]] = (),
    ) -> dict[str, float]:
        """The metrics of a split.

        Args:
            sums: Sums over all its batches.
            num_examples: Its number of examples.
            collected: What was collected from its batches.

        Returns:
            Metrics by name; NaN for a quotient over nothing.
        """
        found = {
            name: _quotient(
                sums[name], sums[self.divisors[name]] if name in self.divisors else num_examples
            )
            for name in self.names
            if name not in self.accumulated
        }
        if self.accumulate is not None and collected:
            parts = [self.accumulate(**part) for part in collected]
            found |= reduce(lambda one, other: one.merge(other), parts).compute()
        return {name: float(found[name]) for name in self.names}


def zero_totals(names: Sequence[str]) -> Array:
    """Compensated sums `(2, sums)` over nothing."""
    return np.zeros((2, len(names)), np.float32)


def add_compensated(totals: Any, added: Any) -> Any:
    """Adds `(sums,)` to compensated totals `(2, sums)`, in whatever arrays they are.

    Returns:
        The new sums `(sums,)` and what rounding keeps from them `(sums,)`; their sum is the total.
    """
    total, kept = totals[0], totals[1]
    new = total + added
    back = new - total
    return (new, kept + ((total - (new - back)) + (added - back)))


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


def loss_sums(outputs: Any, batch: Mapping[str, Any], loss: Mapping[str, Any]) -> Sums:
    """The summed loss."""
    del outputs, batch
    return {"loss": loss["summed"]}


def _quotient(value: float, divisor: float) -> float:
    return value / divisor if divisor else float("nan")


CLASSIFICATION = Metrics(names=("accuracy", "loss"), sums=classification_sums)
"""Accuracy and mean loss."""

MEAN_LOSS = Metrics(names=("loss",), sums=loss_sums)
"""Mean loss alone."""
