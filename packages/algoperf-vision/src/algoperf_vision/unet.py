"""U-Nets: fastMRI's with its variants, and small ones by their options.

Ronneberger et al. 2015, in the form of Zbontar et al. 2018 for the reconstruction of knee images.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from algoperf_workloads import Implementation, ModelDefinition

CLASSES = Implementation(
    jax="algoperf_vision.unet_jax:UNet", pytorch="algoperf_vision.unet_torch:UNet"
)


def unet(
    *,
    num_channels: int,
    num_pool_layers: int,
    use_tanh: bool = False,
    use_layer_norm: bool = False,
) -> ModelDefinition:
    """A U-Net of any size, from images `(batch, height, width)` to images of the same shape.

    Args:
        num_channels: Channels at full resolution; every level doubles them.
        num_pool_layers: Number of times that the resolution is halved.
        use_tanh: Activations are tanh, else leaky ReLU with slope 0.2.
        use_layer_norm: Convolution blocks normalise over all channels and positions of an image, with
            a scale and a bias per channel, else over positions, without.
    """
    options: dict[str, Any] = {
        "num_channels": num_channels,
        "num_pool_layers": num_pool_layers,
        "use_tanh": use_tanh,
        "use_layer_norm": use_layer_norm,
    }
    return ModelDefinition(
        classes=CLASSES,
        options=options,
        module_names=dict(_module_names(num_pool_layers, use_layer_norm)),
        output_layer="Conv_0",
        dropout_rate=0.0,
    )


def unet_variant(base: ModelDefinition, **changes: Any) -> ModelDefinition:
    """The same U-Net with other options, which are those of `unet`."""
    changed = unet(**{**base.options, **changes})
    return replace(base, options=changed.options, module_names=changed.module_names)


def _module_names(num_pool_layers: int, use_layer_norm: bool) -> Iterator[tuple[str, str]]:
    levels = range(num_pool_layers)
    blocks = [
        *(f"down_blocks.{level}" for level in levels),
        "bottom",
        *(f"up_blocks.{level}" for level in levels),
    ]
    for index, block in enumerate(blocks):
        for number in range(2):
            yield f"ConvBlock_{index}/Conv_{number}", f"{block}.conv{number + 1}"
            if use_layer_norm:
                yield f"ConvBlock_{index}/LayerNorm_{number}", f"{block}.norm{number + 1}"
    for level in levels:
        yield f"TransposeConvBlock_{level}/ConvTranspose_0", f"up_convs.{level}.conv"
    yield "Conv_0", "final_conv"


FASTMRI = unet(num_channels=32, num_pool_layers=4)
"""The U-Net of the workload `fastmri`: 7,756,097 parameters."""

FASTMRI_MODEL_SIZE = unet_variant(FASTMRI, num_channels=64, num_pool_layers=3)
FASTMRI_TANH = unet_variant(FASTMRI, use_tanh=True)
FASTMRI_LAYERNORM = unet_variant(FASTMRI, use_layer_norm=True)
