"""Batch sizes by workload, chosen by a helper that only get_batch_size calls."""

SIZES = {"imagenet_resnet": 1024, "wmt": 128, "toy": 64}


def size_of(workload_name):
    if workload_name.startswith("imagenet"):
        return 1024
    if workload_name in ("wmt", "ogbg"):
        return SIZES[workload_name]
    return SIZES.get(workload_name, 64)
