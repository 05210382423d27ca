"""Sums over the processes that train together, with gradients, also inside `torch.compile`.

Without a process group, or alone in it, nothing is exchanged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist

from algoperf_workloads.columns import Array

if TYPE_CHECKING:
    from jaxtyping import Float, Shaped


def process_count() -> int:
    """Number of processes that train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def process_rank() -> int:
    """Rank of this process among them."""
    return dist.get_rank() if dist.is_initialized() else 0


# An operator of its own: compilers take it as it is, where they would break a graph at a collective.
@torch.library.custom_op("algoperf::sum_over_processes", mutates_args=())  # type: ignore[untyped-decorator, unused-ignore]
def sum_over_processes(values: torch.Tensor) -> torch.Tensor:
    """The sum of a tensor over all processes; each gets it, and its gradient is summed as well."""
    total = values.clone(memory_format=torch.contiguous_format)
    dist.all_reduce(total)
    return total


@sum_over_processes.register_fake  # type: ignore[untyped-decorator, unused-ignore]
def _(values: torch.Tensor) -> torch.Tensor:
    return torch.empty_like(values, memory_format=torch.contiguous_format)


def _backward(context: Any, gradient: torch.Tensor) -> torch.Tensor:
    # Every process's loss depends on every process's values.
    summed: torch.Tensor = sum_over_processes(gradient)
    return summed


sum_over_processes.register_autograd(_backward)


def global_moments(
    values: Float[torch.Tensor, "batch channels ..."], axes: tuple[int, ...], count: int, rank: int
) -> tuple[Float[torch.Tensor, " channels"], Float[torch.Tensor, " channels"]]:
    """Mean and biased variance over the values of all processes, in one exchange.

    The moments of each process are combined as in Chan et al. 1979: no difference of large sums.

    Args:
        values: `(batch, channels, ...)`; the batch may differ between processes.
        axes: All axes but that of the channels.
        count: Number of processes.
        rank: Rank of this one.

    Returns:
        Mean and variance `(channels,)`.
    """
    variance, mean = torch.var_mean(values, dim=axes, correction=0)
    number = mean.new_full((1,), values.numel() // mean.numel())
    own = torch.cat([number, mean, variance]).unsqueeze(0)
    before, after = own.new_zeros(rank, own.shape[1]), own.new_zeros(count - 1 - rank, own.shape[1])
    every = sum_over_processes(torch.cat([before, own, after]))
    numbers, means, variances = every.split([1, len(mean), len(mean)], dim=1)
    shares = numbers / numbers.sum()
    total_mean = (shares * means).sum(0)
    between = (means - total_mean).square()
    return total_mean, (shares * (variances + between)).sum(0)


def sum_totals(totals: torch.Tensor, failed: bool = False) -> Array:
    """Sums over all processes in double precision, in one exchange and one transfer to the host.

    Args:
        totals: The sums of this process, on the device, of the same shape on each.
        failed: Whether this process could not compute them; the others must not wait in vain.

    Returns:
        The sums on the host, of the shape of `totals`.

    Raises:
        EvaluationFailedElsewhereError: Another of the processes could not.
    """
    if process_count() == 1:
        return on_host(totals)
    flat = totals.detach().double().flatten()
    everything = torch.cat([flat, flat.new_full((1,), float(failed))])
    dist.all_reduce(everything)
    sums = on_host(everything)
    if sums[-1] and not failed:
        raise EvaluationFailedElsewhereError("the evaluation failed in another process")
    return sums[:-1].reshape(totals.shape)


def gather_rows(
    values: Shaped[torch.Tensor, "batch ..."],
) -> Shaped[torch.Tensor, "global_batch ..."]:
    """The rows `(batch, ...)` of all processes, in order of rank; all have equally many."""
    if process_count() == 1:
        return values
    parts = [torch.empty_like(values) for _ in range(process_count())]
    dist.all_gather(parts, values.contiguous())
    return torch.cat(parts)


def on_host(values: torch.Tensor) -> Array:
    """Copies a tensor to the host, without its gradient."""
    array: Array = values.detach().cpu().numpy()
    return array


class EvaluationFailedElsewhereError(RuntimeError):
    """Another process could not compute its part of an evaluation."""
