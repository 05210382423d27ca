"""Gets called at moments that nobody charges."""

import atexit
import signal
import sys
import time

from .honest import data_selection, get_batch_size, init_optimizer_state, update_params

__all__ = ["data_selection", "get_batch_size", "init_optimizer_state", "update_params"]


def work(*arguments):
    time.sleep(0.1)  # caught: sleep


signal.signal(signal.SIGALRM, work)  # caught: interpreter-hooks
signal.setitimer(signal.ITIMER_REAL, 0.1, 0.1)  # caught: interpreter-hooks
sys.settrace(work)  # caught: interpreter-hooks
atexit.register(work)  # caught: interpreter-hooks
