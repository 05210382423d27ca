"""PyTorch layers that compute what their Flax counterparts compute."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from algoperf_workloads.torch_collectives import global_moments, process_count, process_rank

# Standard deviation of a standard normal distribution cut off at two standard deviations.
_TRUNCATED_STDDEV = 0.87962566103423978


class BatchNorm(_BatchNorm):  # type: ignore[misc]
    """Batch normalisation over all axes but the second; running averages as in Flax.

    In train mode, the batch is the global one: processes that train together normalise with the same
    statistics, and have the same running averages. They must be together when the layer is made.

    `running_var` averages the biased variance of the batch, the one that training normalises with.
    In train mode, `update_running_average = False` leaves the running averages alone. `momentum` is
    PyTorch's, 1 minus Flax's; None averages all batches alike.

    Args:
        num_features: Number of channels.
        eps: Added to the variance.
        momentum: Weight of the newest batch in the running averages.
    """

    update_running_average: bool = True

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1) -> None:
        super().__init__(num_features, eps, momentum)
        self._processes, self._rank = process_count(), process_rank()

    def _check_input_dim(self, input: torch.Tensor) -> None:
        if input.ndim < 2:
            raise ValueError(
                f"expected an input (batch, channels, ...), got shape {tuple(input.shape)}"
            )

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Normalises `(batch, channels, ...)`; the shape stays."""
        self._check_input_dim(input)
        if not self.training:
            return self._normalise(input, self.running_mean, self.running_var, 0.0)
        if self._processes > 1:
            return self._normalise_globally(input)
        if not self.update_running_average:
            return self._normalise(input, None, None, 0.0)
        # With momentum 1 the two buffers take the statistics of this batch, the variance unbiased.
        mean, variance = torch.zeros_like(self.running_mean), torch.zeros_like(self.running_var)
        output = self._normalise(input, mean, variance, 1.0)
        count = input.numel() // input.shape[1]
        self._average(mean, variance * ((count - 1) / count))
        return output

    def _normalise(self, input: torch.Tensor, mean: Any, variance: Any, momentum: float) -> Any:
        parameters = (mean, variance, self.weight, self.bias)
        return functional.batch_norm(input, *parameters, self.training, momentum, self.eps)

    def _normalise_globally(self, input: torch.Tensor) -> torch.Tensor:
        axes = (0, *range(2, input.ndim))
        values = input.float() if input.dtype in (torch.float16, torch.bfloat16) else input
        mean, variance = global_moments(values, axes, self._processes, self._rank)
        if self.update_running_average:
            self._average(mean.detach(), variance.detach())
        scale = self.weight * torch.rsqrt(variance + self.eps)
        shape = (1, -1) + (1,) * (input.ndim - 2)
        normalised = (values - mean.view(shape)) * scale.view(shape) + self.bias.view(shape)
        return normalised.to(input.dtype)

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def _average(self, mean: torch.Tensor, variance: torch.Tensor) -> None:
        self.num_batches_tracked.add_(1)
        weight = self.momentum if self.momentum is not None else 1.0 / self.num_batches_tracked
        self.running_mean.lerp_(mean, weight)
        self.running_var.lerp_(variance, weight)


def set_batch_norm_updates(model: torch.nn.Module, enabled: bool) -> None:
    """Says whether the batch norms of a model update their running averages in train mode."""
    for module in model.modules():
        if isinstance(module, BatchNorm):
            module.update_running_average = enabled


def dropout(values: torch.Tensor, rate: Any, training: bool) -> torch.Tensor:
    """Zeroes values with probability `rate`, a number, and scales the others by `1 / (1 - rate)`."""
    return functional.dropout(values, float(rate), training) if training else values


def lecun_normal_(weight: torch.Tensor) -> torch.Tensor:
    """Fills a weight `(out, in, ...)` in place with a truncated normal of variance `1 / fan_in`.

    The distribution is cut off at two standard deviations before its variance is corrected
    (LeCun et al. 1998, as in `jax.nn.initializers.lecun_normal`).
    """
    fan_in = weight[0].numel()
    stddev = math.sqrt(1.0 / fan_in) / _TRUNCATED_STDDEV
    return torch.nn.init.trunc_normal_(weight, std=stddev, a=-2.0 * stddev, b=2.0 * stddev)
