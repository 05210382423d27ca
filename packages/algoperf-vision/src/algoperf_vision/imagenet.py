"""The workloads `imagenet_resnet` and `imagenet_vit` with their variants: which of 1,000 things is it.

A variant is its base with another model.
"""

from __future__ import annotations

from dataclasses import replace

from algoperf_core.spec import LossType
from algoperf_vision import resnet, vit
from algoperf_vision.imagenet_data import IMAGENET_RESNET_DATA, IMAGENET_VIT_DATA
from algoperf_workloads import WorkloadDefinition

RESNET = WorkloadDefinition(
    name="imagenet_resnet",
    summary="ImageNet photographs, ResNet-50",
    loss_type=LossType.SOFTMAX_CROSS_ENTROPY,
    dataset=IMAGENET_RESNET_DATA,
    model=resnet.IMAGENET_RESNET,
    eval_batch_size=1024,
)
RESNET_SILU = replace(
    RESNET,
    name="imagenet_resnet_silu",
    summary="ImageNet photographs, ResNet-50 with SiLU",
    model=resnet.IMAGENET_RESNET_SILU,
)
RESNET_GELU = replace(
    RESNET,
    name="imagenet_resnet_gelu",
    summary="ImageNet photographs, ResNet-50 with GELU",
    model=resnet.IMAGENET_RESNET_GELU,
)
RESNET_LARGE_BN_INIT = replace(
    RESNET,
    name="imagenet_resnet_large_bn_init",
    summary="ImageNet photographs, ResNet-50 whose blocks start with batch-norm scales of 8",
    model=resnet.IMAGENET_RESNET_LARGE_BN_INIT,
)

VIT = WorkloadDefinition(
    name="imagenet_vit",
    summary="ImageNet photographs, vision transformer S/16",
    loss_type=LossType.SOFTMAX_CROSS_ENTROPY,
    dataset=IMAGENET_VIT_DATA,
    model=vit.IMAGENET_VIT,
    eval_batch_size=2048,
)
VIT_GLU = replace(
    VIT,
    name="imagenet_vit_glu",
    summary="ImageNet photographs, vision transformer with gated linear units",
    model=vit.IMAGENET_VIT_GLU,
)
VIT_POST_LN = replace(
    VIT,
    name="imagenet_vit_post_ln",
    summary="ImageNet photographs, vision transformer with layer norm after the residual sums",
    model=vit.IMAGENET_VIT_POST_LN,
)
VIT_MAP = replace(
    VIT,
    name="imagenet_vit_map",
    summary="ImageNet photographs, vision transformer with attention pooling",
    model=vit.IMAGENET_VIT_MAP,
)
