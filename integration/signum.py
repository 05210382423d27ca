"""A submission of ten lines: the sign of the momentum."""

import optax

from algoperf_core import from_optax


def optimizer(hyperparameters, step_hint):
    schedule = optax.cosine_decay_schedule(hyperparameters.learning_rate, max(step_hint, 1))
    return optax.chain(
        optax.trace(decay=0.9), optax.scale_by_sign(), optax.scale_by_learning_rate(schedule)
    )


submission = from_optax(optimizer, batch_size=128)
