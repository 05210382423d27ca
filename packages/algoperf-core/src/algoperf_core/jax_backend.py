"""JAX as the training loop sees it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from algoperf_core.backends import Key, StepKeys
from algoperf_core.sharding import replicate
from algoperf_core.spec import Framework


def _split_step_key(loop_key: Key, global_step: Any) -> StepKeys:
    data, update, prepare, evaluate = jax.random.split(jax.random.fold_in(loop_key, global_step), 4)
    return data, update, prepare, evaluate


def _take_first(leaf: Any) -> Any:
    return leaf.reshape(-1)[:1]


_step_keys: Callable[[Key, Any], StepKeys] = jax.jit(_split_step_key)
_first_element = jax.jit(_take_first)


class JaxBackend:
    """JAX on the devices of all its processes."""

    framework: Framework = "jax"

    @property
    def device_count(self) -> int:
        """Number of devices."""
        return int(jax.device_count())

    def key(self, seed: int) -> Key:
        """A typed key, on the devices of all processes."""
        key = jax.random.key(seed)
        if jax.process_count() == 1:
            return key
        words = replicate(np.asarray(jax.random.key_data(key)))
        return jax.jit(jax.random.wrap_key_data)(words)

    def step_keys(self, loop_key: Key, global_step: int) -> StepKeys:
        """Four keys in one dispatch."""
        return _step_keys(loop_key, np.uint32(global_step))

    def fence(self, params: Any) -> Any:
        """A copy of one element: the submission may donate the parameters themselves."""
        return _first_element(jax.tree.leaves(params)[0])

    def wait(self, fence: Any) -> None:
        """Waits for a fence."""
        fence.block_until_ready()

    def synchronize(self) -> None:
        """Waits for every array that anybody still holds, and for the queue of every device.

        Arrays that the submission hides in globals count as well: waiting for the returned state alone
        would let it compute during untimed evaluations.
        """
        queue_ends = [jax.device_put(0, device) + 1 for device in jax.local_devices()]
        jax.block_until_ready(queue_ends)
        jax.block_until_ready([array for array in jax.live_arrays() if not array.is_deleted()])

    def release_memory(self) -> None:
        """JAX keeps its pool; there is nothing to give back."""

    def is_out_of_memory(self, error: BaseException) -> bool:
        """XLA reports `RESOURCE_EXHAUSTED`."""
        return isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" in str(error)

    def hardware(self) -> dict[str, Any]:
        """GPUs or TPUs that JAX sees."""
        devices = [device for device in jax.local_devices() if device.platform != "cpu"]
        return (
            {"gpu_model_name": devices[0].device_kind, "gpu_count": jax.device_count()}
            if devices
            else {}
        )
