"""The toolkit that all workload families share.

A workload is one `WorkloadDefinition`: facts, a dataset, a model per framework, a loss and metrics.
Input pipeline, forward passes and evaluation exist once, here. Importing this package imports no
framework.
"""

from algoperf_workloads.dataset import ArraySpec, DatasetDefinition
from algoperf_workloads.definition import ModelDefinition, WorkloadDefinition
from algoperf_workloads.implementation import Implementation
from algoperf_workloads.metrics import CLASSIFICATION, MEAN_LOSS, Metrics
from algoperf_workloads.parameter_types import ParameterRule
from algoperf_workloads.store_writing import Stream

__version__ = "0.3.0"
__all__ = [
    "CLASSIFICATION",
    "MEAN_LOSS",
    "ArraySpec",
    "DatasetDefinition",
    "Implementation",
    "Metrics",
    "ModelDefinition",
    "ParameterRule",
    "Stream",
    "WorkloadDefinition",
]
