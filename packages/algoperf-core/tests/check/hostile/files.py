"""Reads and writes files, talks to the network, starts programs."""

import io
import pickle
import socket
import subprocess
import tempfile
from pathlib import Path
from urllib import request

import numpy as np
import torch

from .honest import data_selection, get_batch_size, init_optimizer_state, update_params

__all__ = ["data_selection", "get_batch_size", "init_optimizer_state", "update_params"]

reader = open  # caught: files
HOME = Path.home()

with reader("/tmp/results.json") as file:  # caught: files
    RESULTS = file.read()
io.open("log.txt", "w").close()  # caught: files
(HOME / "state" / "best.txt").write_text("0.1")  # caught: files
WEIGHTS = np.load("weights.npz")  # caught: files
STATE = torch.load("model.pt")  # caught: files
torch.nn.Linear(2, 2).load_state_dict(STATE)  # caught: pretrained
BEST = pickle.loads(b"N.")  # caught: opaque-code
SCRATCH = tempfile.mkdtemp()  # caught: files
LEARNED = (Path(__file__).parent / "rule.json").read_text()  # caught: own-files
(Path(__file__).parent / "memory.json").write_text("{}")  # caught: files
LINES = list(map(open, ["a", "b"]))  # caught: files
request.urlopen("http://localhost")  # caught: network
socket.create_connection(("localhost", 80))  # caught: network
subprocess.run(["true"])  # caught: commands
