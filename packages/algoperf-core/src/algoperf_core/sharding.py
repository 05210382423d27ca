"""Where JAX arrays live: one mesh over all local devices, batches split, everything else copied."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

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
    return jax.device_put(tree, replicated())


def shard_batch(batch: Any) -> Any:
    """Splits every leaf `(batch, ...)` of a batch over the devices; None leaves stay None."""
    return jax.device_put(batch, batch_sharded())
