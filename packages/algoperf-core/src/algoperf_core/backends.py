"""What the training loop needs of a framework: keys, waiting for the device, its errors."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Protocol

from algoperf_core.spec import Framework

Key = Any
StepKeys = tuple[Key, Key, Key, Key]


class Backend(Protocol):
    """A framework as the training loop sees it."""

    @property
    def framework(self) -> Framework:
        """Name of the framework."""
        ...

    @property
    def device_count(self) -> int:
        """Number of devices of all processes; batch sizes divide by it."""
        ...

    def key(self, seed: int) -> Key:
        """The random key of a seed, in the form that submissions of this framework expect."""
        ...

    def step_keys(self, loop_key: Key, global_step: int) -> StepKeys:
        """Keys of a step for data selection, update, preparation for evaluation, and evaluation."""
        ...

    def fence(self, params: Any) -> Any:
        """Something of our own to wait on, that is ready once `params` are computed."""
        ...

    def wait(self, fence: Any) -> None:
        """Waits until a fence is ready."""
        ...

    def synchronize(self) -> None:
        """Waits until the devices have finished all work that was dispatched."""
        ...

    def release_memory(self) -> None:
        """Gives cached device memory back, before and after evaluations."""
        ...

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Whether an error says that the device's memory is exhausted."""
        ...

    def hardware(self) -> dict[str, Any]:
        """Accelerators, for the logs: `gpu_model_name`, `gpu_count`; empty without any."""
        ...


def load_backend(framework: Framework) -> Backend:
    """Imports a framework and returns its backend.

    Raises:
        ModuleNotFoundError: The framework is not installed; the message says how to install it.
    """
    module, attribute, extra = {
        "jax": ("algoperf_core.jax_backend", "JaxBackend", "jax"),
        "pytorch": ("algoperf_core.torch_backend", "TorchBackend", "torch"),
    }[framework]
    try:
        backend: Backend = getattr(import_module(module), attribute)()
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f'{error.name} is not installed: pip install "algoperf-core[{extra}]"', name=error.name
        ) from error
    return backend
