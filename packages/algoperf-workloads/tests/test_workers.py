"""Worker processes: the same batches in the same order, and a position that restores."""

from collections.abc import Callable

from algoperf_toy.definition import DATASET


def test_worker_processes_give_the_same_batches_and_restore(
    run_python: Callable[..., str], data_dir: str
):
    DATASET.open(data_dir)
    code = f"""
import json
from algoperf_toy.definition import DATASET
from algoperf_workloads.pipeline import TrainingBatches, training_queue

if __name__ == "__main__":
    examples = DATASET.examples(DATASET.open({data_dir!r}).splits, "train")
    inline, workers = (
        training_queue(
            TrainingBatches(DATASET, examples, batch_size=8, seed=(1, 2)),
            lambda batch: batch["inputs"].tobytes(),
            workers=count,
            num_batches=8,
        )
        for count in (0, 2)
    )
    assert [next(inline) for _ in range(4)] == [next(workers) for _ in range(4)]
    position = json.loads(json.dumps(workers.get_state()))
    rest = list(workers)
    assert rest == list(inline) and len(rest) == 4
    workers.set_state(position)
    assert next(workers) == rest[0]
    print("same")
"""
    assert run_python(code).strip() == "same"
