"""How the authors of optimizers state batch sizes: one number, a table by workload, or a function."""

from __future__ import annotations

from collections.abc import Callable, Mapping

BatchSize = int | Mapping[str, int] | Callable[[str], int]


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
