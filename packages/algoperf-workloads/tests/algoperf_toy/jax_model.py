"""The toy model in Flax."""

from typing import Any

import flax.linen as nn

from algoperf_workloads.jax_layers import Dropout


class ToyNet(nn.Module):
    width: int

    @nn.compact
    def __call__(self, inputs: Any, train: bool, dropout_rate: Any) -> Any:
        hidden = nn.Conv(self.width, (3, 3), padding=1)(inputs)
        hidden = nn.relu(nn.BatchNorm(use_running_average=not train, momentum=0.9)(hidden))
        hidden = nn.Dense(7)(hidden.mean((1, 2)))
        hidden = nn.relu(nn.LayerNorm()(hidden))
        return nn.Dense(3)(Dropout()(hidden, dropout_rate, train))


class MixingNet(ToyNet):
    """Defect: the logits of an example depend on the others, in evaluations, too."""

    @nn.compact
    def __call__(self, inputs: Any, train: bool, dropout_rate: Any) -> Any:
        logits = super().__call__(inputs, train, dropout_rate)
        return logits - logits.mean(0)


class ReadingNet(ToyNet):
    """Defect: the host reads a value in every training pass."""

    @nn.compact
    def __call__(self, inputs: Any, train: bool, dropout_rate: Any) -> Any:
        logits = super().__call__(inputs, train, dropout_rate)
        if not train:
            return logits
        return logits / max(float(abs(logits).max()), 1.0)
