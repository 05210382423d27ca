"""Vision transformers in PyTorch; `vit_jax` is the same function."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional

from algoperf_workloads.torch_layers import (
    LayerNorm,
    MultiHeadAttention,
    dropout,
    lecun_normal_,
    linear,
)

if TYPE_CHECKING:
    from jaxtyping import Float


def position_embedding(height: int, width: int, channels: int, device: Any = None) -> torch.Tensor:
    """Fixed positions of a grid of tokens: sines and cosines of both coordinates.

    Args:
        height: Rows of tokens.
        width: Columns of tokens.
        channels: A multiple of 4; wave lengths are geometric from 2 pi to 20,000 pi tokens.
        device: Where to make them.

    Returns:
        `(height * width, channels)`, row by row, float32.
    """
    count = channels // 4
    exponents = torch.arange(count, device=device) / (count - 1)
    frequencies = torch.pow(10_000.0, -exponents)
    rows = torch.arange(height, device=device).repeat_interleave(width)[:, None] * frequencies
    columns = torch.arange(width, device=device).repeat(height)[:, None] * frequencies
    return torch.cat([columns.sin(), columns.cos(), rows.sin(), rows.cos()], dim=1)


class MlpBlock(nn.Module):  # type: ignore[misc]
    """Linear, GELU, a gate if asked for, dropout, linear.

    Args:
        width: Channels of input and output.
        mlp_dim: Width inside.
        use_glu: Whether the activations are multiplied with a linear function of themselves.
    """

    def __init__(self, width: int, mlp_dim: int, use_glu: bool = False) -> None:
        super().__init__()
        inits = nn.init.xavier_uniform_, partial(nn.init.normal_, std=1e-6)
        self.linear1 = linear(width, mlp_dim, *inits)
        self.glu_linear = linear(mlp_dim, mlp_dim, *inits) if use_glu else None
        self.linear2 = linear(mlp_dim, width, *inits)

    def forward(
        self, tokens: Float[torch.Tensor, "batch tokens width"], dropout_rate: float
    ) -> Float[torch.Tensor, "batch tokens width"]:
        """Maps `(batch, tokens, width)` to the same shape."""
        hidden = functional.gelu(self.linear1(tokens), approximate="tanh")
        if self.glu_linear is not None:
            hidden = hidden * self.glu_linear(hidden)
        output: torch.Tensor = self.linear2(dropout(hidden, dropout_rate, self.training))
        return output


class EncoderBlock(nn.Module):  # type: ignore[misc]
    """Self-attention and an MLP, both with dropout, a residual sum and a layer norm.

    Args:
        width: Channels of a token.
        mlp_dim: Width inside the MLP.
        num_heads: Number of attention heads.
        use_glu: Whether the MLP is gated.
        use_post_layer_norm: Whether the norms come after the sums, else before the layers.
    """

    def __init__(
        self, width: int, mlp_dim: int, num_heads: int, use_glu: bool, use_post_layer_norm: bool
    ) -> None:
        super().__init__()
        self.use_post_layer_norm = use_post_layer_norm
        self.layer_norm0 = LayerNorm(width)
        self.self_attention1 = MultiHeadAttention(width, num_heads)
        self.layer_norm2 = LayerNorm(width)
        self.mlp3 = MlpBlock(width, mlp_dim, use_glu)

    def forward(
        self, tokens: Float[torch.Tensor, "batch tokens width"], dropout_rate: float
    ) -> Float[torch.Tensor, "batch tokens width"]:
        """Maps `(batch, tokens, width)` to the same shape."""
        drop = partial(dropout, rate=dropout_rate, training=self.training)
        if self.use_post_layer_norm:
            tokens = self.layer_norm0(tokens + drop(self.self_attention1(tokens, tokens)))
            return self.layer_norm2(tokens + drop(self.mlp3(tokens, dropout_rate)))
        normed = self.layer_norm0(tokens)
        tokens = tokens + drop(self.self_attention1(normed, normed))
        return tokens + drop(self.mlp3(self.layer_norm2(tokens), dropout_rate))


class Encoder(nn.Module):  # type: ignore[misc]
    """Encoder blocks, and a layer norm at the end if theirs come first.

    Args:
        width: Channels of a token.
        depth: Number of blocks.
        mlp_dim: Width inside the MLPs.
        num_heads: Number of attention heads.
        use_glu: Whether the MLPs are gated.
        use_post_layer_norm: Whether the norms come after the sums.
    """

    def __init__(
        self,
        width: int,
        depth: int,
        mlp_dim: int,
        num_heads: int,
        use_glu: bool,
        use_post_layer_norm: bool,
    ) -> None:
        super().__init__()
        sizes = (width, mlp_dim, num_heads, use_glu, use_post_layer_norm)
        self.net = nn.ModuleList([EncoderBlock(*sizes) for _ in range(depth)])
        self.encoder_norm = nn.Identity() if use_post_layer_norm else LayerNorm(width)

    def forward(
        self, tokens: Float[torch.Tensor, "batch tokens width"], dropout_rate: float
    ) -> Float[torch.Tensor, "batch tokens width"]:
        """Maps `(batch, tokens, width)` to the same shape."""
        for block in self.net:
            tokens = block(tokens, dropout_rate)
        normed: torch.Tensor = self.encoder_norm(tokens)
        return normed


class MAPHead(nn.Module):  # type: ignore[misc]
    """Pools tokens with one learned query, then an MLP with a residual sum; never drops anything.

    Args:
        width: Channels of a token.
        mlp_dim: Width inside the MLP.
        num_heads: Number of attention heads.
    """

    def __init__(self, width: int, mlp_dim: int, num_heads: int) -> None:
        super().__init__()
        # Xavier uniform with the fans that Flax sees in the shape (1, 1, width).
        limit = (6.0 / (1 + width)) ** 0.5
        self.probe = nn.Parameter(torch.empty(1, 1, width).uniform_(-limit, limit))
        self.mha = MultiHeadAttention(width, num_heads)
        self.layer_norm = LayerNorm(width)
        self.mlp = MlpBlock(width, mlp_dim)

    def forward(
        self, tokens: Float[torch.Tensor, "batch tokens width"]
    ) -> Float[torch.Tensor, "batch width"]:
        """Maps `(batch, tokens, width)` to `(batch, width)`."""
        pooled = self.mha(self.probe.expand(len(tokens), -1, -1), tokens)
        output: torch.Tensor = pooled + self.mlp(self.layer_norm(pooled), dropout_rate=0.0)
        return output[:, 0]


class ViT(nn.Module):  # type: ignore[misc]
    """A vision transformer; its options are those of `algoperf_vision.vit.vit`.

    Args:
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

    def __init__(
        self,
        width: int,
        depth: int,
        mlp_dim: int,
        num_heads: int,
        num_classes: int,
        patch_size: int,
        use_glu: bool,
        use_post_layer_norm: bool,
        use_map: bool,
    ) -> None:
        super().__init__()
        self.conv_patch_extract = nn.Conv2d(3, width, patch_size, stride=patch_size)
        lecun_normal_(self.conv_patch_extract.weight)
        nn.init.zeros_(self.conv_patch_extract.bias)
        self.encoder = Encoder(width, depth, mlp_dim, num_heads, use_glu, use_post_layer_norm)
        self.map = MAPHead(width, mlp_dim, num_heads) if use_map else None
        self.pre_logits = linear(width, width)
        self.head = linear(width, num_classes, nn.init.zeros_)

    def forward(
        self, inputs: Float[torch.Tensor, "batch height width 3"], dropout_rate: float
    ) -> Float[torch.Tensor, "batch classes"]:
        """Maps images `(batch, height, width, 3)` to logits `(batch, num_classes)`."""
        tokens = dropout(self._tokens(inputs), dropout_rate, self.training)
        tokens = self.encoder(tokens, dropout_rate)
        pooled = tokens.mean(1) if self.map is None else self.map(tokens)
        logits: torch.Tensor = self.head(torch.tanh(self.pre_logits(pooled)))
        return logits

    def _tokens(self, inputs: torch.Tensor) -> torch.Tensor:
        patches = self.conv_patch_extract(inputs.permute(0, 3, 1, 2))
        _, channels, height, width = patches.shape
        tokens = patches.flatten(2).transpose(1, 2)
        return tokens + position_embedding(height, width, channels, tokens.device)
