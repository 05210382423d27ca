"""The average of a PyTorch model's parameters and buffers, as a part of the optimizer state."""

from __future__ import annotations

from typing import Any

import torch

from algoperf_core.averaging import Averaging


class ModelAverage:
    """An average of parameters and buffers; `swap` puts it into the model and takes out what trains.

    Buffers that are no floating-point numbers are those of the model.

    Args:
        averaging: Which average.
        model: The model.
    """

    def __init__(self, averaging: Averaging, model: torch.nn.Module) -> None:
        self._averaging = averaging
        self._updates = 0
        self._evaluating = False
        self._mean = [tensor.detach().clone() for tensor in _averaged(model)]
        self._samples = (
            [tensor.new_zeros((averaging.kept, *tensor.shape)) for tensor in self._mean]
            if averaging.kept
            else []
        )

    @property
    def evaluating(self) -> bool:
        """Whether the model holds the average, and this object what training goes on from."""
        return self._evaluating

    @torch.no_grad()  # type: ignore[untyped-decorator, unused-ignore]
    def advance(self, model: torch.nn.Module) -> None:
        """Takes note of an update that was made."""
        self._updates += 1
        newest = _averaged(model)
        number, since_sample = divmod(self._updates - self._averaging.start, self._averaging.every)
        if number < 1:
            torch._foreach_copy_(self._mean, newest)
        elif since_sample == 0:
            self._sample(newest, number)

    def _sample(self, newest: list[torch.Tensor], number: int) -> None:
        kept = self._averaging.kept
        if kept:
            torch._foreach_copy_([ring[(number - 1) % kept] for ring in self._samples], newest)
            means = [ring.sum(0) / min(number, kept) for ring in self._samples]
            torch._foreach_copy_(self._mean, means)
            return
        weight = self._averaging.weight(number)
        torch._foreach_mul_(self._mean, 1.0 - weight)
        torch._foreach_add_(self._mean, newest, alpha=weight)

    @torch.no_grad()  # type: ignore[untyped-decorator, unused-ignore]
    def swap(self, model: torch.nn.Module) -> None:
        """Exchanges the model's values with those kept here, in place."""
        for tensor, other in zip(_averaged(model), self._mean, strict=True):
            kept = tensor.clone()
            tensor.copy_(other)
            other.copy_(kept)
        self._evaluating = not self._evaluating

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint needs: tensors and plain values."""
        return {
            "updates": self._updates,
            "evaluating": self._evaluating,
            "mean": list(self._mean),
            "samples": list(self._samples),
        }

    @torch.no_grad()  # type: ignore[untyped-decorator, unused-ignore]
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from where another object was."""
        self._updates, self._evaluating = state["updates"], state["evaluating"]
        for ours, theirs in ((self._mean, state["mean"]), (self._samples, state["samples"])):
            for tensor, stored in zip(ours, theirs, strict=True):
                tensor.copy_(stored)


def _averaged(model: torch.nn.Module) -> list[torch.Tensor]:
    buffers = [buffer for buffer in model.buffers() if buffer.is_floating_point()]
    return [*(parameter.detach() for parameter in model.parameters()), *buffers]
