"""Picks out workloads by name, in every way that one can think of."""

import hashlib
import re
from operator import eq as same

from .honest import data_selection, get_batch_size, update_params
from .settings import RATES, configure, is_speech

__all__ = ["data_selection", "get_batch_size", "update_params"]

LARGE = ("imagenet_resnet", "imagenet_vit")


class Schedule:
    def __init__(self, workload):
        self.label = workload.name
        self.workload = workload

    def rate(self):
        if self.label.startswith("wmt"):  # caught: workload-name
            return 0.1
        return RATES.get(self.label, 0.2)  # caught: workload-name


def init_optimizer_state(workload, model_params, model_state, hyperparameters, rng):
    if workload.name == "wmt":  # caught: workload-name
        return 1, None
    if workload.goal.name in LARGE:  # caught: workload-name
        return 2, None
    if type(workload).__name__.lower().find("ogbg") >= 0:  # caught: workload-name
        return 3, None
    if workload.__class__.__module__.endswith("fastmri"):  # caught: workload-name
        return 4, None
    digest = hashlib.sha256(str(workload).encode()).hexdigest()
    if digest[:8] == "0123abcd":  # caught: workload-name
        return 5, None
    if re.search("criteo", getattr(workload, "name")):  # caught: workload-name
        return 6, None
    match workload.name:
        case "ogbg":  # caught: workload-name
            return 7, None
    who = vars(workload)["goal"]
    if "speech" in repr(who):  # caught: workload-name
        return 8, None
    if isinstance(workload, Schedule):  # caught: workload-name
        return 9, None
    if same(f"<{workload.name}>", "<toy>"):  # caught: workload-name
        return 10, None
    kind = hash(workload.name) % 7  # caught: workload-name
    rate = {0: 0.1, 3: 0.4}[kind]  # caught: workload-name
    if "Speech" in f"{workload}" or "Speech" in "%s" % workload:  # caught: workload-name
        return 11, None
    if "Speech" in "{}".format(workload) or len(workload.name) == 3:  # caught: workload-name
        return 12, None
    rule = getattr(Schedule, "rate_for_" + workload.name, None)  # caught: workload-name
    match workload:
        case Schedule():  # caught: workload-name
            return rule, None
    choose = lambda name: name == "wmt"  # noqa: E731  # caught: workload-name
    return (rate, choose(workload.name), is_speech(workload.name), configure(workload)), None
