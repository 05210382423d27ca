"""ResNets: ImageNet's ResNet-50 with its variants, CIFAR's ResNet-18, and small ones by their options.

He et al. 2016, in the form "v1.5" of Goyal et al. 2017: the stride of a block is that of its 3x3
convolution, and the last batch norm of a block starts with scale 0, so that blocks start as identities.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from algoperf_scoring import unknown_name
from algoperf_workloads import Implementation, ModelDefinition

ACTIVATIONS = ("relu", "silu", "gelu", "tanh")
CLASSES = Implementation(
    jax="algoperf_vision.resnet_jax:ResNet", pytorch="algoperf_vision.resnet_torch:ResNet"
)


def resnet(
    *,
    stage_sizes: Sequence[int],
    num_classes: int,
    num_filters: int = 64,
    bottleneck: bool = True,
    small_images: bool = False,
    activation: str = "relu",
    bn_init_scale: float = 0.0,
) -> ModelDefinition:
    """A ResNet of any size, on images `(batch, height, width, channels)` with three channels.

    Args:
        stage_sizes: Number of blocks of each stage; from the second on a stage halves the resolution.
        num_classes: Number of classes.
        num_filters: Width of the first stage; every stage doubles it.
        bottleneck: Blocks of 1x1, 3x3 and 1x1 convolutions with four times the width as their output,
            else of two 3x3 convolutions.
        small_images: Start with a 3x3 convolution at full resolution, else with one of 7x7 and stride 2
            and a maximum over 3x3 windows with stride 2.
        activation: `relu`, `silu`, `gelu` (tanh approximation) or `tanh`.
        bn_init_scale: Initial scale of the last batch norm of every block.

    Raises:
        AlgoperfError: There is no such activation.
    """
    if activation not in ACTIVATIONS:
        raise unknown_name("activation", activation, ACTIVATIONS)
    options: dict[str, Any] = {
        "stage_sizes": tuple(stage_sizes),
        "num_classes": num_classes,
        "num_filters": num_filters,
        "bottleneck": bottleneck,
        "small_images": small_images,
        "activation": activation,
        "bn_init_scale": bn_init_scale,
    }
    return ModelDefinition(
        classes=CLASSES,
        options=options,
        module_names=dict(_module_names(options["stage_sizes"], bottleneck)),
        output_layer="Dense_0",
    )


def resnet_variant(base: ModelDefinition, **changes: Any) -> ModelDefinition:
    """The same ResNet with other options, which are those of `resnet`."""
    changed = resnet(**{**base.options, **changes})
    return replace(base, options=changed.options, module_names=changed.module_names)


def _module_names(stage_sizes: Sequence[int], bottleneck: bool) -> Iterator[tuple[str, str]]:
    yield from (("Conv_init", "conv1"), ("BatchNorm_init", "bn1"), ("Dense_0", "fc"))
    kind, convolutions = ("BottleneckResNetBlock", 3) if bottleneck else ("ResNetBlock", 2)
    blocks = [(stage, index) for stage, size in enumerate(stage_sizes) for index in range(size)]
    for number, (stage, index) in enumerate(blocks):
        flax, torch = f"{kind}_{number}", f"layer{stage + 1}.{index}"
        for position in range(convolutions):
            yield f"{flax}/Conv_{position}", f"{torch}.conv{position + 1}"
            yield f"{flax}/BatchNorm_{position}", f"{torch}.bn{position + 1}"
        if index == 0 and (stage > 0 or bottleneck):
            yield f"{flax}/Conv_proj", f"{torch}.downsample.conv"
            yield f"{flax}/BatchNorm_proj", f"{torch}.downsample.bn"


IMAGENET_RESNET = resnet(stage_sizes=(3, 4, 6, 3), num_classes=1000)
"""ResNet-50: 25,557,032 parameters."""

IMAGENET_RESNET_SILU = resnet_variant(IMAGENET_RESNET, activation="silu")
IMAGENET_RESNET_GELU = resnet_variant(IMAGENET_RESNET, activation="gelu")
IMAGENET_RESNET_LARGE_BN_INIT = resnet_variant(IMAGENET_RESNET, bn_init_scale=8.0)

CIFAR = resnet(stage_sizes=(2, 2, 2, 2), num_classes=10, bottleneck=False, small_images=True)
"""ResNet-18 for images of 32x32 pixels: 11,173,962 parameters."""
