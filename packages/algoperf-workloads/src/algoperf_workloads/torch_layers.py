"""PyTorch layers that compute what their Flax counterparts compute."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from algoperf_workloads.torch_collectives import global_moments, process_count, process_rank

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

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

    def forward(
        self, input: Float[torch.Tensor, "batch channels ..."]
    ) -> Float[torch.Tensor, "batch channels ..."]:
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


def dropout(
    values: Float[torch.Tensor, ...], rate: Any, training: bool
) -> Float[torch.Tensor, ...]:
    """Zeroes values with probability `rate`, a number, and scales the others by `1 / (1 - rate)`."""
    return functional.dropout(values, float(rate), training) if training else values


def lecun_normal_(
    weight: Float[torch.Tensor, "outputs inputs ..."], fan_in: int | None = None
) -> Float[torch.Tensor, "outputs inputs ..."]:
    """Fills a weight `(out, in, ...)` in place with a truncated normal of variance `1 / fan_in`.

    The distribution is cut off at two standard deviations before its variance is corrected
    (LeCun et al. 1998, as in `jax.nn.initializers.lecun_normal`).

    Args:
        weight: The weight.
        fan_in: Number of inputs of an output; None for `in` times the size of the window.
    """
    fan_in = weight[0].numel() if fan_in is None else fan_in
    stddev = math.sqrt(1.0 / fan_in) / _TRUNCATED_STDDEV
    return torch.nn.init.trunc_normal_(weight, std=stddev, a=-2.0 * stddev, b=2.0 * stddev)


ACTIVATIONS: Mapping[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "relu": functional.relu,
    "silu": functional.silu,
    "gelu": partial(functional.gelu, approximate="tanh"),
    "tanh": torch.tanh,
}
"""Activations by the names that models take as options; `gelu` is the tanh approximation."""

Initialiser = Callable[[torch.Tensor], Any]
LayerNorm = partial(torch.nn.LayerNorm, eps=1e-6)
"""`torch.nn.LayerNorm` with the epsilon of Flax."""


def broadcast_dropout(
    values: Float[torch.Tensor, ...], rate: Any, training: bool, dims: Sequence[int]
) -> Float[torch.Tensor, ...]:
    """Dropout that drops values together along some axes; dims `(2, 3)` drop whole channels of images."""
    if not training or rate == 0.0:
        return values
    shape = [1 if axis in dims else size for axis, size in enumerate(values.shape)]
    return values * functional.dropout(values.new_ones(shape), float(rate))


def instance_norm(
    values: Float[torch.Tensor, "batch channels height width"], eps: float = 1e-5
) -> Float[torch.Tensor, "batch channels height width"]:
    """Normalises every channel of every image `(batch, channels, height, width)` over its positions.

    No parameters, no running averages (Ulyanov et al. 2016); the variance is the biased one. Unlike
    PyTorch's own it keeps the memory format.
    """
    variance, mean = torch.var_mean(values, (2, 3), correction=0, keepdim=True)
    return (values - mean) * torch.rsqrt(variance + eps)


def linear(
    inputs: int,
    outputs: int,
    weight_init: Initialiser = lecun_normal_,
    bias_init: Initialiser = torch.nn.init.zeros_,
) -> torch.nn.Linear:
    """A linear layer that starts as `flax.linen.Dense` does, unless told otherwise."""
    layer = torch.nn.Linear(inputs, outputs)
    weight_init(layer.weight)
    bias_init(layer.bias)
    return layer


def same_padding(size: int, window: int, stride: int) -> tuple[int, int]:
    """Padding before and after an axis in the mode `SAME` of Flax and TensorFlow.

    The output has `ceil(size / stride)` positions; if the padding is odd, more of it comes after.
    """
    total = max((-(-size // stride) - 1) * stride + window - size, 0)
    return total // 2, total - total // 2


class SameConv2d(torch.nn.Conv2d):  # type: ignore[misc]
    """Convolution with the padding `SAME` of Flax and LeCun normal weights.

    PyTorch pads both sides alike; `SAME` with stride 2 pads an even size after its end only.

    Args:
        inputs: Channels of the input.
        outputs: Channels of the output.
        window: Height and width of the kernel.
        stride: Stride in both directions.
        bias: Whether there is a bias, which starts as 0.
    """

    def __init__(
        self, inputs: int, outputs: int, window: int, stride: int = 1, bias: bool = False
    ) -> None:
        super().__init__(inputs, outputs, window, stride, bias=bias)
        lecun_normal_(self.weight)
        if bias:
            torch.nn.init.zeros_(self.bias)

    def forward(
        self, input: Float[torch.Tensor, "batch inputs height width"]
    ) -> Float[torch.Tensor, "batch outputs out_height out_width"]:
        """Maps `(batch, inputs, height, width)` to `(batch, outputs, height / stride, width / stride)`."""
        (window, _), (stride, _) = self.kernel_size, self.stride
        rows, columns = (same_padding(size, window, stride) for size in input.shape[2:])
        padding = rows[0], columns[0]
        if rows[0] != rows[1] or columns[0] != columns[1]:
            input, padding = functional.pad(input, (*columns, *rows)), (0, 0)
        return functional.conv2d(input, self.weight, self.bias, self.stride, padding)


class MultiHeadAttention(torch.nn.Module):  # type: ignore[misc]
    """Scaled dot-product attention with several heads (Vaswani et al. 2017), as in Flax.

    `query`, `key`, `value` and `out` are linear layers; the channels of a head are adjacent. Weights
    start Xavier uniform, biases as 0.

    Args:
        width: Channels of inputs, outputs and of all heads together.
        num_heads: Number of heads, a divisor of `width`.
    """

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        for name in ("query", "key", "value", "out"):
            self.add_module(name, linear(width, width, torch.nn.init.xavier_uniform_))

    def forward(
        self,
        queries: Float[torch.Tensor, "batch queries width"],
        context: Float[torch.Tensor, "batch keys width"],
        mask: Bool[torch.Tensor, ...] | None = None,
    ) -> Float[torch.Tensor, "batch queries width"]:
        """Looks up, for every query, a mixture of the values of the context.

        Args:
            queries: `(batch, queries, width)`.
            context: `(batch, keys, width)`.
            mask: True where a query may look, broadcast to `(batch, heads, queries, keys)`; None for
                everywhere.

        Returns:
            `(batch, queries, width)`.
        """
        attended = functional.scaled_dot_product_attention(
            self._heads(self.query(queries)),
            self._heads(self.key(context)),
            self._heads(self.value(context)),
            mask,
        )
        output: torch.Tensor = self.out(attended.transpose(1, 2).flatten(2))
        return output

    def _heads(self, projected: torch.Tensor) -> torch.Tensor:
        return projected.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
