"""ResNets in Flax; `resnet_torch` is the same function."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import flax.linen as nn

from algoperf_workloads.jax_layers import ACTIVATIONS

if TYPE_CHECKING:
    from jax import Array
    from jaxtyping import Float


class _Block(nn.Module):  # type: ignore[misc]
    """What the blocks have in common.

    Attributes:
        filters: Width of the block's 3x3 convolutions.
        stride: Stride of the block.
        conv: Makes a convolution.
        norm: Makes a batch norm.
        activation: Follows the norms, the last one after the sum.
        scale_init: Initialises the scale of the last norm.
    """

    filters: int
    stride: int
    conv: Any
    norm: Any
    activation: Any
    scale_init: Any

    def _shortcut(self, inputs: Any, shape: tuple[int, ...]) -> Any:
        """The input of the block, projected if its output has another shape."""
        if inputs.shape == shape:
            return inputs
        projected = self.conv(shape[-1], (1, 1), strides=self.stride, name="Conv_proj")(inputs)
        return self.norm(name="BatchNorm_proj")(projected)


class BottleneckResNetBlock(_Block):
    """Convolutions 1x1, 3x3 with the stride, and 1x1 to four times the width, added to the input."""

    @nn.compact  # type: ignore[untyped-decorator]
    def __call__(
        self, inputs: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch out_height out_width out_channels"]:
        """Maps `(batch, height, width, channels)` to `(..., height / stride, width / stride, 4 filters)`."""
        hidden = self.activation(self.norm()(self.conv(self.filters, (1, 1))(inputs)))
        hidden = self.conv(self.filters, (3, 3), strides=self.stride)(hidden)
        hidden = self.activation(self.norm()(hidden))
        hidden = self.conv(4 * self.filters, (1, 1))(hidden)
        hidden = self.norm(scale_init=self.scale_init)(hidden)
        return self.activation(hidden + self._shortcut(inputs, hidden.shape))


class ResNetBlock(_Block):
    """Convolutions 3x3 with the stride and 3x3, added to the input."""

    @nn.compact  # type: ignore[untyped-decorator]
    def __call__(
        self, inputs: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch out_height out_width out_channels"]:
        """Maps `(batch, height, width, channels)` to `(..., height / stride, width / stride, filters)`."""
        hidden = self.conv(self.filters, (3, 3), strides=self.stride)(inputs)
        hidden = self.activation(self.norm()(hidden))
        hidden = self.norm(scale_init=self.scale_init)(self.conv(self.filters, (3, 3))(hidden))
        return self.activation(hidden + self._shortcut(inputs, hidden.shape))


class ResNet(nn.Module):  # type: ignore[misc]
    """A ResNet; its options are those of `algoperf_vision.resnet.resnet`.

    Attributes:
        stage_sizes: Number of blocks of each stage.
        num_classes: Number of classes.
        num_filters: Width of the first stage.
        bottleneck: Whether blocks are bottlenecks.
        small_images: Whether the first convolution keeps the resolution.
        activation: Name of the activation.
        bn_init_scale: Initial scale of the last batch norm of every block.
    """

    stage_sizes: Sequence[int]
    num_classes: int
    num_filters: int
    bottleneck: bool
    small_images: bool
    activation: str
    bn_init_scale: float

    @nn.compact  # type: ignore[untyped-decorator]
    def __call__(
        self, inputs: Float[Array, "batch height width channels"], train: bool
    ) -> Float[Array, "batch classes"]:
        """Images `(batch, height, width, channels)` to logits `(batch, num_classes)`."""
        conv = partial(nn.Conv, use_bias=False, padding="SAME")
        norm = partial(nn.BatchNorm, use_running_average=not train, momentum=0.9, epsilon=1e-5)
        activation = ACTIVATIONS[self.activation]
        scale_init = nn.initializers.constant(self.bn_init_scale)
        hidden = activation(norm(name="BatchNorm_init")(self._first_convolution(inputs)))
        if not self.small_images:
            hidden = nn.max_pool(hidden, (3, 3), strides=(2, 2), padding=((1, 1), (1, 1)))
        block = BottleneckResNetBlock if self.bottleneck else ResNetBlock
        for stage, size in enumerate(self.stage_sizes):
            for index in range(size):
                stride = 2 if stage > 0 and index == 0 else 1
                filters = self.num_filters * 2**stage
                hidden = block(filters, stride, conv, norm, activation, scale_init)(hidden)
        kernel_init = nn.initializers.normal(0.01)
        return nn.Dense(self.num_classes, kernel_init=kernel_init)(hidden.mean((1, 2)))

    def _first_convolution(self, inputs: Any) -> Any:
        window, stride = (3, 1) if self.small_images else (7, 2)
        return nn.Conv(
            self.num_filters,
            (window, window),
            strides=stride,
            padding=window // 2,
            use_bias=False,
            name="Conv_init",
        )(inputs)
