"""The process that a tracker lives in: `python -m algoperf_core.trackers.host NAME`.

Reads messages as lines of JSON from standard input, and answers each with a line. A tracker that raises an
exception ends the process; its traceback goes to standard error, and the trial goes on without it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterable
from typing import Any, BinaryIO

from algoperf_core.trackers import Tracker, TrialFacts
from algoperf_core.trackers.catalogue import create_tracker

PR_SET_PDEATHSIG = 1  # of linux/prctl.h


def serve(tracker: Tracker, messages: Iterable[bytes], answers: BinaryIO) -> None:
    """Hands every message to the tracker and answers it when that is done."""
    for line in messages:
        handle(tracker, json.loads(line))
        answers.write(b"\n")
        answers.flush()


def handle(tracker: Tracker, message: dict[str, Any]) -> None:
    """Calls the method of a tracker that a message is for."""
    if "start" in message:
        tracker.start(TrialFacts(**message["start"]), message["hyperparameters"] or {})
    elif "finish" in message:
        tracker.finish(message["finish"])
    else:
        for row in message["rows"]:
            tracker.log(row["metrics"], row["global_step"], row["submission_s"])


def end_with_parent() -> None:
    """Has Linux kill this process when the trial dies; it may be stopped then and notice nothing."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def main() -> None:
    """Serves the tracker that the command line names."""
    end_with_parent()
    # What the tracker prints must not be taken for an answer.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    serve(create_tracker(sys.argv[1]), sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
