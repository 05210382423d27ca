"""U-Nets in PyTorch; `unet_jax` is the same function."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from algoperf_workloads.torch_layers import (
    SameConv2d,
    broadcast_dropout,
    instance_norm,
    lecun_normal_,
)

if TYPE_CHECKING:
    from jaxtyping import Float

Activation = Callable[[torch.Tensor], torch.Tensor]
_leaky_relu = partial(functional.leaky_relu, negative_slope=0.2)


class InstanceNorm(nn.Module):  # type: ignore[misc]
    """Instance norm without parameters."""

    def forward(
        self, images: Float[torch.Tensor, "batch channels height width"]
    ) -> Float[torch.Tensor, "batch channels height width"]:
        """Normalises every channel of `(batch, channels, height, width)` over its positions."""
        return instance_norm(images)


class ConvBlock(nn.Module):  # type: ignore[misc]
    """Twice a 3x3 convolution without bias, a norm, an activation, and dropout of whole channels.

    Args:
        inputs: Channels of the input.
        channels: Channels of the output.
        activation: Activation.
        use_layer_norm: Whether the norm is over an image with parameters, else over a channel without.
    """

    def __init__(
        self, inputs: int, channels: int, activation: Activation, use_layer_norm: bool
    ) -> None:
        super().__init__()
        self.activation = activation
        self.conv1, self.norm1 = SameConv2d(inputs, channels, 3), _norm(channels, use_layer_norm)
        self.conv2, self.norm2 = SameConv2d(channels, channels, 3), _norm(channels, use_layer_norm)

    def forward(
        self, images: Float[torch.Tensor, "batch inputs height width"], dropout_rate: float
    ) -> Float[torch.Tensor, "batch channels height width"]:
        """Maps `(batch, inputs, height, width)` to `(batch, channels, height, width)`."""
        for conv, norm in ((self.conv1, self.norm1), (self.conv2, self.norm2)):
            images = self.activation(norm(conv(images)))
            images = broadcast_dropout(images, dropout_rate, self.training, dims=(2, 3))
        return images


def _norm(channels: int, use_layer_norm: bool) -> nn.Module:
    # One group is the layer norm over channels and positions that Flax has.
    return nn.GroupNorm(1, channels, eps=1e-6) if use_layer_norm else InstanceNorm()


class TransposeConvBlock(nn.Module):  # type: ignore[misc]
    """A transposed 2x2 convolution with stride 2 and no bias, instance norm, an activation.

    Args:
        inputs: Channels of the input.
        channels: Channels of the output.
        activation: Activation.
    """

    def __init__(self, inputs: int, channels: int, activation: Activation) -> None:
        super().__init__()
        self.activation = activation
        self.conv = nn.ConvTranspose2d(inputs, channels, 2, stride=2, bias=False)
        lecun_normal_(self.conv.weight, fan_in=4 * inputs)

    def forward(
        self, images: Float[torch.Tensor, "batch inputs height width"]
    ) -> Float[torch.Tensor, "batch channels out_height out_width"]:
        """Maps `(batch, inputs, height, width)` to `(batch, channels, 2 height, 2 width)`."""
        return self.activation(instance_norm(self.conv(images)))


class UNet(nn.Module):  # type: ignore[misc]
    """A U-Net; its options are those of `algoperf_vision.unet.unet`.

    Args:
        num_channels: Channels at full resolution.
        num_pool_layers: Number of times that the resolution is halved.
        use_tanh: Whether activations are tanh, else leaky ReLU.
        use_layer_norm: Whether convolution blocks have layer norms, else instance norms.
    """

    def __init__(
        self, num_channels: int, num_pool_layers: int, use_tanh: bool, use_layer_norm: bool
    ) -> None:
        super().__init__()
        activation = torch.tanh if use_tanh else _leaky_relu
        block = partial(ConvBlock, activation=activation, use_layer_norm=use_layer_norm)
        widths = [num_channels * 2**level for level in range(num_pool_layers + 1)]
        steps = list(pairwise(widths))
        self.down_blocks = nn.ModuleList(map(block, [1, *widths], widths[:-1]))
        self.bottom = block(widths[-2], widths[-1])
        self.up_convs = nn.ModuleList(
            [TransposeConvBlock(below, width, activation) for width, below in reversed(steps)]
        )
        self.up_blocks = nn.ModuleList([block(below, width) for width, below in reversed(steps)])
        self.final_conv = SameConv2d(num_channels, 1, 1, bias=True)

    def forward(
        self, inputs: Float[torch.Tensor, "batch height width"], dropout_rate: float
    ) -> Float[torch.Tensor, "batch height width"]:
        """Maps images `(batch, height, width)` to images of the same shape."""
        images, skipped = inputs.unsqueeze(1), []
        for block in self.down_blocks:
            images = block(images, dropout_rate)
            skipped.append(images)
            images = functional.avg_pool2d(images, 2)
        images = self.bottom(images, dropout_rate)
        for conv, block, skip in zip(self.up_convs, self.up_blocks, skipped[::-1], strict=True):
            images = torch.cat([_reach(conv(images), skip), skip], dim=1)
            images = block(images, dropout_rate)
        outputs: torch.Tensor = self.final_conv(images).squeeze(1)
        return outputs


def _reach(images: torch.Tensor, skipped: torch.Tensor) -> torch.Tensor:
    """Adds a reflected last row or column where halving an odd size has lost one."""
    rows, columns = (skipped.shape[axis] - images.shape[axis] for axis in (2, 3))
    if rows == columns == 0:
        return images
    return functional.pad(images, (0, columns, 0, rows), mode="reflect")
