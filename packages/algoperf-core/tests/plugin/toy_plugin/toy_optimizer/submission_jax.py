import optax

from algoperf_core import from_optax


def optimizer(hyperparameters, step_hint):
    return optax.sgd(hyperparameters.learning_rate)


submission = from_optax(optimizer, batch_size=64)
