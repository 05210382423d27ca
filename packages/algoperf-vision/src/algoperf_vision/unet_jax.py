"""U-Nets in Flax; `unet_torch` is the same function."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import flax.linen as nn
import jax.numpy as jnp

from algoperf_workloads.jax_layers import Dropout, instance_norm

if TYPE_CHECKING:
    from jax import Array
    from jaxtyping import Float

_leaky_relu = partial(nn.leaky_relu, negative_slope=0.2)


class ConvBlock(nn.Module):  # type: ignore[misc]
    """Twice a 3x3 convolution without bias, a norm, an activation, and dropout of whole channels.

    Attributes:
        channels: Channels of the output.
        use_tanh: Whether the activation is tanh, else leaky ReLU.
        use_layer_norm: Whether the norm is over an image with parameters, else over a channel without.
    """

    channels: int
    use_tanh: bool
    use_layer_norm: bool

    @nn.compact  # type: ignore[untyped-decorator]
    def __call__(
        self, images: Float[Array, "batch height width inputs"], train: bool, dropout_rate: Any
    ) -> Float[Array, "batch height width channels"]:
        """Maps `(batch, height, width, inputs)` to `(batch, height, width, channels)`."""
        activation = jnp.tanh if self.use_tanh else _leaky_relu
        for _ in range(2):
            images = nn.Conv(self.channels, (3, 3), use_bias=False)(images)
            if self.use_layer_norm:
                images = nn.LayerNorm(reduction_axes=(1, 2, 3))(images)
            else:
                images = instance_norm(images)
            images = Dropout(broadcast_dims=(1, 2))(activation(images), dropout_rate, train)
        return images


class TransposeConvBlock(nn.Module):  # type: ignore[misc]
    """A transposed 2x2 convolution with stride 2 and no bias, instance norm, an activation.

    Attributes:
        channels: Channels of the output.
        use_tanh: Whether the activation is tanh, else leaky ReLU.
    """

    channels: int
    use_tanh: bool

    @nn.compact  # type: ignore[untyped-decorator]
    def __call__(
        self, images: Float[Array, "batch height width inputs"]
    ) -> Float[Array, "batch out_height out_width channels"]:
        """Maps `(batch, height, width, inputs)` to `(batch, 2 height, 2 width, channels)`."""
        images = nn.ConvTranspose(self.channels, (2, 2), strides=(2, 2), use_bias=False)(images)
        return (jnp.tanh if self.use_tanh else _leaky_relu)(instance_norm(images))


class UNet(nn.Module):  # type: ignore[misc]
    """A U-Net; its options are those of `algoperf_vision.unet.unet`.

    Attributes:
        num_channels: Channels at full resolution.
        num_pool_layers: Number of times that the resolution is halved.
        use_tanh: Whether activations are tanh, else leaky ReLU.
        use_layer_norm: Whether convolution blocks have layer norms, else instance norms.
    """

    num_channels: int
    num_pool_layers: int
    use_tanh: bool
    use_layer_norm: bool

    @nn.compact  # type: ignore[untyped-decorator]
    def __call__(
        self, inputs: Float[Array, "batch height width"], train: bool, dropout_rate: Any
    ) -> Float[Array, "batch height width"]:
        """Images `(batch, height, width)` to images of the same shape."""

        def block(level: int, images: Any) -> Any:
            layers = ConvBlock(self.num_channels * 2**level, self.use_tanh, self.use_layer_norm)
            return layers(images, train, dropout_rate)

        images, skipped = inputs[..., None], []
        for level in range(self.num_pool_layers):
            images = block(level, images)
            skipped.append(images)
            images = nn.avg_pool(images, (2, 2), strides=(2, 2))
        images = block(self.num_pool_layers, images)
        for level in reversed(range(self.num_pool_layers)):
            images = TransposeConvBlock(self.num_channels * 2**level, self.use_tanh)(images)
            images = jnp.concatenate([_reach(images, skipped[level]), skipped[level]], axis=-1)
            images = block(level, images)
        return nn.Conv(1, (1, 1))(images)[..., 0]


def _reach(images: Any, skipped: Any) -> Any:
    """Adds a reflected last row or column where halving an odd size has lost one."""
    missing = [wanted - size for wanted, size in zip(skipped.shape, images.shape, strict=True)]
    return jnp.pad(images, ((0, 0), (0, missing[1]), (0, missing[2]), (0, 0)), mode="reflect")
