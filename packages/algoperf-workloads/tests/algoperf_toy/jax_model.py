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
