"""PyTorch in several processes: one per GPU, or on the CPU, started by `torchrun`."""

from __future__ import annotations

import torch
import torch.distributed as dist

from algoperf_core.processes import Placement


class TorchRuntime:
    """The process group: NCCL for tensors on GPUs, Gloo for those on the host.

    Args:
        placement: What `torchrun` says.
    """

    def __init__(self, placement: Placement) -> None:
        self._placement = placement
        if torch.cuda.is_available():
            device = torch.device("cuda", placement.local_rank)
            torch.cuda.set_device(device)
            dist.init_process_group("cpu:gloo,cuda:nccl", device_id=device)
        else:
            dist.init_process_group("gloo")

    def place(self) -> Placement:
        """As `torchrun` says."""
        return self._placement

    def share(self, payload: bytes) -> bytes:
        """Over Gloo."""
        words = torch.frombuffer(bytearray(payload), dtype=torch.uint8)
        dist.broadcast(words, 0)
        return bytes(words.tolist())

    def separate_generators(self, seed: int) -> None:
        """Seeds the generators of the CPU and the GPU."""
        torch.random.manual_seed(seed)

    def stop(self) -> None:
        """Destroys the process group."""
        dist.destroy_process_group()
