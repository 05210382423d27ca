"""JAX arrays in a checkpoint: written and read by Orbax, each on the devices it was on.

Orbax gets a flat dictionary of arrays; the tree around them is described by `state_trees`, because an
optimizer state may hold functions and plain Python values, which Orbax does not save.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec, SingleDeviceSharding

from algoperf_core.errors import CheckpointError
from algoperf_core.state_trees import Facts

ARRAYS = "arrays"


class JaxArrays:
    """JAX's part of a checkpoint."""

    def describe(self, value: Any) -> tuple[Facts, Any] | None:
        """Shape, type and placement of a JAX array; random keys are stored as their words."""
        if not isinstance(value, jax.Array) or isinstance(value, jax.core.Tracer):
            return None
        if value.is_deleted():
            raise CheckpointError(
                f"an array of shape {value.shape} in the state was donated to a computation: drop it from "
                "the state, which a checkpoint saves as a whole"
            )
        facts: Facts = {}
        if jax.dtypes.issubdtype(value.dtype, jax.dtypes.prng_key):
            facts["key"] = str(jax.random.key_impl(value))
            value = jax.random.key_data(value)
        facts |= {
            "shape": list(value.shape),
            "dtype": value.dtype.name,
            "weak": bool(value.weak_type),
            "committed": bool(value.committed),
            "sharding": _sharding_facts(value.sharding),
        }
        # Orbax refuses arrays without elements.
        return facts, _whole(value) if value.size else None

    def rebuild(self, facts: Facts, stored: Any) -> Any:
        """The array as it was."""
        dtype = jnp.dtype(facts["dtype"])
        array = jnp.zeros(facts["shape"], dtype) if stored is None else stored
        if jax.process_count() > 1:
            array = _spread(np.asarray(array), facts)
        elif not facts["committed"]:
            array = jnp.asarray(np.asarray(array))
        if facts["weak"] and array.ndim == 0:
            array = jnp.asarray(array.item())  # only Python scalars are weakly typed
        return jax.random.wrap_key_data(array, impl=facts["key"]) if "key" in facts else array

    def flatten(self, value: Any) -> tuple[list[Any], Any] | None:
        """Children and structure of one level of a registered pytree node."""
        children, structure = jax.tree.flatten(value, is_leaf=lambda node: node is not value)
        if len(children) == 1 and children[0] is value:
            return None
        return children, structure

    def unflatten(self, structure: Any, children: list[Any]) -> Any:
        """A pytree node with other children."""
        return jax.tree.unflatten(structure, children)

    def load_state(self, holder: Any, state: Any) -> None:
        """Calls `load_state_dict`."""
        holder.load_state_dict(state)

    def write(self, folder: Path, arrays: Mapping[str, Any]) -> None:
        """Writes arrays into a folder, and returns when they are written.

        Raises:
            CheckpointError: Orbax could not write them.
        """
        if not arrays:
            return
        with _orbax() as checkpointer:
            try:
                checkpointer.save((folder / ARRAYS).absolute(), dict(arrays))
            # A full disk is any of these, depending on which part of Orbax meets it.
            except (OSError, ValueError, RuntimeError) as error:
                raise CheckpointError(f"the arrays cannot be written: {error}") from error

    def read(self, folder: Path, facts: Mapping[str, Facts]) -> dict[str, Any]:
        """Reads the arrays that facts describe, onto their devices.

        Raises:
            CheckpointError: Devices are missing, or Orbax could not read the arrays.
        """
        if not facts:
            return {}
        target = {name: _target(fact) for name, fact in facts.items()}
        with _orbax() as checkpointer:
            try:
                restored: dict[str, Any] = checkpointer.restore(
                    (folder / ARRAYS).absolute(), target
                )
            except (OSError, ValueError, KeyError, RuntimeError) as error:
                raise CheckpointError(f"{folder}: the arrays cannot be read: {error}") from error
        return restored

    def beside(self, params: Any) -> JaxArrays:
        """For the state beside the parameters: the same."""
        return self

    def without_arrays(self, tree: Any) -> Any:
        """The tree as a template, its arrays let go: they need not be there twice."""
        return jax.tree.map(lambda leaf: 0 if isinstance(leaf, jax.Array) else leaf, tree)

    def hidden_state(self, params: Any) -> Any:
        """JAX has no global generator, and parameters hold no gradients."""
        return None

    def set_hidden_state(self, params: Any, state: Any) -> None:
        """Does nothing."""


