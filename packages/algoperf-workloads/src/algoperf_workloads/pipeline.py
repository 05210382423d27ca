"""From stored columns to batches, in NumPy: endless shuffled ones to train on, padded ones to evaluate.

Training batches are addressed by their number: batch `n` belongs to epoch `n // batches_per_epoch`, each
epoch is a fresh permutation that drops its incomplete last batch, and the augmentation of a batch
draws from a generator of its own. So the position of the pipeline is a number, and two frameworks,
or two runs, with one seed see the same bytes in the same order. Iteration, worker processes and the
checkpointable position are grain's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from algoperf_core.errors import WorkloadError
from algoperf_workloads.dataset import Batch, DatasetDefinition
from algoperf_workloads.store import Array, Columns

Seed = tuple[int, ...]
Placement = Callable[[Batch], Any]

# As long as makes no difference: at a microsecond per batch, twelve days.
ENDLESS = 2**40
_PERMUTATIONS, _AUGMENTATIONS = 0, 1


class TrainingBatches:
    """Training batches by their number; a random-access source for grain.

    Args:
        definition: The data's definition.
        columns: Columns `(examples, ...)` of the training split.
        batch_size: Number of examples in a batch.
        seed: Words that order and augmentation derive from.

    Raises:
        WorkloadError: A batch is larger than the training split.
    """

    def __init__(
        self, definition: DatasetDefinition, columns: Columns, *, batch_size: int, seed: Seed
    ) -> None:
        self._definition = definition
        self._columns = columns
        self._batch_size = batch_size
        self._seed = seed
        self._num_examples = len(next(iter(columns.values())))
        self.batches_per_epoch = self._num_examples // batch_size
        if self.batches_per_epoch == 0:
            raise WorkloadError(
                f"{definition.name}: the batch size is {batch_size}, but there are only "
                f"{self._num_examples} training examples; use a batch size of at most that"
            )
        self._epoch = -1
        self._order: Array = np.empty(0, np.int64)

    def __len__(self) -> int:
        return ENDLESS

    def __getitem__(self, number: int) -> Batch:
        epoch, position = divmod(int(number), self.batches_per_epoch)
        start = position * self._batch_size
        chosen = self._permutation(epoch)[start : start + self._batch_size]
        batch = self._definition.preprocess(
            {name: array[chosen] for name, array in self._columns.items()}
        )
        if self._definition.augment is None:
            return batch
        return self._definition.augment(batch, self._generator(_AUGMENTATIONS, int(number)))

    def _permutation(self, epoch: int) -> Array:
        if epoch != self._epoch:
            self._order = self._generator(_PERMUTATIONS, epoch).permutation(self._num_examples)
            self._epoch = epoch
        return self._order

    def _generator(self, purpose: int, number: int) -> np.random.Generator:
        return np.random.default_rng(
            np.random.SeedSequence(self._seed, spawn_key=(purpose, number))
        )


class InputQueue(Iterator[Any]):
    """Batches on the devices, with a position that a checkpoint can hold.

    Args:
        batches: A grain iterator of NumPy batches.
        place: Puts a batch on the devices.
        workers: Number of worker processes behind `batches`; positions are valid for this number only.
    """

    def __init__(self, batches: Any, place: Placement, workers: int = 0) -> None:
        self._batches = batches
        self._place = place
        self._workers = workers

    def __next__(self) -> Any:
        return self._place(next(self._batches))

    def get_state(self) -> dict[str, Any]:
        """The position of the next batch, as numbers and strings that JSON can hold."""
        return {"workers": self._workers, "position": self._batches.get_state()}

    def set_state(self, state: dict[str, Any]) -> None:
        """Continues at a position that `get_state` returned.

        Raises:
            ValueError: The position was taken with another number of workers.
        """
        if state["workers"] != self._workers:
            raise ValueError(
                f"the position was saved with {state['workers']} worker processes and cannot be restored "
                f"with {self._workers}"
            )
        self._batches.set_state(state["position"])


def training_queue(
    source: TrainingBatches,
    place: Placement,
    *,
    workers: int = 0,
    num_batches: int | None = None,
) -> InputQueue:
    """Training batches in order of their number, on the devices.

    Args:
        source: The batches.
        place: Puts a batch on the devices.
        workers: Processes that prepare batches ahead; 0 prepares each when it is asked for.
        num_batches: Ends after this many; None never ends.
    """
    import grain

    dataset = grain.MapDataset.source(source)
    if num_batches is not None:
        dataset = dataset[:num_batches]
    # Threads would only contend for the interpreter: a batch is one NumPy expression.
    batches = dataset.to_iter_dataset(grain.ReadOptions(num_threads=0, prefetch_buffer_size=0))
    if workers > 0:
        _mark_flags_as_parsed()
        batches = batches.mp_prefetch(grain.MultiprocessingOptions(num_workers=workers))
    return InputQueue(iter(batches), place, workers)


def evaluation_batches(
    definition: DatasetDefinition, columns: Columns, *, batch_size: int, multiple_of: int = 1
) -> Iterator[Batch]:
    """All examples in their stored order, in batches of equal size with `weights`.

    The last batch is padded with zeros. `weights` `(batch,)` is 1 for an example and 0 for padding.

    Args:
        definition: The data's definition.
        columns: Columns `(examples, ...)` of the split.
        batch_size: Number of examples in a batch.
        multiple_of: Every batch is padded to a multiple of this, the number of devices.
    """
    num_examples = len(next(iter(columns.values())))
    padded_size = -(-batch_size // multiple_of) * multiple_of
    for start in range(0, num_examples, batch_size):
        chosen = {name: array[start : start + batch_size] for name, array in columns.items()}
        yield pad_batch(definition.preprocess(chosen), padded_size)


def pad_batch(batch: Batch, size: int) -> Batch:
    """Pads every array `(examples, ...)` with zeros to `(size, ...)` and adds `weights` `(size,)`."""
    examples = len(next(iter(batch.values())))
    weighted = {**batch, "weights": np.ones(examples, np.float32)}
    return {name: _pad(array, size - examples) for name, array in weighted.items()}


def seed_words(rng: Any) -> Seed:
    """The words of a random key: a typed or raw JAX key, an integer array, or an integer."""
    if hasattr(rng, "dtype") and "key<" in str(rng.dtype):
        import jax

        rng = jax.random.key_data(rng)
    words = np.atleast_1d(np.asarray(rng)).astype(np.int64)
    return tuple(int(word) % 2**32 for word in words.ravel())


def _pad(array: Array, missing: int) -> Array:
    if missing == 0:
        return array
    return np.concatenate([array, np.zeros((missing, *array.shape[1:]), array.dtype)])


def _mark_flags_as_parsed() -> None:
    # grain's worker processes read absl flags, which nobody parses outside of absl's own main.
    from absl import flags

    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()
