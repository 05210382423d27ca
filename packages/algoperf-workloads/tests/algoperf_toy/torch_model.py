"""The toy model in PyTorch."""

from typing import Any

import torch
from torch import nn

from algoperf_workloads.torch_layers import BatchNorm, SameConv2d, dropout, linear


class ToyNet(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = SameConv2d(2, width, 3, bias=True)
        self.bn = BatchNorm(width)
        self.hidden = linear(width, 7)
        self.ln = nn.LayerNorm(7, eps=1e-6)
        self.head = linear(7, 3)

    def forward(self, inputs: Any, dropout_rate: Any) -> Any:
        hidden = torch.relu(self.bn(self.conv(inputs.permute(0, 3, 1, 2))))
        hidden = torch.relu(self.ln(self.hidden(hidden.mean((2, 3)))))
        return self.head(dropout(hidden, dropout_rate, self.training))


class OrdinaryStartNet(ToyNet):
    """Defect: a layer starts as PyTorch's do."""

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.hidden = nn.Linear(width, 7)


class MaskingNet(ToyNet):
    """Defect: the host has to know how many values are chosen."""

    def forward(self, inputs: Any, dropout_rate: Any) -> Any:
        logits = super().forward(inputs, dropout_rate)
        return logits / logits.detach()[logits > 0].sum().clamp(1)


class OrdinaryNormNet(ToyNet):
    """Defect: PyTorch's own batch norm, whose running variance is not Flax's."""

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.bn = nn.BatchNorm2d(width)


class NoDropoutNet(ToyNet):
    """Defect: takes a dropout rate and does nothing with it."""

    def forward(self, inputs: Any, dropout_rate: Any) -> Any:
        return super().forward(inputs, 0.0)


class NoisyNet(ToyNet):
    """Defect: starts from parameters that no seed reproduces."""

    def __init__(self, width: int) -> None:
        super().__init__(width)
        torch.random.seed()
        nn.init.normal_(self.head.bias)


class WrongActivationNet(ToyNet):
    """Defect: another function than the model in Flax."""

    def forward(self, inputs: Any, dropout_rate: Any) -> Any:
        return super().forward(inputs, dropout_rate).sin()


class FixedDropoutNet(ToyNet):
    """Defect: drops the same values in every pass."""

    def forward(self, inputs: Any, dropout_rate: Any) -> Any:
        torch.manual_seed(0)
        return super().forward(inputs, dropout_rate)


class NeverOffNet(ToyNet):
    """Defect: drops values in evaluations, too."""

    def forward(self, inputs: Any, dropout_rate: Any) -> Any:
        return torch.dropout(super().forward(inputs, dropout_rate), dropout_rate, True)


class ReadingNet(ToyNet):
    """Defect: the host reads a value in every pass."""

    def forward(self, inputs: Any, dropout_rate: Any) -> Any:
        logits = super().forward(inputs, dropout_rate)
        return logits / max(float(logits.detach().abs().max()), 1.0)
