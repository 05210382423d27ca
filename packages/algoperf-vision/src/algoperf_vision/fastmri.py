"""The workload `fastmri` with its variants: the image of a knee from a quarter of the measurements."""

from __future__ import annotations

from dataclasses import replace

from algoperf_core.spec import LossType
from algoperf_vision import unet
from algoperf_vision.fastmri_data import FASTMRI_DATA
from algoperf_workloads import Implementation, WorkloadDefinition
from algoperf_workloads.definition import MEAN_ABSOLUTE_ERROR
from algoperf_workloads.metrics import Metrics

SSIM = Metrics(
    names=("ssim", "loss"),
    sums=Implementation(
        jax="algoperf_vision.ssim_jax:ssim_sums", pytorch="algoperf_vision.ssim_torch:ssim_sums"
    ),
)
"""Structural similarity of the images in their own unit, and the mean absolute error."""

FASTMRI = WorkloadDefinition(
    name="fastmri",
    summary="magnetic-resonance images of knees, U-Net",
    loss_type=LossType.MEAN_ABSOLUTE_ERROR,
    dataset=FASTMRI_DATA,
    model=unet.FASTMRI,
    loss=MEAN_ABSOLUTE_ERROR,
    metrics=SSIM,
    eval_batch_size=256,
)
FASTMRI_MODEL_SIZE = replace(
    FASTMRI,
    name="fastmri_model_size",
    summary="magnetic-resonance images of knees, wider U-Net of fewer levels",
    model=unet.FASTMRI_MODEL_SIZE,
)
FASTMRI_TANH = replace(
    FASTMRI,
    name="fastmri_tanh",
    summary="magnetic-resonance images of knees, U-Net with tanh",
    model=unet.FASTMRI_TANH,
)
FASTMRI_LAYERNORM = replace(
    FASTMRI,
    name="fastmri_layernorm",
    summary="magnetic-resonance images of knees, U-Net with layer norm",
    model=unet.FASTMRI_LAYERNORM,
)
