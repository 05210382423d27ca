"""Vision transformers in Flax; `vit_torch` is the same function."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from algoperf_workloads.jax_layers import Dropout

if TYPE_CHECKING:
    from jax import Array
    from jaxtyping import Float

_XAVIER = nn.initializers.xavier_uniform()


def position_embedding(height: int, width: int, channels: int) -> Any:
    """Fixed positions of a grid of tokens: sines and cosines of both coordinates.

    Args:
        height: Rows of tokens.
        width: Columns of tokens.
        channels: A multiple of 4; wave lengths are geometric from 2 pi to 20,000 pi tokens.

    Returns:
        `(height * width, channels)`, row by row, float32.
    """
    count = channels // 4
    frequencies = 10_000.0 ** (-np.arange(count) / (count - 1))
    rows, columns = np.mgrid[:height, :width].reshape(2, -1, 1) * frequencies
    waves = [np.sin(columns), np.cos(columns), np.sin(rows), np.cos(rows)]
    return np.concatenate(waves, axis=1).astype(np.float32)


class MlpBlock(nn.Module):  # type: ignore[misc]
    """Dense, GELU, a gate if asked for, dropout, dense.

    Attributes:
        mlp_dim: Width inside.
        use_glu: Whether the activations are multiplied with a linear function of themselves.
    """

    mlp_dim: int
    use_glu: bool = False

    @nn.compact  # type: ignore[untyped-decorator]
    def __call__(
        self, tokens: Float[Array, "batch tokens width"], train: bool, dropout_rate: Any
    ) -> Float[Array, "batch tokens width"]:
        """Maps `(batch, tokens, width)` to the same shape."""
        inits = {"kernel_init": _XAVIER, "bias_init": nn.initializers.normal(1e-6)}
        hidden = nn.gelu(nn.Dense(self.mlp_dim, **inits)(tokens), approximate=True)
        if self.use_glu:
            hidden = hidden * nn.Dense(self.mlp_dim, **inits)(hidden)
        hidden = Dropout()(hidden, dropout_rate, train)
        return nn.Dense(tokens.shape[-1], **inits)(hidden)


class EncoderBlock(nn.Module):  # type: ignore[misc]
    """Self-attention and an MLP, both with dropout, a residual sum and a layer norm.

    Attributes:
        mlp_dim: Width inside the MLP.
        num_heads: Number of attention heads.
        use_glu: Whether the MLP is gated.
        use_post_layer_norm: Whether the norms come after the sums, else before the layers.
    """

    mlp_dim: int
    num_heads: int
    use_glu: bool
    use_post_layer_norm: bool

    @nn.compact  # type: ignore[untyped-decorator]
    def __call__(
        self, tokens: Float[Array, "batch tokens width"], train: bool, dropout_rate: Any
    ) -> Float[Array, "batch tokens width"]:
        """Maps `(batch, tokens, width)` to the same shape."""
        norms = nn.LayerNorm(name="LayerNorm_0"), nn.LayerNorm(name="LayerNorm_2")
        attention = nn.MultiHeadDotProductAttention(
            self.num_heads, kernel_init=_XAVIER, name="MultiHeadDotProductAttention_1"
        )
        mlp = MlpBlock(self.mlp_dim, self.use_glu, name="MlpBlock_3")
        layers = attention, lambda hidden: mlp(hidden, train, dropout_rate)
        for norm, layer in zip(norms, layers, strict=True):
            hidden = layer(tokens if self.use_post_layer_norm else norm(tokens))
            tokens = tokens + Dropout()(hidden, dropout_rate, train)
            tokens = norm(tokens) if self.use_post_layer_norm else tokens
        return tokens


class Encoder(nn.Module):  # type: ignore[misc]
    """Encoder blocks, and a layer norm at the end if theirs come first.

    Attributes:
        depth: Number of blocks.
        mlp_dim: Width inside the MLPs.
        num_heads: Number of attention heads.
        use_glu: Whether the MLPs are gated.
        use_post_layer_norm: Whether the norms come after the sums.
    """

    depth: int
    mlp_dim: int
    num_heads: int
    use_glu: bool
    use_post_layer_norm: bool

    @nn.compact  # type: ignore[untyped-decorator]
    def __call__(
        self, tokens: Float[Array, "batch tokens width"], train: bool, dropout_rate: Any
    ) -> Float[Array, "batch tokens width"]:
        """Maps `(batch, tokens, width)` to the same shape."""
        for index in range(self.depth):
            tokens = EncoderBlock(
                self.mlp_dim,
                self.num_heads,
                self.use_glu,
                self.use_post_layer_norm,
                name=f"encoderblock_{index}",
            )(tokens, train, dropout_rate)
        return (
            tokens if self.use_post_layer_norm else nn.LayerNorm(name="encoder_layernorm")(tokens)
        )


class MAPHead(nn.Module):  # type: ignore[misc]
    """Pools tokens with one learned query, then an MLP with a residual sum; never drops anything.

    Attributes:
        mlp_dim: Width inside the MLP.
        num_heads: Number of attention heads.
    """

    mlp_dim: int
    num_heads: int

    @nn.compact  # type: ignore[untyped-decorator]
    def __call__(self, tokens: Float[Array, "batch tokens width"]) -> Float[Array, "batch width"]:
        """Maps `(batch, tokens, width)` to `(batch, width)`."""
        batch, _, width = tokens.shape
        probe = self.param("probe", _XAVIER, (1, 1, width))
        attention = nn.MultiHeadDotProductAttention(self.num_heads, kernel_init=_XAVIER)
        pooled = attention(jnp.tile(probe, (batch, 1, 1)), tokens)
        hidden = MlpBlock(self.mlp_dim)(nn.LayerNorm()(pooled), train=False, dropout_rate=0.0)
        return (pooled + hidden)[:, 0]


class ViT(nn.Module):  # type: ignore[misc]
    """A vision transformer; its options are those of `algoperf_vision.vit.vit`.

    Attributes:
        width: Channels of a token.
        depth: Number of blocks.
        mlp_dim: Width inside the MLPs.
        num_heads: Number of attention heads.
        num_classes: Number of classes.
        patch_size: Height and width of a patch.
        use_glu: Whether the MLPs are gated.
        use_post_layer_norm: Whether the norms come after the sums.
        use_map: Whether a learned query pools the tokens, else their mean is taken.
    """

    width: int
    depth: int
    mlp_dim: int
    num_heads: int
    num_classes: int
    patch_size: int
    use_glu: bool
    use_post_layer_norm: bool
    use_map: bool

    @nn.compact  # type: ignore[untyped-decorator]
    def __call__(
        self, inputs: Float[Array, "batch height width channels"], train: bool, dropout_rate: Any
    ) -> Float[Array, "batch classes"]:
        """Images `(batch, height, width, channels)` to logits `(batch, num_classes)`."""
        tokens = Dropout()(self._tokens(inputs), dropout_rate, train)
        tokens = Encoder(
            self.depth,
            self.mlp_dim,
            self.num_heads,
            self.use_glu,
            self.use_post_layer_norm,
            name="Transformer",
        )(tokens, train, dropout_rate)
        pool = MAPHead(self.mlp_dim, self.num_heads) if self.use_map else partial(jnp.mean, axis=1)
        hidden = jnp.tanh(nn.Dense(self.width, name="pre_logits")(pool(tokens)))
        zeros = nn.initializers.zeros
        return nn.Dense(self.num_classes, kernel_init=zeros, name="head")(hidden)

    def _tokens(self, inputs: Any) -> Any:
        patch = (self.patch_size, self.patch_size)
        patches = nn.Conv(
            self.width, patch, strides=patch, padding="VALID", name="conv_patch_extract"
        )(inputs)
        batch, height, width, channels = patches.shape
        tokens = patches.reshape(batch, height * width, channels)
        return tokens + position_embedding(height, width, channels)
