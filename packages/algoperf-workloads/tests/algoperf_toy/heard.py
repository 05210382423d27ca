"""A toy of speech recognition: inputs, targets and outputs are pairs of values and their paddings."""

from dataclasses import replace
from pathlib import Path

import flax.linen as nn
import numpy as np
import torch

from algoperf_core.spec import LossType
from algoperf_toy.definition import DATASET, SIZES
from algoperf_toy.definition import GOAL as TOY_GOAL
from algoperf_workloads import (
    MEAN_LOSS,
    ArraySpec,
    Implementation,
    ModelDefinition,
    WorkloadDefinition,
)
from algoperf_workloads.definition import CTC
from algoperf_workloads.jax_layers import Dropout
from algoperf_workloads.torch_layers import dropout, linear

FRAMES, BINS, LABELS, VOCABULARY = 8, 3, 3, 5


def make(raw_dir: Path):
    del raw_dir
    random = np.random.default_rng(3)
    return {
        split: {
            "features": random.normal(size=(size, FRAMES, BINS)).astype(np.float32),
            "frames": random.integers(2 * LABELS, FRAMES + 1, size),
            "labels": random.integers(1, VOCABULARY, (size, LABELS), dtype=np.int32),
            "length": random.integers(1, LABELS + 1, size),
        }
        for split, size in SIZES.items()
    }


def paddings(lengths, size):
    return (np.arange(size) >= np.asarray(lengths)[:, None]).astype(np.float32)


def preprocess(columns):
    return {
        "inputs": (columns["features"], paddings(columns["frames"], FRAMES)),
        "targets": (columns["labels"], paddings(columns["length"], LABELS)),
    }


def louder(columns, generator):
    batch = preprocess(columns)
    features, padding = batch["inputs"]
    gain = generator.uniform(0.5, 2.0, (len(features), 1, 1)).astype(np.float32)
    return {**batch, "inputs": (features * gain, padding)}


class FlaxEar(nn.Module):
    @nn.compact
    def __call__(self, inputs, train, dropout_rate):
        features, padding = inputs
        hidden = nn.tanh(nn.Dense(6)(features))
        return nn.Dense(VOCABULARY)(Dropout()(hidden, dropout_rate, train)), padding


class TorchEar(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = linear(BINS, 6)
        self.head = linear(6, VOCABULARY)

    def forward(self, inputs, dropout_rate):
        features, padding = inputs
        hidden = torch.tanh(self.hidden(features))
        return self.head(dropout(hidden, dropout_rate, self.training)), padding


HEARD = WorkloadDefinition(
    name="heard",
    summary="labels of noise of different lengths",
    loss_type=LossType.CTC_LOSS,
    dataset=replace(
        DATASET,
        name="heard",
        make=make,
        preprocess=preprocess,
        train=louder,
        block_size=8,
        arrays={
            "inputs": (ArraySpec((FRAMES, BINS)), ArraySpec((FRAMES,))),
            "targets": (ArraySpec((LABELS,), "int32"), ArraySpec((LABELS,))),
        },
    ),
    model=ModelDefinition(
        classes=Implementation(
            jax="algoperf_toy.heard:FlaxEar", pytorch="algoperf_toy.heard:TorchEar"
        ),
        module_names={"Dense_0": "hidden", "Dense_1": "head"},
        output_layer="Dense_1",
        dropout_rate=0.1,
    ),
    loss=CTC,
    metrics=MEAN_LOSS,
    eval_batch_size=8,
)

GOAL = replace(TOY_GOAL, name="heard", metric="loss", direction="minimize")
