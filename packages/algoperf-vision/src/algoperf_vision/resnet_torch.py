"""ResNets in PyTorch; `resnet_jax` is the same function."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from algoperf_workloads.torch_layers import (
    ACTIVATIONS,
    BatchNorm,
    SameConv2d,
    lecun_normal_,
    linear,
)

if TYPE_CHECKING:
    from jaxtyping import Float

Activation = Callable[[torch.Tensor], torch.Tensor]


class BottleneckResNetBlock(nn.Module):  # type: ignore[misc]
    """Convolutions 1x1, 3x3 with the stride, and 1x1 to four times the width, added to the input.

    Args:
        channels: Channels of the input.
        filters: Width of the first two convolutions.
        stride: Stride of the block.
        activation: Follows the norms, the last one after the sum.
        bn_init_scale: Initial scale of the last norm.
    """

    expansion = 4

    def __init__(
        self, channels: int, filters: int, stride: int, activation: Activation, bn_init_scale: float
    ) -> None:
        super().__init__()
        outputs = filters * self.expansion
        self.activation = activation
        self.conv1, self.bn1 = SameConv2d(channels, filters, 1), BatchNorm(filters)
        self.conv2, self.bn2 = SameConv2d(filters, filters, 3, stride), BatchNorm(filters)
        self.conv3, self.bn3 = SameConv2d(filters, outputs, 1), BatchNorm(outputs)
        self.downsample = _downsample(channels, outputs, stride)
        nn.init.constant_(self.bn3.weight, bn_init_scale)

    def forward(
        self, inputs: Float[torch.Tensor, "batch channels height width"]
    ) -> Float[torch.Tensor, "batch out_channels out_height out_width"]:
        """Maps `(batch, channels, height, width)` to `(batch, 4 filters, ...)`, divided by the stride."""
        hidden = self.activation(self.bn1(self.conv1(inputs)))
        hidden = self.activation(self.bn2(self.conv2(hidden)))
        return self.activation(self.bn3(self.conv3(hidden)) + self.downsample(inputs))


class ResNetBlock(nn.Module):  # type: ignore[misc]
    """Convolutions 3x3 with the stride and 3x3, added to the input.

    Args:
        channels: Channels of the input.
        filters: Width of both convolutions.
        stride: Stride of the block.
        activation: Follows the norms, the last one after the sum.
        bn_init_scale: Initial scale of the last norm.
    """

    expansion = 1

    def __init__(
        self, channels: int, filters: int, stride: int, activation: Activation, bn_init_scale: float
    ) -> None:
        super().__init__()
        self.activation = activation
        self.conv1, self.bn1 = SameConv2d(channels, filters, 3, stride), BatchNorm(filters)
        self.conv2, self.bn2 = SameConv2d(filters, filters, 3), BatchNorm(filters)
        self.downsample = _downsample(channels, filters, stride)
        nn.init.constant_(self.bn2.weight, bn_init_scale)

    def forward(
        self, inputs: Float[torch.Tensor, "batch channels height width"]
    ) -> Float[torch.Tensor, "batch out_channels out_height out_width"]:
        """Maps `(batch, channels, height, width)` to `(batch, filters, height / stride, width / stride)`."""
        hidden = self.activation(self.bn1(self.conv1(inputs)))
        return self.activation(self.bn2(self.conv2(hidden)) + self.downsample(inputs))


def _downsample(channels: int, outputs: int, stride: int) -> nn.Module:
    if channels == outputs and stride == 1:
        return nn.Identity()
    layers = {"conv": SameConv2d(channels, outputs, 1, stride), "bn": BatchNorm(outputs)}
    return nn.Sequential(OrderedDict(layers))


class ResNet(nn.Module):  # type: ignore[misc]
    """A ResNet; its options are those of `algoperf_vision.resnet.resnet`.

    Args:
        stage_sizes: Number of blocks of each stage.
        num_classes: Number of classes.
        num_filters: Width of the first stage.
        bottleneck: Whether blocks are bottlenecks.
        small_images: Whether the first convolution keeps the resolution.
        activation: Name of the activation.
        bn_init_scale: Initial scale of the last batch norm of every block.
    """

    def __init__(
        self,
        stage_sizes: Sequence[int],
        num_classes: int,
        num_filters: int,
        bottleneck: bool,
        small_images: bool,
        activation: str,
        bn_init_scale: float,
    ) -> None:
        super().__init__()
        self.activation, self.small_images = ACTIVATIONS[activation], small_images
        window, stride = (3, 1) if small_images else (7, 2)
        self.conv1 = nn.Conv2d(3, num_filters, window, stride, padding=window // 2, bias=False)
        lecun_normal_(self.conv1.weight)
        self.bn1 = BatchNorm(num_filters)
        block = BottleneckResNetBlock if bottleneck else ResNetBlock
        channels, self.num_stages = num_filters, len(stage_sizes)
        for stage, size in enumerate(stage_sizes):
            blocks = []
            for index in range(size):
                stride = 2 if stage > 0 and index == 0 else 1
                filters = num_filters * 2**stage
                blocks.append(block(channels, filters, stride, self.activation, bn_init_scale))
                channels = filters * block.expansion
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
        self.fc = linear(channels, num_classes, lambda weight: nn.init.normal_(weight, std=0.01))

    def forward(
        self, inputs: Float[torch.Tensor, "batch height width 3"]
    ) -> Float[torch.Tensor, "batch classes"]:
        """Maps images `(batch, height, width, 3)` to logits `(batch, num_classes)`."""
        hidden = self.activation(self.bn1(self.conv1(inputs.permute(0, 3, 1, 2))))
        if not self.small_images:
            hidden = functional.max_pool2d(hidden, 3, stride=2, padding=1)
        for stage in range(self.num_stages):
            hidden = self.get_submodule(f"layer{stage + 1}")(hidden)
        logits: torch.Tensor = self.fc(hidden.mean((2, 3)))
        return logits
