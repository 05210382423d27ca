"""Graph neural network workloads of AlgoPerf: how a trained model's output is scored.

`MoleculeMetrics` accumulates loss, accuracy and mean average precision over the batches of a split;
the functions under it are public as well.
"""

from algoperf_gnn.average_precision import average_precision, average_precision_by_task
from algoperf_gnn.loss import masked_sigmoid_cross_entropy
from algoperf_gnn.molecule_metrics import MoleculeMetrics

__version__ = "0.2.0"

__all__ = [
    "MoleculeMetrics",
    "average_precision",
    "average_precision_by_task",
    "masked_sigmoid_cross_entropy",
]
