"""`algoperf.pytorch_utils`: where a PyTorch process runs, under the published name."""

import os

import torch


def pytorch_setup() -> tuple[bool, int, torch.device, int]:
    """How this process takes part in training.

    Returns:
        Whether it was started by `torchrun`, its local rank (0 otherwise), its device, and the number of
        GPUs that it sees.
    """
    use_ddp = "LOCAL_RANK" in os.environ
    rank = int(os.environ["LOCAL_RANK"]) if use_ddp else 0
    device = torch.device(f"cuda:{rank}" if torch.cuda.is_available() else "cpu")
    return use_ddp, rank, device, torch.cuda.device_count()
