"""Vision transformers: ImageNet's ViT-S/16 with its variants, and small ones by their options.

Dosovitskiy et al. 2021, in the simplified form of Beyer et al. 2022: fixed sine-cosine positions, no
class token, the mean over all tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from algoperf_core.errors import WorkloadError
from algoperf_workloads import Implementation, ModelDefinition

CLASSES = Implementation(jax="algoperf_vision.vit_jax:ViT", pytorch="algoperf_vision.vit_torch:ViT")


def vit(
    *,
    width: int,
    depth: int,
    mlp_dim: int,
    num_heads: int,
    num_classes: int,
    patch_size: int = 16,
    use_glu: bool = False,
    use_post_layer_norm: bool = False,
    use_map: bool = False,
) -> ModelDefinition:
    """A vision transformer of any size, on images `(batch, height, width, channels)` with three channels.

    Args:
        width: Channels of a token; a multiple of 4, at least 8, and a multiple of `num_heads`.
        depth: Number of blocks.
        mlp_dim: Width inside the blocks' MLPs.
        num_heads: Number of attention heads.
        num_classes: Number of classes.
        patch_size: Height and width of a patch in pixels; what does not fill a patch is cut off.
        use_glu: MLPs are gated (Shazeer 2020).
        use_post_layer_norm: Layer norms come after the residual sums (Vaswani et al. 2017).
        use_map: Pool with one learned query, "multi-head attention pooling" (Zhai et al. 2022).

    Raises:
        WorkloadError: The width does not fit positions or heads.
    """
    if width < 8 or width % 4 or width % num_heads:
        raise WorkloadError(
            f"width {width} with {num_heads} heads: the width of a vision transformer is 8 or more, a "
            "multiple of 4 (two waves for two coordinates) and a multiple of the number of heads"
        )
    options: dict[str, Any] = {
        "width": width,
        "depth": depth,
        "mlp_dim": mlp_dim,
        "num_heads": num_heads,
        "num_classes": num_classes,
        "patch_size": patch_size,
        "use_glu": use_glu,
        "use_post_layer_norm": use_post_layer_norm,
        "use_map": use_map,
    }
    return ModelDefinition(
        classes=CLASSES,
        options=options,
        module_names=dict(_module_names(options)),
        output_layer="head",
        dropout_rate=0.0,
    )


def vit_variant(base: ModelDefinition, **changes: Any) -> ModelDefinition:
    """The same transformer with other options, which are those of `vit`."""
    changed = vit(**{**base.options, **changes})
    return replace(base, options=changed.options, module_names=changed.module_names)


def _module_names(options: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name in ("conv_patch_extract", "pre_logits", "head"):
        yield name, name
    for index in range(options["depth"]):
        flax, torch = f"Transformer/encoderblock_{index}", f"encoder.net.{index}"
        for number in (0, 2):
            yield f"{flax}/LayerNorm_{number}", f"{torch}.layer_norm{number}"
        yield from _attention_names(
            f"{flax}/MultiHeadDotProductAttention_1", f"{torch}.self_attention1"
        )
        yield from _mlp_names(f"{flax}/MlpBlock_3", f"{torch}.mlp3", options["use_glu"])
    if not options["use_post_layer_norm"]:
        yield "Transformer/encoder_layernorm", "encoder.encoder_norm"
    if options["use_map"]:
        yield "MAPHead_0", "map"
        yield from _attention_names("MAPHead_0/MultiHeadDotProductAttention_0", "map.mha")
        yield "MAPHead_0/LayerNorm_0", "map.layer_norm"
        yield from _mlp_names("MAPHead_0/MlpBlock_0", "map.mlp", glu=False)


def _attention_names(flax: str, torch: str) -> Iterator[tuple[str, str]]:
    for projection in ("query", "key", "value", "out"):
        yield f"{flax}/{projection}", f"{torch}.{projection}"


def _mlp_names(flax: str, torch: str, glu: bool) -> Iterator[tuple[str, str]]:
    layers = ("linear1", "glu_linear", "linear2") if glu else ("linear1", "linear2")
    for index, layer in enumerate(layers):
        yield f"{flax}/Dense_{index}", f"{torch}.{layer}"


IMAGENET_VIT = vit(width=384, depth=12, mlp_dim=1536, num_heads=6, num_classes=1000)
"""ViT-S/16: 22,122,472 parameters."""

IMAGENET_VIT_GLU = vit_variant(IMAGENET_VIT, use_glu=True)
IMAGENET_VIT_POST_LN = vit_variant(IMAGENET_VIT, use_post_layer_norm=True)
IMAGENET_VIT_MAP = vit_variant(IMAGENET_VIT, use_map=True)
