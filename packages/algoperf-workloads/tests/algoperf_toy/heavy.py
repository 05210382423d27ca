"""Files of any length whose decoding is left to worker processes; some cannot be decoded."""

import json
from dataclasses import replace

import numpy as np

from algoperf_toy.definition import DATASET, SIZES
from algoperf_workloads import ArraySpec

BROKEN = 31


def make_files(raw_dir):
    for_json = {
        split: [json.dumps([number] * (number % 5 + 1)).encode() for number in range(size)]
        for split, size in SIZES.items()
    }
    return {
        split: iter([{"file": files[:10]}, {"file": files[10:]}])
        for split, files in for_json.items()
    }


def decode(columns):
    numbers = [json.loads(bytes(file))[0] for file in columns["file"]]
    return {"inputs": np.array(numbers, np.float32), "targets": columns["index"].astype(np.int32)}


def train(columns, generator):
    batch = decode(columns)
    return {**batch, "inputs": batch["inputs"] + generator.random(len(batch["inputs"]))}


def train_unless_broken(columns, generator):
    if BROKEN in columns["index"]:
        raise OSError("truncated file")
    return train(columns, generator)


HEAVY = replace(
    DATASET,
    name="heavy",
    make=make_files,
    preprocess=decode,
    train=train,
    block_size=4,
    workers=2,
    arrays={"inputs": ArraySpec(()), "targets": ArraySpec((), "int32")},
)
DAMAGED = replace(HEAVY, train=train_unless_broken)
