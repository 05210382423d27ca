"""MNIST's network in PyTorch; `mlp_jax` is the same function."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

import torch
from torch import nn

from algoperf_workloads.torch_layers import linear

if TYPE_CHECKING:
    from jaxtyping import Float


class MLP(nn.Module):  # type: ignore[misc]
    """Linear, sigmoid, linear.

    Args:
        input_size: Number of values of an input.
        num_hidden: Units of the hidden layer.
        num_classes: Number of classes.
    """

    def __init__(self, input_size: int, num_hidden: int, num_classes: int) -> None:
        super().__init__()
        layers = {
            "layer1": linear(input_size, num_hidden),
            "sigmoid": nn.Sigmoid(),
            "layer2": linear(num_hidden, num_classes),
        }
        self.net = nn.Sequential(OrderedDict(layers))

    def forward(
        self, inputs: Float[torch.Tensor, "batch ..."]
    ) -> Float[torch.Tensor, "batch classes"]:
        """Maps inputs `(batch, ...)` of any shape to logits `(batch, num_classes)`."""
        logits: torch.Tensor = self.net(inputs.flatten(1))
        return logits
