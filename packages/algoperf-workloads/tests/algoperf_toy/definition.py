"""The toy workload: three classes of 6x6 images with two channels."""

from pathlib import Path

import numpy as np

from algoperf_core.spec import LossType
from algoperf_scoring import BenchmarkWorkload
from algoperf_workloads import (
    ArraySpec,
    DatasetDefinition,
    Implementation,
    ModelDefinition,
    WorkloadDefinition,
)

SIZES = {"train": 53, "validation": 17, "test": 11}


def make(raw_dir: Path):
    del raw_dir
    random = np.random.RandomState(7)
    return {
        split: {
            "image": random.randint(0, 256, (size, 6, 6, 2)).astype(np.uint8),
            "label": random.randint(0, 3, size).astype(np.int64),
            "number": np.arange(size, dtype=np.int32),
        }
        for split, size in SIZES.items()
    }


def preprocess(columns):
    return {
        "inputs": columns["image"].astype(np.float32) / 255,
        "targets": columns["label"].astype(np.int32),
        "number": columns["number"],
    }


def train(columns, generator):
    batch = preprocess(columns)
    flipped = generator.random(len(batch["inputs"])) < 0.5
    images = np.where(flipped[:, None, None, None], batch["inputs"][:, :, ::-1], batch["inputs"])
    return {**batch, "inputs": images}


DATASET = DatasetDefinition(
    name="toy",
    num_train_examples=SIZES["train"],
    num_eval_train_examples=20,
    num_validation_examples=SIZES["validation"],
    num_test_examples=SIZES["test"],
    make=make,
    preprocess=preprocess,
    train=train,
    arrays={
        "inputs": ArraySpec((6, 6, 2)),
        "targets": ArraySpec((), "int32"),
        "number": ArraySpec((), "int32"),
    },
)

TOY = WorkloadDefinition(
    name="toy",
    summary="three classes of noise",
    loss_type=LossType.SOFTMAX_CROSS_ENTROPY,
    dataset=DATASET,
    model=ModelDefinition(
        classes=Implementation(
            jax="algoperf_toy.jax_model:ToyNet", pytorch="algoperf_toy.torch_model:ToyNet"
        ),
        options={"width": 5},
        module_names={
            "Conv_0": "conv",
            "BatchNorm_0": "bn",
            "Dense_0": "hidden",
            "LayerNorm_0": "ln",
            "Dense_1": "head",
        },
        output_layer="Dense_1",
        dropout_rate=0.1,
    ),
    eval_batch_size=8,
)

GOAL = BenchmarkWorkload(
    name="toy",
    metric="accuracy",
    direction="maximize",
    validation_target=0.5,
    test_target=0.5,
    budget_s=10.0,
    step_hint=100,
    eval_period_s=1.0,
)
