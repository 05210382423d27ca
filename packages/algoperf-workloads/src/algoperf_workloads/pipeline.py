"""From stored columns to batches, in NumPy: endless shuffled ones to train on, padded ones to evaluate.

Batches are addressed by their number. Training batch `n` belongs to epoch `n // batches_per_epoch`; each
epoch is a fresh permutation that drops its incomplete last batch, and random transformations draw from
generators that belong to a batch and a block of its rows. So the position of the pipeline is a number, and
two frameworks, two runs, any number of worker processes, and any number of ranks that share out the rows
see the same bytes in the same order. The worker processes are grain's.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import parent_process
from multiprocessing.connection import wait
from typing import Any, Protocol

import numpy as np

from algoperf_core.errors import WorkloadError
from algoperf_scoring import AlgoperfError
from algoperf_workloads.batches import Batch, batch_rows, map_arrays
from algoperf_workloads.columns import INDEX, Array, Columns, Examples
from algoperf_workloads.dataset import DatasetDefinition

Seed = tuple[int, ...]
Placement = Callable[[Batch], Any]
Part = tuple[int, int]
WHOLE: Part = (0, 1)
"""The part of a process on its own: rank 0 of 1."""

# As long as makes no difference: at a microsecond per batch, twelve days.
ENDLESS = 2**40
_PERMUTATIONS, _TRANSFORMATIONS = 0, 1
# What code that decodes and transforms fails with.
_FAILURES = (
    ArithmeticError,
    AlgoperfError,
    AttributeError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


class ExampleError(WorkloadError):
    """An example could not be prepared."""


class Batches(Protocol):
    """Batches by their number; what worker processes are given."""

    def __len__(self) -> int: ...

    def __getitem__(self, number: int) -> Batch: ...


class TrainingBatches:
    """Training batches by their number.

    Args:
        definition: The data's definition.
        examples: The training examples.
        batch_size: Number of examples in a global batch.
        seed: Words that order and transformations derive from.
        part: `(rank, ranks)`: batches hold the rows of this rank, an equal share in the order of ranks.

    Raises:
        WorkloadError: A batch is larger than the training split, or not divisible among the ranks.
    """

    def __init__(
        self,
        definition: DatasetDefinition,
        examples: Examples,
        *,
        batch_size: int,
        seed: Seed,
        part: Part = WHOLE,
    ) -> None:
        self._definition = definition
        self._examples = examples
        self._batch_size = batch_size
        self._seed = seed
        self._rows = _rows_of(part, batch_size)
        self.batches_per_epoch = len(examples) // batch_size
        if self.batches_per_epoch == 0:
            raise WorkloadError(
                f"{definition.name}: the batch size is {batch_size}, but there are only "
                f"{len(examples)} training examples; use a batch size of at most that"
            )
        self._epoch = -1
        self._order: Array = np.empty(0, np.int64)

    def __len__(self) -> int:
        return ENDLESS

    def __getitem__(self, number: int) -> Batch:
        epoch, position = divmod(int(number), self.batches_per_epoch)
        start = position * self._batch_size
        chosen = self._permutation(epoch)[start : start + self._batch_size]
        if self._definition.train is None:
            return _prepared(
                self._definition, self._definition.preprocess, self._examples, chosen[self._rows]
            )
        size = self._definition.block_size or self._batch_size
        first, last = self._rows.start // size, -(-self._rows.stop // size)
        blocks = [self._block(int(number), block, chosen, size) for block in range(first, last)]
        rows = slice(self._rows.start - first * size, self._rows.stop - first * size)
        return _cut(blocks, rows)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_epoch": -1, "_order": np.empty(0, np.int64)}

    def _block(self, number: int, block: int, chosen: Array, size: int) -> Batch:
        generator = self._generator(_TRANSFORMATIONS, number, block)

        def train(columns: Columns) -> Batch:
            assert self._definition.train is not None  # noqa: S101
            return self._definition.train(columns, generator)

        rows = chosen[block * size : (block + 1) * size]
        return _prepared(self._definition, train, self._examples, rows)

    def _permutation(self, epoch: int) -> Array:
        if epoch != self._epoch:
            self._order = self._generator(_PERMUTATIONS, epoch).permutation(len(self._examples))
            self._epoch = epoch
        return self._order

    def _generator(self, purpose: int, number: int, block: int = 0) -> np.random.Generator:
        key = (purpose, number, block) if block else (purpose, number)
        return np.random.default_rng(np.random.SeedSequence(self._seed, spawn_key=key))


class EvaluationBatches:
    """All examples in their order, in batches of equal size with `weights`.

    The last batch is padded with zeros. `weights` `(batch,)` is 1 for an example and 0 for padding.

    Args:
        definition: The data's definition.
        examples: The examples of a split.
        batch_size: Number of examples in a global batch.
        multiple_of: Every batch is padded to a multiple of this, the number of devices of all ranks.
        part: `(rank, ranks)`: batches hold the rows of this rank, an equal share in the order of ranks.
    """

    def __init__(
        self,
        definition: DatasetDefinition,
        examples: Examples,
        *,
        batch_size: int,
        multiple_of: int = 1,
        part: Part = WHOLE,
    ) -> None:
        self._definition = definition
        self._examples = examples
        self._batch_size = batch_size
        self._rows = _rows_of(part, -(-batch_size // multiple_of) * multiple_of)

    def __len__(self) -> int:
        return -(-len(self._examples) // self._batch_size)

    def __getitem__(self, number: int) -> Batch:
        start = int(number) * self._batch_size
        end = min(start + self._batch_size, len(self._examples))
        first, last = start + self._rows.start, min(start + self._rows.stop, end)
        # A rank whose rows are all padding pads an example of another, for its shapes.
        rows = np.arange(first, last) if first < last else np.arange(end - 1, end)
        batch = _prepared(self._definition, self._definition.preprocess, self._examples, rows)
        batch = pad_batch(batch, self._rows.stop - self._rows.start)
        if first < last:
            return batch
        zeros: Batch = map_arrays(np.zeros_like, batch)
        return zeros


class InputQueue(Iterator[Any]):
    """Batches on the devices, with a position that a checkpoint can hold.

    With worker processes the next batch is fetched and put on the devices while the one before it is used;
    the position is that of the next batch which nobody has seen.

    Args:
        source: The batches.
        place: Puts a batch on the devices.
        workers: Processes that prepare batches ahead; 0 prepares each when it is asked for.
        num_batches: Ends after this many; None with the source.
    """

    def __init__(
        self, source: Batches, place: Placement, *, workers: int = 0, num_batches: int | None = None
    ) -> None:
        self._source = source
        self._place = place
        self._workers = workers
        self._end = len(source) if num_batches is None else min(num_batches, len(source))
        self._position = 0
        self._batches: Iterator[Any] | None = None

    def __next__(self) -> Any:
        if self._batches is None:
            self._batches = self._from(self._position)
        batch = next(self._batches)
        self._position += 1
        return batch

    def get_state(self) -> dict[str, Any]:
        """The position of the next batch, as numbers that JSON can hold."""
        return {"position": self._position}

    def set_state(self, state: dict[str, Any]) -> None:
        """Continues at a position that `get_state` returned, with whatever number of workers."""
        self.close()
        self._position = int(state["position"])

    def close(self) -> None:
        """Ends the worker processes; the next batch starts others."""
        if isinstance(self._batches, _PlacedAhead):
            self._batches.close()
        self._batches = None

    def _from(self, position: int) -> Iterator[Any]:
        if self._workers == 0:
            return (self._place(self._source[number]) for number in range(position, self._end))
        return _PlacedAhead(
            prepared_ahead(self._source, position, self._end, self._workers), self._place
        )


class _PlacedAhead(Iterator[Any]):
    """Fetches and places one batch ahead, in a thread of its own."""

    def __init__(self, batches: Iterator[Batch], place: Placement) -> None:
        self._batches = batches
        self._place = place
        self._thread = ThreadPoolExecutor(1, "placing batches")
        self._next = self._thread.submit(self._fetch)

    def __next__(self) -> Any:
        batch = self._next.result()
        self._next = self._thread.submit(self._fetch)
        return batch

    def _fetch(self) -> Any:
        return self._place(next(self._batches))

    def close(self) -> None:
        self._thread.shutdown()
        _close(self._batches)


def training_queue(
    source: TrainingBatches,
    place: Placement,
    *,
    workers: int = 0,
    num_batches: int | None = None,
) -> InputQueue:
    """Training batches in order of their number, on the devices; see `InputQueue`."""
    return InputQueue(source, place, workers=workers, num_batches=num_batches)


def evaluation_batches(
    definition: DatasetDefinition,
    examples: Examples,
    *,
    batch_size: int,
    multiple_of: int = 1,
    part: Part = WHOLE,
    workers: int = 0,
) -> Iterator[Batch]:
    """Iterates over `EvaluationBatches`, prepared by worker processes if asked for."""
    source = EvaluationBatches(
        definition, examples, batch_size=batch_size, multiple_of=multiple_of, part=part
    )
    # Starting processes for a batch or two takes longer than to prepare them.
    workers = min(workers, len(source) - 1)
    if workers > 0:
        batches = prepared_ahead(source, 0, len(source), workers)
        try:
            yield from batches
        finally:
            _close(batches)
    else:
        yield from map(source.__getitem__, range(len(source)))


def prepared_ahead(source: Batches, start: int, end: int, workers: int) -> Iterator[Batch]:
    """Batches `start` to `end - 1` in order, prepared by worker processes.

    The processes import the program's main module: a script needs its `if __name__ == "__main__"`.
    """
    import grain

    _mark_flags_as_parsed()
    numbered = grain.MapDataset.source(source)[start:end]
    # Threads would only contend for the interpreter.
    batches = numbered.to_iter_dataset(grain.ReadOptions(num_threads=0, prefetch_buffer_size=0))
    options = grain.MultiprocessingOptions(num_workers=workers, per_worker_buffer_size=2)
    return iter(batches.mp_prefetch(options, worker_init_fn=_end_with_parent))


def pad_batch(batch: Batch, size: int) -> Batch:
    """Pads every array `(examples, ...)` with zeros to `(size, ...)` and adds `weights` `(size,)`.

    `weights` that the batch has already, such as those of tokens, are padded like the rest.
    """
    examples = batch_rows(batch)
    weighted = {"weights": np.ones(examples, np.float32), **batch}
    padded: Batch = map_arrays(lambda array: _pad(array, size - examples), weighted)
    return padded


def seed_words(rng: Any) -> Seed:
    """The words of a random key: a typed or raw JAX key, an integer array, or an integer."""
    if hasattr(rng, "dtype") and "key<" in str(rng.dtype):
        import jax

        rng = jax.random.key_data(rng)
    words = np.atleast_1d(np.asarray(rng)).astype(np.int64)
    return tuple(int(word) % 2**32 for word in words.ravel())


def _prepared(
    definition: DatasetDefinition,
    function: Callable[[Columns], Batch],
    examples: Examples,
    rows: Array,
) -> Batch:
    columns = examples[rows]
    try:
        return function(columns)
    except _FAILURES as error:
        raise ExampleError(
            f"{definition.name}: {_culprit(function, examples, rows)} could not be prepared: "
            f"{type(error).__name__}: {error}"
        ) from error


def _culprit(function: Callable[[Columns], Batch], examples: Examples, rows: Array) -> str:
    """The first example that fails on its own; else all of them."""
    for row in rows:
        columns = examples[[row]]
        try:
            function(columns)
        except _FAILURES:  # the caller reports the error proper
            return f"example {columns[INDEX][0]}"
    return f"a batch of the examples {examples[rows][INDEX].tolist()}"


def _cut(blocks: Sequence[Batch], rows: slice) -> Batch:
    joined = blocks[0]
    if len(blocks) > 1:
        joined = map_arrays(lambda *arrays: np.concatenate(arrays), *blocks)
    cut: Batch = map_arrays(lambda array: array[rows], joined)
    return cut


def _rows_of(part: Part, batch_size: int) -> slice:
    rank, ranks = part
    if batch_size % ranks:
        raise WorkloadError(
            f"a batch of {batch_size} rows cannot be shared out equally among {ranks} processes"
        )
    share = batch_size // ranks
    return slice(rank * share, (rank + 1) * share)


def _pad(array: Array, missing: int) -> Array:
    if missing == 0:
        return array
    return np.concatenate([array, np.zeros((missing, *array.shape[1:]), array.dtype)])


def _end_with_parent(worker: int, workers: int) -> None:
    """Ends this worker process as soon as the one that started it is gone, however that ended."""
    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _close(batches: Iterator[Any]) -> None:
    close = getattr(batches, "close", None)
    if close is not None:
        close()


def _mark_flags_as_parsed() -> None:
    # grain's worker processes read absl flags, which nobody parses outside of absl's own main.
    from absl import flags

    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()
