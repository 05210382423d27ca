"""The loss of a global batch and its gradient in PyTorch, whole or in micro-batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from algoperf_core.batch_sizes import check_divisible, not_splittable
from algoperf_core.gradient_options import GradientOptions
from algoperf_core.spec import ForwardPassMode, Workload


@dataclass(frozen=True, kw_only=True)
class BatchLoss:
    """`summed / n_valid_examples` of a workload over the global batch, as in `jax_gradients`.

    In micro-batches, gradients of sums and numbers of valid examples are accumulated one part after the
    other, which gives the loss and gradient of the whole batch with the activations of one part in memory.
    Batch norm normalises each part by its own statistics; their mean makes one update of the running
    averages. With `DistributedDataParallel`, losses and gradients are over the batches of all processes.

    Args:
        workload: The workload.
        options: Label smoothing and dropout.
        micro_batches: Number of parts.
    """

    workload: Workload
    options: GradientOptions
    micro_batches: int = 1

    def backward(
        self, model: Any, batch: Any, model_state: Any, rng: Any, update_batch_norm: bool = True
    ) -> torch.Tensor:
        """Adds the gradient of the loss to the parameters' `grad`, and returns the loss, detached."""
        if self.micro_batches == 1:
            summed, n_valid = self._summed(model, batch, model_state, rng, update_batch_norm)
            total, n_valid, processes = _over_processes(model, summed.detach(), n_valid)
            # Data parallelism averages gradients over the processes; their sum is wanted.
            (summed if processes == 1 else summed * processes).div(n_valid).backward()
            return total / n_valid
        statistics = RunningStatistics(model, self.micro_batches)
        parts = split_batch(batch, self.micro_batches)
        sums = []
        for number, part in enumerate(parts, start=1):
            with nullcontext() if number == self.micro_batches else _without_exchange(model):
                summed, n_valid = self._summed(model, part, model_state, rng, update_batch_norm)
                summed.backward()
            sums.append(torch.stack([summed.detach(), n_valid]))
            del summed, part
            statistics.after_part()
        total, n_valid, processes = _over_processes(model, *torch.stack(sums).sum(0))
        torch._foreach_mul_(gradients(model), processes / n_valid)
        return total / n_valid

    def _summed(
        self, model: Any, batch: Any, model_state: Any, rng: Any, update_batch_norm: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        logits, _ = self.workload.model_fn(
            params=model,
            augmented_and_preprocessed_input_batch=batch,
            model_state=model_state,
            mode=ForwardPassMode.TRAIN,
            rng=rng,
            update_batch_norm=update_batch_norm,
            **self.options.dropout,
        )
        loss = self.workload.loss_fn(
            label_batch=batch["targets"],
            logits_batch=logits,
            mask_batch=batch.get("weights"),
            label_smoothing=self.options.label_smoothing,
        )
        summed, n_valid = loss["summed"], loss["n_valid_examples"]
        return summed, torch.as_tensor(n_valid, dtype=summed.dtype, device=summed.device).detach()


class RunningStatistics:
    """Makes the passes of several parts one update of a model's buffers.

    Every part updates them from where they were before the first. What stays is the mean of the results, and
    for buffers that are no floating-point numbers, such as counters of batches, the last result.

    Args:
        model: The model, before the first part.
        parts: Number of parts.
    """

    def __init__(self, model: torch.nn.Module, parts: int) -> None:
        self._buffers = list(model.buffers())
        self._before = [buffer.detach().clone() for buffer in self._buffers]
        self._change = [torch.zeros_like(buffer) for buffer in self._before]
        self._left = self._parts = parts

    def after_part(self) -> None:
        """Notes what a part did, and puts the buffers back; after the last part, to their final values."""
        self._left -= 1
        with torch.no_grad():
            for buffer, before, change in zip(
                self._buffers, self._before, self._change, strict=True
            ):
                self._after_part(buffer, before, change)

    def _after_part(self, buffer: Any, before: Any, change: Any) -> None:
        if not buffer.is_floating_point():
            if self._left:
                buffer.copy_(before)
            return
        # Changes, not values, are averaged: what no part changes stays exactly as it is.
        change.add_(buffer - before, alpha=1.0 / self._parts)
        buffer.copy_(before)
        if not self._left:
            buffer.add_(change)


def split_batch(batch: Any, count: int) -> Iterator[Any]:
    """Micro-batches of a batch, as views: example `i` goes to micro-batch `i % count`.

    Raises:
        SubmissionError: The batch does not divide, or an array does not have the examples as its first axis.
    """
    examples = _first_tensor(batch["targets"]).shape[0]
    check_divisible(examples, count, devices=1)
    for part in range(count):
        yield _take(batch, examples, slice(part, None, count))


@torch.no_grad()  # type: ignore[untyped-decorator, unused-ignore]
def ascend(model: torch.nn.Module, rho: float) -> Callable[[], None]:
    """Moves the parameters to SAM's neighbour, `params + rho * gradient / norm`, and clears `grad`.

    Source: Foret et al. 2021, equation 2.

    Returns:
        A function that moves them back, exactly.
    """
    moved = [parameter for parameter in model.parameters() if parameter.grad is not None]
    before = [parameter.detach().clone() for parameter in moved]
    slopes = gradients(model)
    torch._foreach_mul_(slopes, rho / (torch.nn.utils.get_total_norm(slopes) + 1e-12))
    torch._foreach_add_(moved, slopes)
    model.zero_grad(set_to_none=True)

    def back() -> None:
        with torch.no_grad():
            torch._foreach_copy_(moved, before)

    return back


def clip(model: torch.nn.Module, options: GradientOptions, norm: torch.Tensor | None) -> None:
    """Clips the parameters' `grad` by value, then by global norm, as far as the options say so.

    Args:
        model: The model.
        options: The options.
        norm: Global norm before any clipping, where it is known.
    """
    parameters = [parameter for parameter in model.parameters() if parameter.grad is not None]
    if options.clip_value is not None:
        torch.nn.utils.clip_grad_value_(parameters, options.clip_value)
        norm = None
    if options.clip_norm is not None:
        norm = torch.nn.utils.get_total_norm(gradients(model)) if norm is None else norm
        torch.nn.utils.clip_grads_with_norm_(parameters, options.clip_norm, norm)


def gradients(model: torch.nn.Module) -> list[torch.Tensor]:
    """The `grad` of every parameter that has one."""
    return [parameter.grad for parameter in model.parameters() if parameter.grad is not None]


def _over_processes(
    model: Any, summed: torch.Tensor, n_valid: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, int]:
    # Both sums over all processes of a data-parallel model, and the number of processes.
    if not hasattr(model, "no_sync"):
        return summed, n_valid, 1
    totals = torch.stack([summed, n_valid])
    torch.distributed.all_reduce(totals, group=model.process_group)
    return totals[0], totals[1], torch.distributed.get_world_size(model.process_group)


def _without_exchange(model: Any) -> AbstractContextManager[None]:
    # Gradients are exchanged once, with those of the last part.
    context: AbstractContextManager[None] = getattr(model, "no_sync", nullcontext)()
    return context


def _first_tensor(tree: Any) -> torch.Tensor:
    while not isinstance(tree, torch.Tensor):
        tree = next(iter(tree.values())) if isinstance(tree, Mapping) else tree[0]
    return tree


def _take(tree: Any, examples: int, rows: slice, where: str = "") -> Any:
    if tree is None:
        return None
    if isinstance(tree, Mapping):
        return {
            name: _take(branch, examples, rows, f"{where}[{name!r}]")
            for name, branch in tree.items()
        }
    if isinstance(tree, list | tuple):
        branches = [
            _take(branch, examples, rows, f"{where}[{index}]") for index, branch in enumerate(tree)
        ]
        return type(tree)(*branches) if hasattr(tree, "_fields") else type(tree)(branches)
    shape = tuple(tree.shape) if isinstance(tree, torch.Tensor) else None
    if not shape or shape[0] != examples:
        raise not_splittable(where, shape, examples)
    return tree[rows]
