"""PyTorch as the training loop sees it."""

from __future__ import annotations

from typing import Any

import torch

from algoperf_core import numpy_keys
from algoperf_core.backends import Key, StepKeys
from algoperf_core.spec import Framework


def own_gpus() -> list[int]:
    """Numbers of the GPUs that this process works with; to touch another one would take its memory."""
    if torch.distributed.is_initialized() and torch.cuda.is_available():
        return [torch.cuda.current_device()]
    return list(range(torch.cuda.device_count()))


class TorchBackend:
    """PyTorch on GPUs, or on the CPU, where work is never asynchronous.

    Alone, a process sees all GPUs; started by `torchrun`, it keeps to its own.
    """

    framework: Framework = "pytorch"

    @property
    def device_count(self) -> int:
        """Number of processes of `torchrun`; without, of GPUs, or 1 for the CPU."""
        if torch.distributed.is_initialized():
            return int(torch.distributed.get_world_size())
        return int(max(torch.cuda.device_count(), 1))

    def key(self, seed: int) -> Key:
        """An int32 array of two words."""
        return numpy_keys.key(seed)

    def step_keys(self, loop_key: Key, global_step: int) -> StepKeys:
        """Keys of a step, as the published benchmark draws them for PyTorch."""
        data, update, prepare, evaluate = numpy_keys.split(
            numpy_keys.fold_in(loop_key, global_step), 4
        )
        return data, update, prepare, evaluate

    def fence(self, params: Any) -> Any:
        """An event on the current stream; None on the CPU."""
        del params
        if not torch.cuda.is_available():
            return None
        event = torch.cuda.Event()
        event.record()
        return event

    def wait(self, fence: Any) -> None:
        """Waits for a fence."""
        if fence is not None:
            fence.synchronize()

    def synchronize(self) -> None:
        """Waits for all streams of all GPUs that are this process's."""
        for device in own_gpus():
            torch.cuda.synchronize(device)

    def release_memory(self) -> None:
        """Empties the allocator's cache, so that training and evaluation do not crowd each other out."""
        torch.cuda.empty_cache()

    def is_out_of_memory(self, error: BaseException) -> bool:
        """PyTorch's own error, also for the CPU allocator."""
        return isinstance(error, torch.OutOfMemoryError) or (
            isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
        )

    def hardware(self) -> dict[str, Any]:
        """GPUs that PyTorch sees."""
        if not torch.cuda.is_available():
            return {}
        name = torch.cuda.get_device_name(own_gpus()[0])
        return {"gpu_model_name": name, "gpu_count": self.device_count}
