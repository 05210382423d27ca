"""Fixtures; and the toy workload made importable: its model references are `"module:attribute"` strings."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from algoperf_workloads import ArraySpec, DatasetDefinition

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

SIZES = {"train": 50, "validation": 23, "test": 17}


def make_small(raw_dir):
    rng = np.random.default_rng(0)
    return {
        split: {
            "images": rng.integers(0, 255, (size, 6, 5, 2), dtype=np.uint8),
            "labels": rng.integers(0, 3, size, dtype=np.int32),
        }
        for split, size in SIZES.items()
    }


def preprocess(columns):
    return {"inputs": columns["images"] / np.float32(255), "targets": columns["labels"]}


def brighten(columns, generator):
    batch = preprocess(columns)
    return {**batch, "inputs": batch["inputs"] + generator.random(dtype=np.float32)}


@pytest.fixture
def dataset():
    """Fifty random images to train on, as they are."""
    return DatasetDefinition(
        name="small",
        num_train_examples=SIZES["train"],
        num_eval_train_examples=20,
        num_validation_examples=SIZES["validation"],
        num_test_examples=SIZES["test"],
        make=make_small,
        preprocess=preprocess,
        arrays={"inputs": ArraySpec((6, 5, 2)), "targets": ArraySpec((), "int32")},
    )


@pytest.fixture
def augmented(dataset):
    """The same images, each batch brightened by a random amount."""
    return replace(dataset, train=brighten)


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder in which prepared data are shared by all tests."""
    return str(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def start_python() -> Callable[..., subprocess.Popen[str]]:
    """Starts Python code in a process of its own."""

    def start(code: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONPATH": str(HERE), "JAX_PLATFORMS": "cpu", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


@pytest.fixture(scope="session")
def run_python(start_python: Callable[..., subprocess.Popen[str]]) -> Callable[..., str]:
    """Runs Python code in a process of its own and returns what it prints."""

    def run(code: str, **environment: str) -> str:
        with start_python(code, **environment) as process:
            printed, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        return printed

    return run
