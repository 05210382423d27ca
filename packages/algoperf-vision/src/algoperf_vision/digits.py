"""The workload `digits`: which digit is it, from 8x8 grey pixels.

Small enough that a trial takes seconds on one core, hard enough that training algorithms and learning
rates differ by several times in how long they take.
"""

from __future__ import annotations

from algoperf_core.spec import LossType
from algoperf_vision.digits_data import DIGITS, NUM_CLASSES
from algoperf_workloads import Implementation, ModelDefinition, WorkloadDefinition

MODEL = ModelDefinition(
    classes=Implementation(
        jax="algoperf_vision.digits_jax:DigitsNet", pytorch="algoperf_vision.digits_torch:DigitsNet"
    ),
    options={"widths": (16, 32, 32), "strides": (1, 2, 2), "num_classes": NUM_CLASSES},
    module_names={
        "Conv_0": "blocks.0.conv",
        "BatchNorm_0": "blocks.0.bn",
        "Conv_1": "blocks.1.conv",
        "BatchNorm_1": "blocks.1.bn",
        "Conv_2": "blocks.2.conv",
        "BatchNorm_2": "blocks.2.bn",
        "Dense_0": "fc",
    },
    output_layer="Dense_0",
)
"""Three convolutions with batch norm, the mean over all positions, one dense layer."""

WORKLOAD = WorkloadDefinition(
    name="digits",
    summary="8x8 handwritten digits, a small convolutional network; needs no download",
    loss_type=LossType.SOFTMAX_CROSS_ENTROPY,
    dataset=DIGITS,
    model=MODEL,
    eval_batch_size=700,
)
