"""Writes, looks up, calls and starts things behind names that no reader can follow."""

import os
import pathlib
import socket
import subprocess
import sys

from .honest import data_selection, get_batch_size, update_params

__all__ = ["data_selection", "get_batch_size", "update_params"]


def hidden(module, *letters):
    return getattr(module, "".join(letters))


def init_optimizer_state(workload, model_params, model_state, hyperparameters, rng):
    from .honest import init_optimizer_state

    hidden(os, "env", "iron")["ALGOPERF_RATE"] = "1"  # seen: environment-write
    there = hidden(pathlib, "Pa", "th")(hidden(os, "dev", "null"))
    hidden(there, "write", "_text")("0.1")  # seen: files
    hidden(subprocess, "r", "un")([sys.executable, "-c", ""])  # seen: commands
    hidden(socket, "sock", "et")().close()  # seen: network
    hidden(sys, "_get", "frame")()  # seen: harness-internals
    return init_optimizer_state(workload, model_params, model_state, hyperparameters, rng)
