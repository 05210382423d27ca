"""How fast batches come: the pipeline against a plain NumPy loop over the same data.

Run with `pytest packages/algoperf-workloads/benchmarks`.
"""

import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from algoperf_workloads.dataset import ArraySpec, DatasetDefinition
from algoperf_workloads.pipeline import TrainingBatches, evaluation_batches, training_queue

EXAMPLES, BATCH_SIZE, BATCHES = 20_000, 256, 20
HEAVY_EXAMPLES = 6_000


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


def compressed(raw_dir: Path):
    images = make(raw_dir)["train"]["image"][:HEAVY_EXAMPLES]
    files = [zlib.compress(image.tobytes() * 12) for image in images]
    return {"train": iter([{"file": files}])}


def decompress(columns):
    images = [np.frombuffer(zlib.decompress(file), np.uint8) for file in columns["file"]]
    pixels = np.stack(images).reshape(-1, 12, 32, 32, 3)
    return {"inputs": pixels.mean(1, dtype=np.float32), "targets": columns["index"].astype("int32")}


HEAVY = replace(
    DATASET,
    name="heavy",
    num_train_examples=HEAVY_EXAMPLES,
    num_eval_train_examples=HEAVY_EXAMPLES,
    make=compressed,
    preprocess=decompress,
    train=None,
)


@pytest.fixture(scope="module")
def heavy(tmp_path_factory):
    return HEAVY.examples(HEAVY.open(tmp_path_factory.mktemp("data")).splits, "train")


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_heavy_transforms(benchmark, heavy, workers):
    source = TrainingBatches(HEAVY, heavy, batch_size=BATCH_SIZE, seed=(0,))
    queue = training_queue(source, lambda batch: batch, workers=workers)
    next(queue)

    def loop():
        for _ in range(BATCHES):
            next(queue)

    benchmark.pedantic(loop, rounds=5)
    queue.close()
    benchmark.extra_info["examples_per_s"] = BATCHES * BATCH_SIZE / benchmark.stats["median"]


def test_heavy_transforms_alone(benchmark, heavy):
    """What the transform takes without a pipeline: the rest is overhead."""
    rows = np.random.default_rng(0).permutation(HEAVY_EXAMPLES)[: BATCHES * BATCH_SIZE]
    parts = [heavy[rows[start : start + BATCH_SIZE]] for start in range(0, len(rows), BATCH_SIZE)]
    benchmark.pedantic(lambda: [decompress(part) for part in parts], rounds=5)
    benchmark.extra_info["examples_per_s"] = len(rows) / benchmark.stats["median"]


def test_evaluation_batches(benchmark, splits):
    examples = DATASET.examples(splits, "train")
    benchmark(lambda: list(evaluation_batches(DATASET, examples, batch_size=1024)))
    benchmark.extra_info["examples_per_s"] = EXAMPLES / benchmark.stats["median"]
