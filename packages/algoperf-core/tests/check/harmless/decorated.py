"""Signatures behind decorators, keywords and star imports are taken as they are."""

import functools

from .honest import *  # noqa: F403


@functools.lru_cache
def get_batch_size(*names):
    return 64


def update_params(*, workload, optimizer_state, current_param_container, model_state, **rest):
    return optimizer_state, current_param_container, model_state
