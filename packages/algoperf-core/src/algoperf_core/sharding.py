"""Where JAX arrays live: one mesh over the devices of all processes, batches split, all else copied."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from algoperf_core.batch_sizes import check_divisible, not_splittable

BATCH_AXIS = "batch"


def _mesh() -> Mesh:
    return Mesh(np.asarray(jax.devices()), (BATCH_AXIS,))


def replicated() -> NamedSharding:
    """Sharding that keeps a whole copy on every device."""
    return NamedSharding(_mesh(), PartitionSpec())


def batch_sharded() -> NamedSharding:
    """Sharding that splits the first axis over the devices."""
    return NamedSharding(_mesh(), PartitionSpec(BATCH_AXIS))


def replicate(tree: Any) -> Any:
    """Copies every leaf of a tree to every device."""
    return _put(tree, replicated())


def shard_batch(batch: Any) -> Any:
    """Splits every leaf `(batch, ...)` of a batch over the devices; None leaves stay None.

    With several processes, each gives the whole global batch and keeps the rows of its own devices.
    """
    return _put(batch, batch_sharded())


def shard_rows(batch: Any) -> Any:
    """Like `shard_batch`, where each of several processes gives the rows of its own devices only."""
    sharding = batch_sharded()
    if jax.process_count() == 1:
        return jax.device_put(batch, sharding)
    return jax.tree.map(
        lambda rows: jax.make_array_from_process_local_data(sharding, np.asarray(rows)), batch
    )


def _put(tree: Any, sharding: NamedSharding) -> Any:
    if jax.process_count() == 1:
        return jax.device_put(tree, sharding)

    def put(leaf: Any) -> Any:
        if isinstance(leaf, jax.Array) and not leaf.is_fully_addressable:
            return jax.device_put(leaf, sharding)
        if isinstance(leaf, jax.Array) and jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jax.jit(jax.random.wrap_key_data)(put(jax.random.key_data(leaf)))
        values = np.asarray(leaf)
        return jax.make_array_from_process_local_data(sharding, values, values.shape)

    return jax.tree.map(put, tree)


def split_batch(batch: Any, count: int) -> Any:
    """Splits every leaf `(batch, ...)` into micro-batches `(count, batch / count, ...)`; for use in a jit.

    Example `i` goes to micro-batch `i % count`, however many devices there are. Each device splits what
    it holds: nothing moves between devices.

    Raises:
        SubmissionError: The batch does not divide, or a leaf does not have the examples as its first axis.
    """
    examples = jax.tree.leaves(batch["targets"])[0].shape[0]
    check_divisible(examples, count, len(jax.devices()))
    sharding = NamedSharding(_mesh(), PartitionSpec(None, BATCH_AXIS))

    def split(path: Any, leaf: Any) -> Any:
        shape = getattr(leaf, "shape", None)
        if not shape or shape[0] != examples:
            raise not_splittable(jax.tree_util.keystr(path), shape, examples)
        parts = leaf.reshape(examples // count, count, *shape[1:]).swapaxes(0, 1)
        return jax.lax.with_sharding_constraint(parts, sharding)

    return jax.tree_util.tree_map_with_path(split, batch)
