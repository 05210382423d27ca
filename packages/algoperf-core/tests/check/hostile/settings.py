"""A helper module: what it is told by its callers counts."""

RATES = {"wmt": 0.1, "ogbg": 0.2}


def is_speech(text):
    return "librispeech" in text  # caught: workload-name


def configure(thing):
    return RATES[thing.goal.name]  # caught: workload-name
