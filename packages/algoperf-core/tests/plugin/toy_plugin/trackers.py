"""Trackers: one that writes down what it is told, and some that go wrong."""

import ctypes
import json
import os
import subprocess
import sys
import time
from pathlib import Path


class Notebook:
    """Appends every call to `notebook.jsonl` in the trial's folder."""

    def start(self, facts, hyperparameters):
        self.path = Path(facts.trial_dir) / "notebook.jsonl"
        self.write("start", facts.label, hyperparameters)

    def log(self, metrics, global_step, submission_s):
        self.write("log", metrics, global_step, submission_s)

    def finish(self, result):
        self.write("finish", result)

    def write(self, *call):
        with self.path.open("a") as file:
            file.write(json.dumps([*call, os.getpid()]) + "\n")


def misbehave(what):
    if what == "raises":
        raise ValueError("the server said no")
    if what == "hangs":
        time.sleep(3600)
    if what == "uploads":
        command = [sys.executable, "-c", "import time; time.sleep(600)"]
        uploader = subprocess.Popen(command, start_new_session=True)
        Path("uploader.txt").write_text(str(uploader.pid))
    if what == "exits":
        os._exit(3)
    if what == "crashes":
        ctypes.string_at(0)
    print(what, flush=True)  # noqa: T201


class Faulty(Notebook):
    """Does what `faulty.json` in the working directory says, at the moment it says."""

    def __init__(self):
        self.at, self.what = json.loads(Path("faulty.json").read_text())
        if self.at == "import":
            misbehave(self.what)

    def write(self, name, *call):
        if name == self.at:
            misbehave(self.what)
