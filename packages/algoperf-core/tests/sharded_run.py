"""Trains on all devices of this process: `sharded_run.py MICRO_BATCHES FILE`; see test_micro_batches."""

import json
import re
import sys

import jax
import numpy as np
import optax
from toy_plugin.small_net import JaxSmallNet, Trial, batches

from algoperf_core import ema, from_optax
from algoperf_core.sharding import shard_batch, split_batch
from algoperf_core.tuning import hyperparameters

count, file = int(sys.argv[1]), sys.argv[2]
submission = from_optax(
    lambda h, steps: optax.sgd(h.learning_rate, momentum=0.9),
    batch_size=64,
    micro_batches=count,
    average=ema(0.9),
    sam_rho=0.05,
)
trial = Trial(submission, JaxSmallNet(valid=45), hyperparameters({"learning_rate": 0.2}))
newest = trial.step(6)
average = {f"average.{name}": array for name, array in trial.prepare().items()}
np.savez(file, **newest, **average)

split = jax.jit(split_batch, static_argnums=1)
batch = shard_batch(next(batches(64, 64)))
text = split.lower(batch, 4).compile().as_text()
collectives = "all-gather|all-to-all|all-reduce|collective-permute"
sys.stdout.write(
    json.dumps(
        {
            "devices": jax.device_count(),
            "collectives": sorted(set(re.findall(collectives, text))),
            "part_sharding": list(split(batch, 4)["inputs"].sharding.spec),
        }
    )
)
