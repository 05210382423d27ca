"""JAX in several processes, each with its local devices: arrays lie on the devices of all."""

from __future__ import annotations

import os
from dataclasses import replace

import jax
import numpy as np
from jax.experimental import multihost_utils

from algoperf_core.processes import Placement


class JaxRuntime:
    """`jax.distributed`, which must come before anything else that uses JAX.

    Args:
        placement: Coordinator, number and rank; or `cluster`, where JAX finds them itself (Slurm, Open MPI,
            TPU pods).
    """

    def __init__(self, placement: Placement) -> None:
        # Without it, CPU devices of other processes cannot be reached; other platforms ignore it.
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        if placement.cluster:
            jax.distributed.initialize()
        else:
            jax.distributed.initialize(placement.coordinator, placement.count, placement.rank)
        local_rank = int(os.environ.get("SLURM_LOCALID", jax.process_index()))
        self._placement = replace(
            placement,
            rank=jax.process_index(),
            count=jax.process_count(),
            local_rank=local_rank if placement.cluster else placement.local_rank,
        )

    def place(self) -> Placement:
        """As JAX says."""
        return self._placement

    def share(self, payload: bytes) -> bytes:
        """Over the devices."""
        words = multihost_utils.broadcast_one_to_all(np.frombuffer(payload, np.uint8))
        return np.asarray(words).astype(np.uint8).tobytes()

    def separate_generators(self, seed: int) -> None:
        """JAX has no global generators."""

    def stop(self) -> None:
        """Leaves the group; waits for the others."""
        jax.distributed.shutdown()
