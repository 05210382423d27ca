"""Clocks, ranks, text, locks, classes and settings of one's own."""

import functools
import os
import os.path
import threading
import time
from urllib.parse import quote

import torch

from .honest import data_selection, get_batch_size, init_optimizer_state, update_params

__all__ = ["data_selection", "get_batch_size", "init_optimizer_state", "update_params"]

RANK = int(os.environ.get("RANK", 0))
LOCAL = os.environ["LOCAL_RANK"] if "LOCAL_RANK" in os.environ else "0"
WORLD = os.getenv("WORLD_SIZE")
LOCK = threading.Lock()
BETAS = [0.9, 0.99, 0.999] * 3
TEXT = "a sentence with words " * 100
JOINED = os.path.join("a", quote("b"))


class Rule(torch.optim.Optimizer):
    def step(self, closure=None):
        self.started = time.perf_counter()
        for group in self.param_groups:
            group["lr"] = 0.1
        return closure


class Options:
    pass


options = Options()
options.rate = 0.1
setattr(options, "other", 0.2)
Rule.summary = "own classes may change"


def build(model, environ=None):
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    optimizer.step = functools.partial(optimizer.step, None)
    open = functools.partial(print, "not the file function")
    open("text")
    environ = environ or {}
    environ["A"] = "a dict of one's own"
    available = torch.backends.mps.is_available()
    return torch.compile(model), optimizer, available
