"""How the authors of optimizers state batch sizes: one number, a table by workload, or a function.

The number of micro-batches is stated in the same way. It changes the memory that a step needs, neither the
loss nor the gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from algoperf_core.errors import SubmissionError
from algoperf_core.spec import Workload

BatchSize = int | Mapping[str, int] | Callable[[str], int]
MicroBatches = int | Mapping[str, int] | Callable[[str], int]


def batch_size_function(batch_size: BatchSize) -> Callable[[str], int]:
    """Turns a number, table or function into a `get_batch_size`.

    A table raises `ValueError` for names that it lacks, whereupon the harness asks for the base
    workload's name instead.
    """
    if callable(batch_size):
        return batch_size
    if isinstance(batch_size, int):
        number = batch_size
        return lambda workload_name: number
    table = dict(batch_size)

    def get_batch_size(workload_name: str) -> int:
        if workload_name not in table:
            raise ValueError(
                f"no batch size for workload {workload_name!r}; known: {', '.join(table)}"
            )
        return table[workload_name]

    return get_batch_size


def micro_batch_count(micro_batches: MicroBatches, workload: Workload) -> int:
    """In how many parts each batch of a workload is processed.

    A variant that a table or function does not know has the number of its base workload; what a table knows
    neither by name nor by base is processed whole.

    Raises:
        SubmissionError: The number is not a whole number above 0.
        ValueError: A function raised it for the variant and for its base.
    """
    base = workload.goal.variant_of or workload.name
    if isinstance(micro_batches, int):
        count = micro_batches
    elif isinstance(micro_batches, Mapping):
        count = micro_batches.get(workload.name, micro_batches.get(base, 1))
    else:
        try:
            count = micro_batches(workload.name)
        except ValueError:
            count = micro_batches(base)
    if not isinstance(count, int) or count < 1:
        raise SubmissionError(
            f"micro_batches is {count!r} for workload {workload.name!r}; allowed are whole numbers from 1"
        )
    return count


def check_divisible(batch_size: int, count: int, devices: int) -> None:
    """Checks that a batch splits into micro-batches that split over the devices.

    Args:
        batch_size: Number of examples.
        count: Number of micro-batches.
        devices: Number of devices that hold the batch.

    Raises:
        SubmissionError: It does not.
    """
    if batch_size % (count * devices):
        over = f" on {devices} devices" if devices > 1 else ""
        raise SubmissionError(
            f"a batch of {batch_size} examples does not divide into {count} micro-batches{over}; "
            f"choose a micro_batches that divides {batch_size // devices}"
        )


def not_splittable(where: str, shape: tuple[int, ...] | None, batch_size: int) -> SubmissionError:
    """The error for a batch whose arrays do not all have the examples as their first axis."""
    found = "is no array" if shape is None else f"has shape {shape}"
    return SubmissionError(
        f"micro_batches: {where} of the batch {found}, and every array must have the "
        f"{batch_size} examples as its first axis; set micro_batches to 1 for this workload"
    )
