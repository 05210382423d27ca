"""A function that is handed over as the batch size may know the name, too."""

import optax

from algoperf_core import from_optax


def sizes(workload_name):
    return 1024 if workload_name == "imagenet_resnet" else 128


def optimizer(hyperparameters, step_hint):
    warmup = min(step_hint // 20, 1000)
    return optax.sgd(optax.linear_schedule(0.0, hyperparameters.learning_rate, warmup))


submission = from_optax(optimizer, batch_size=sizes)
other = from_optax(optimizer, batch_size=lambda name: 64 if name == "wmt" else 128)
