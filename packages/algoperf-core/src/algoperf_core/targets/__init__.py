"""Targets of a workload, set by the procedure of Dahl et al. (2023, section 4.3).

Several standard algorithms are tuned on the workload for a share of the step hint; the best point of each
is repeated with other seeds; the targets are what the best of them reaches in the median.
"""

from algoperf_core.targets.procedure import Procedure, Run, planned_runs
from algoperf_core.targets.results import Curve, Targets, first_hit, found_targets, read_curves

__all__ = [
    "Curve",
    "Procedure",
    "Run",
    "Targets",
    "first_hit",
    "found_targets",
    "planned_runs",
    "read_curves",
]
