"""The model of `digits` in PyTorch; `digits_jax` is the same function."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import nn

from algoperf_workloads.torch_layers import BatchNorm, lecun_normal_

if TYPE_CHECKING:
    from jaxtyping import Float


class ConvBlock(nn.Module):  # type: ignore[misc]
    """Convolution 3x3 without bias, batch norm, ReLU.

    Args:
        channels: Channels of the input.
        width: Channels of the output.
        stride: Stride of the convolution.
    """

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, width, 3, stride, padding=1, bias=False)
        self.bn = BatchNorm(width)
        lecun_normal_(self.conv.weight)

    def forward(
        self, hidden: Float[torch.Tensor, "batch channels height width"]
    ) -> Float[torch.Tensor, "batch width out_height out_width"]:
        """Maps `(batch, channels, height, width)` to `(batch, width, height / stride, width / stride)`."""
        return torch.relu(self.bn(self.conv(hidden)))


class DigitsNet(nn.Module):  # type: ignore[misc]
    """Convolution blocks, then the mean over all positions, then a dense layer.

    Args:
        widths: Output channels of the convolutions.
        strides: Strides of the convolutions.
        num_classes: Number of classes.
    """

    def __init__(self, widths: Sequence[int], strides: Sequence[int], num_classes: int) -> None:
        super().__init__()
        channels = (1, *widths)
        self.blocks = nn.Sequential(*map(ConvBlock, channels, widths, strides))
        self.fc = nn.Linear(channels[-1], num_classes)
        lecun_normal_(self.fc.weight)
        nn.init.zeros_(self.fc.bias)

    def forward(
        self, inputs: Float[torch.Tensor, "batch height width 1"]
    ) -> Float[torch.Tensor, "batch classes"]:
        """Maps images `(batch, height, width, 1)` to logits `(batch, num_classes)`."""
        hidden = self.blocks(inputs.permute(0, 3, 1, 2))
        logits: torch.Tensor = self.fc(hidden.mean((2, 3)))
        return logits
