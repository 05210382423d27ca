"""Changes and reads the environment under many names."""

import os as o
from os import environ as e
from os import getenv

from .honest import data_selection, get_batch_size, init_optimizer_state, update_params

__all__ = ["data_selection", "get_batch_size", "init_optimizer_state", "update_params"]

e["XLA_FLAGS"] = "--xla_gpu_autotune_level=4"  # caught: environment-write
o.environ.update(TF32="1")  # caught: environment-write
o.putenv("OMP_NUM_THREADS", "1")  # caught: environment-write
e |= {"A": "1"}  # caught: environment-write
del e["HOME"]  # caught: environment-write
setattr(o, "environ", {})  # caught: patching
HOST = getenv("HOSTNAME")  # caught: environment-read
USER = e.get("USER")  # caught: environment-read
EVERYTHING = dict(o.environ)  # caught: environment-read
EOTHER = getattr(__import__("os"), "environ")["TMP"]  # caught: environment-read dynamic-code
