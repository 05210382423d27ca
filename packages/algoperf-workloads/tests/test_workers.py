"""Worker processes: the same batches in the same order, a position that restores, an end with the trial."""

import os
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from algoperf_core.errors import WorkloadError
from algoperf_toy.heavy import DAMAGED, HEAVY
from algoperf_workloads.pipeline import (
    ExampleError,
    InputQueue,
    TrainingBatches,
    evaluation_batches,
)


@pytest.fixture
def examples(data_dir):
    splits = HEAVY.open(data_dir).splits
    return {split: HEAVY.examples(splits, split) for split in HEAVY.sizes()}


def source(examples, definition=HEAVY, **options):
    return TrainingBatches(definition, examples["train"], batch_size=8, seed=(1, 2), **options)


def rows(batches):
    return [batch["inputs"].tolist() for batch in batches]


def test_worker_processes_give_the_same_batches_and_restore(
    run_python: Callable[..., str], data_dir: str
):
    HEAVY.open(data_dir)
    code = f"""
import json
from algoperf_toy.heavy import HEAVY
from algoperf_workloads.pipeline import InputQueue, TrainingBatches, evaluation_batches

def run():
    splits = HEAVY.open({data_dir!r}).splits
    source = TrainingBatches(
        HEAVY, HEAVY.examples(splits, "train"), batch_size=8, seed=(1, 2)
    )
    inline, ahead, other = (
        InputQueue(source, lambda batch: batch["inputs"].tobytes(), workers=count, num_batches=8)
        for count in (0, 2, 1)
    )
    assert [next(inline) for _ in range(4)] == [next(ahead) for _ in range(4)]
    position = json.loads(json.dumps(ahead.get_state()))
    assert position == {{"position": 4}}
    rest = list(ahead)
    assert rest == list(inline) and len(rest) == 4
    ahead.close()
    other.set_state(position)
    assert next(other) == rest[0]
    other.close()
    found = [
        [(batch["inputs"].tobytes(), batch["weights"].sum()) for batch in evaluation_batches(
            HEAVY, HEAVY.examples(splits, "validation"), batch_size=5, workers=count)]
        for count in (0, 1)
    ]
    assert found[0] == found[1] and len(found[0]) == 4
    print("same")

if __name__ == "__main__":
    run()
"""
    assert run_python(code).strip() == "same"


def test_the_error_of_a_worker_names_the_example(run_python, data_dir):
    HEAVY.open(data_dir)
    code = f"""
from algoperf_scoring import AlgoperfError
from algoperf_toy.heavy import DAMAGED
from algoperf_workloads.pipeline import InputQueue, TrainingBatches

if __name__ == "__main__":
    examples = DAMAGED.examples(DAMAGED.open({data_dir!r}).splits, "train")
    queue = InputQueue(
        TrainingBatches(DAMAGED, examples, batch_size=8, seed=(1, 2)), dict, workers=1
    )
    try:
        list(queue)
    except AlgoperfError as error:
        print(error)
    queue.close()
"""
    assert "heavy: example 31 could not be prepared: OSError: truncated file" in run_python(code)


def test_workers_end_when_the_trial_is_killed(start_python, data_dir):
    HEAVY.open(data_dir)
    code = f"""
import multiprocessing, time
from algoperf_toy.heavy import HEAVY
from algoperf_workloads.pipeline import InputQueue, TrainingBatches

if __name__ == "__main__":
    examples = HEAVY.examples(HEAVY.open({data_dir!r}).splits, "train")
    queue = InputQueue(TrainingBatches(HEAVY, examples, batch_size=8, seed=(1,)), dict, workers=2)
    next(queue)
    print(*(child.pid for child in multiprocessing.active_children()), flush=True)
    time.sleep(60)
"""
    process = start_python(code)
    workers = [int(word) for word in process.stdout.readline().split()]
    assert len(workers) >= 2
    process.kill()
    process.wait()
    deadline = time.monotonic() + 30
    while any(map(_runs, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(_runs, workers))
    process.communicate()


def _runs(pid):
    try:
        os.kill(pid, 0)
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


@pytest.mark.parametrize("ranks", [2, 4, 8])
@pytest.mark.parametrize("block_size", [None, 1, 3, 4, 16])
def test_parts_of_ranks_are_the_rows_of_the_whole(examples, ranks, block_size):
    from dataclasses import replace

    definition = replace(HEAVY, block_size=block_size)
    whole = source(examples, definition)
    shares = [source(examples, definition, part=(rank, ranks)) for rank in range(ranks)]
    for number in (0, 5, 6, 20):
        joined = [row for share in shares for row in share[number]["inputs"].tolist()]
        assert joined == whole[number]["inputs"].tolist()


@pytest.mark.parametrize(("batch_size", "ranks"), [(8, 2), (8, 4), (17, 2), (5, 3)])
def test_parts_of_an_evaluation_hold_every_example_once(examples, batch_size, ranks):
    found = [
        list(
            evaluation_batches(
                HEAVY,
                examples["validation"],
                batch_size=batch_size,
                multiple_of=ranks,
                part=(rank, ranks),
            )
        )
        for rank in range(ranks)
    ]
    assert len({len(batches) for batches in found}) == 1
    assert len({len(batch["weights"]) for batches in found for batch in batches}) == 1
    seen = [
        int(target)
        for batches in found
        for batch in batches
        for target, weight in zip(batch["targets"], batch["weights"], strict=True)
        if weight
    ]
    assert sorted(seen) == list(range(17))


def test_a_batch_that_cannot_be_shared_out_is_refused(examples):
    with pytest.raises(WorkloadError, match="8 rows cannot be shared out equally among 3"):
        source(examples, part=(0, 3))


def test_an_example_that_cannot_be_prepared_is_named(examples):
    with pytest.raises(ExampleError, match=r"example 31 .*OSError: truncated file"):
        rows(source(examples, DAMAGED)[number] for number in range(7))


def test_an_example_that_evaluations_fail_on_is_named(examples):
    def refuse(columns):
        if 5 in columns["index"]:
            raise ValueError("five")
        return {"targets": columns["index"]}

    def fail(columns, generator):
        raise AssertionError("training has no part in it")

    definition = replace(HEAVY, preprocess=refuse, train=fail)
    with pytest.raises(ExampleError, match="example 5 could not be prepared: ValueError: five"):
        list(evaluation_batches(definition, examples["validation"], batch_size=8))


def test_a_batch_that_fails_only_as_a_whole_is_listed(examples):
    def needs_two(columns, generator):
        if len(columns["index"]) > 1:
            raise ValueError("too many")
        return {}

    definition = replace(HEAVY, train=needs_two, block_size=None)
    with pytest.raises(ExampleError, match=r"a batch of the examples \[\d+, .*too many"):
        source(examples, definition)[0]


def test_a_queue_without_workers_prepares_nothing_ahead(examples):
    prepared = []

    class Noting:
        def __len__(self):
            return 5

        def __getitem__(self, number):
            prepared.append(number)
            return number

    queue = InputQueue(Noting(), lambda batch: batch)
    assert next(queue) == 0
    assert prepared == [0]
    assert list(queue) == [1, 2, 3, 4]
    with pytest.raises(StopIteration):
        next(queue)


def test_blocks_have_generators_of_their_own(examples):
    noise = source(examples)[0]["inputs"] % 1
    assert len(np.unique(noise)) == 8