def _target(fact: Facts) -> Any:
    shape, dtype = tuple(fact["shape"]), jnp.dtype(fact["dtype"])
    if jax.process_count() > 1:
        return np.empty(shape, dtype)  # each process reads the whole, and then spreads it
    return jax.ShapeDtypeStruct(shape, dtype, sharding=_sharding(fact["sharding"]))


def _whole(value: Any) -> Any:
    """The array as one process can write it; several put what is split over their devices together."""
    if jax.process_count() == 1:
        return value
    if value.is_fully_addressable or value.is_fully_replicated:
        return np.asarray(value)
    from jax.experimental import multihost_utils

    return np.asarray(multihost_utils.process_allgather(value, tiled=True))


def _spread(values: Any, facts: Facts) -> Any:
    """The array on the devices of all processes, or on one of this process's own."""
    if not facts["committed"]:
        return jnp.asarray(values)
    if "device" in facts["sharding"]:
        # Another process's device stands for the one of the same place here.
        return jax.device_put(values, jax.local_devices()[0])
    return jax.make_array_from_callback(
        values.shape, _sharding(facts["sharding"]), lambda part: values[part]
    )


def _sharding_facts(sharding: Any) -> Facts:
    if isinstance(sharding, SingleDeviceSharding):
        (device,) = sharding.device_set
        return {"device": device.id}
    if isinstance(sharding, NamedSharding):
        mesh = sharding.mesh
        spec = [list(axes) if isinstance(axes, tuple) else axes for axes in sharding.spec]
        devices = [device.id for device in mesh.devices.flat]
        return {
            "devices": devices,
            "shape": list(mesh.devices.shape),
            "names": list(mesh.axis_names),
            "spec": spec,
        }
    # The numbers do not depend on it: whole on every device.
    devices = sorted(device.id for device in sharding.device_set)
    return {"devices": devices, "shape": [len(devices)], "names": ["device"], "spec": []}


def _sharding(facts: Facts) -> Any:
    devices = {device.id: device for device in jax.devices()}
    wanted = facts["devices"] if "devices" in facts else [facts["device"]]
    if missing := [number for number in wanted if number not in devices]:
        raise CheckpointError(
            f"the checkpoint was made on devices that are not here ({missing}; here are {sorted(devices)}); "
            "continue on a machine like the one before"
        )
    if "device" in facts:
        return SingleDeviceSharding(devices[facts["device"]])
    mesh = np.asarray([devices[number] for number in wanted]).reshape(facts["shape"])
    spec = [tuple(axes) if isinstance(axes, list) else axes for axes in facts["spec"]]
    return NamedSharding(Mesh(mesh, facts["names"]), PartitionSpec(*spec))


@contextmanager
def _orbax() -> Iterator[Any]:
    import orbax.checkpoint as ocp

    # Not asynchronous: its threads would work while the submission's clock runs.
    options: dict[str, Any] = {}
    if jax.process_count() > 1:
        # Each process works alone: Orbax shall wait for no other.
        here = jax.process_index()
        options["multiprocessing_options"] = ocp.options.MultiprocessingOptions(
            primary_host=here, active_processes={here}, barrier_sync_key_prefix=f"process_{here}"
        )
    handler = ocp.StandardCheckpointHandler(**options)
    checkpointer = ocp.Checkpointer(handler, **options)
    # What goes wrong is raised; Orbax prints the same traceback from several threads besides.
    log = logging.getLogger("absl")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield checkpointer
    finally:
        log.setLevel(level)
        checkpointer.close()
