"""AlgoPerf's vision workloads.

Each workload is a value in a module of its family: `algoperf_vision.digits`, `imagenet`, `imagenet_mini`,
`fastmri`, `fastmri_mini`, `cifar`, `mnist`. Importing this package imports no framework.
"""

__version__ = "0.3.0"
