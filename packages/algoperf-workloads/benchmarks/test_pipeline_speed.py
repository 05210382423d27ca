"""How fast batches come: the pipeline against a plain NumPy loop over the same data.

Run with `pytest packages/algoperf-workloads/benchmarks`.
"""

from pathlib import Path

import numpy as np
import pytest

from algoperf_workloads.dataset import ArraySpec, DatasetDefinition
from algoperf_workloads.pipeline import TrainingBatches, training_queue

EXAMPLES, BATCH_SIZE, BATCHES = 20_000, 256, 20


def make(raw_dir: Path):
    random = np.random.RandomState(0)
    image = random.randint(0, 256, (EXAMPLES, 32, 32, 3)).astype(np.uint8)
    return {"train": {"image": image, "label": random.randint(0, 10, EXAMPLES).astype(np.int32)}}


def preprocess(columns):
    return {"inputs": columns["image"] * np.float32(1 / 255), "targets": columns["label"]}


def flip(columns, generator):
    batch = preprocess(columns)
    images = batch["inputs"]
    flipped = generator.random(len(images)) < 0.5
    return {**batch, "inputs": np.where(flipped[:, None, None, None], images[:, :, ::-1], images)}


DATASET = DatasetDefinition(
    name="benchmark",
    num_train_examples=EXAMPLES,
    num_eval_train_examples=0,
    num_validation_examples=0,
    num_test_examples=None,
    make=make,
    preprocess=preprocess,
    train=flip,
    arrays={"inputs": ArraySpec((32, 32, 3)), "targets": ArraySpec((), "int32")},
)


@pytest.fixture(scope="module")
def splits(tmp_path_factory):
    return DATASET.open(tmp_path_factory.mktemp("data")).splits


def test_pipeline(benchmark, splits):
    queue = training_queue(
        TrainingBatches(
            DATASET, DATASET.examples(splits, "train"), batch_size=BATCH_SIZE, seed=(0,)
        ),
        lambda batch: batch,
    )

    def loop():
        for _ in range(BATCHES):
            next(queue)

    benchmark(loop)
    benchmark.extra_info["examples_per_s"] = BATCHES * BATCH_SIZE / benchmark.stats["median"]


def test_numpy_loop(benchmark, splits):
    generator = np.random.default_rng(0)
    order = generator.permutation(EXAMPLES)

    def loop():
        for start in range(0, BATCHES * BATCH_SIZE, BATCH_SIZE):
            chosen = order[start : start + BATCH_SIZE]
            flip({name: array[chosen] for name, array in splits["train"].items()}, generator)

    benchmark(loop)
    benchmark.extra_info["examples_per_s"] = BATCHES * BATCH_SIZE / benchmark.stats["median"]
