"""Leaves work running."""

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import Process

import torch

from .honest import data_selection, get_batch_size, update_params

__all__ = ["data_selection", "get_batch_size", "update_params"]


def work():
    while True:
        pass


def init_optimizer_state(workload, model_params, model_state, hyperparameters, rng):
    threading.Thread(target=work, daemon=True).start()  # caught: threads-left
    pool = ThreadPoolExecutor(4)  # caught: threads-left
    Process(target=work).start()  # caught: threads-left
    timer = threading.Timer(1.0, work)  # caught: threads-left
    os.fork()  # caught: threads-left
    asyncio.run(work())  # caught: threads
    side = torch.cuda.Stream()  # caught: streams
    return (pool, timer, side), None
