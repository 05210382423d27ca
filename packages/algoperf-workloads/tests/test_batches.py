"""Batches of arrays and of tuples of arrays."""

from typing import Any, NamedTuple

import numpy as np
import pytest

from algoperf_workloads.batches import batch_rows, map_arrays, named_arrays
from algoperf_workloads.pipeline import pad_batch


class Pair(NamedTuple):
    values: Any
    paddings: Any


BATCH = {
    "inputs": Pair(np.ones((2, 4, 3), np.float32), np.zeros((2, 4), np.float32)),
    "targets": np.arange(2),
}


def test_structure_is_kept():
    doubled = map_arrays(lambda one, other: one + other, BATCH, BATCH)
    assert list(doubled) == ["inputs", "targets"]
    assert type(doubled["inputs"]) is Pair
    assert (doubled["inputs"].values == 2).all()
    assert doubled["targets"].tolist() == [0, 2]


def test_batches_of_other_structure_are_refused():
    with pytest.raises(ValueError, match="shorter"):
        map_arrays(np.add, (BATCH["targets"], BATCH["targets"]), (BATCH["targets"],))


def test_arrays_are_named_by_their_place():
    names = list(named_arrays({**BATCH, "more": (np.ones(2), (np.ones(2),))}))
    assert names == ["inputs[0]", "inputs[1]", "targets", "more[0]", "more[1][0]"]
    assert next(iter(named_arrays((BATCH,), "batch"))) == "batch[0].inputs[0]"
    assert batch_rows(BATCH) == 2


def test_padding_reaches_every_array():
    padded = pad_batch(BATCH, 5)
    assert [len(array) for array in named_arrays(padded).values()] == [5] * 4
    assert not padded["inputs"].values[2:].any()
    assert padded["weights"].tolist() == [1, 1, 0, 0, 0]
