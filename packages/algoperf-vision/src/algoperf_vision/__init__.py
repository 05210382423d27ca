"""AlgoPerf's vision workloads.

`algoperf_vision.digits` holds the workload `digits`. Importing this package imports no framework.
"""

__version__ = "0.3.0"
