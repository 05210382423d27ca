"""One of two processes that train together: `data_parallel_run.py RANK PORT MICRO_BATCHES FILE`."""

import gc
import sys

import numpy as np
import torch
from toy_plugin.small_net import TorchSmallNet, Trial, batches

from algoperf_core import decay_groups, from_torch
from algoperf_core.tuning import hyperparameters

PROCESSES, BATCH, VALID = 2, 64, 45


class Shard(TorchSmallNet):
    """Wraps its model, and sees one half of each batch."""

    def init_model_fn(self, rng):
        model, state = super().init_model_fn(rng)
        return torch.nn.parallel.DistributedDataParallel(model), state

    def _build_input_queue(self, *arguments, **options):
        mine = slice(rank * BATCH // PROCESSES, (rank + 1) * BATCH // PROCESSES)
        for batch in batches(BATCH, VALID):
            yield self.place({name: array[mine] for name, array in batch.items()})


rank, port, count, file = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]
torch.distributed.init_process_group(
    "gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=PROCESSES
)


def train():
    """Trains, and lets go of all that holds the process group."""
    submission = from_torch(
        lambda parameters, h, steps, parameter_types: torch.optim.SGD(
            decay_groups(parameters, parameter_types, 0.01), h.learning_rate, momentum=0.9
        ),
        batch_size=BATCH,
        micro_batches=count,
        sam_rho=0.05,
    )
    point = hyperparameters({"learning_rate": 0.2, "grad_clip": 0.5})
    trial = Trial(submission, Shard(batch_norm=False), point)
    arrays = trial.step(6)
    np.savez(file, loss=trial.logged["loss"], **arrays)


train()
# What still holds it when the interpreter ends lets Gloo's threads abort the process.
gc.collect()
torch.distributed.destroy_process_group()
