"""Recommendation workloads of AlgoPerf: how a trained model's output is scored.

`ClickLoss` accumulates the mean sigmoid cross entropy over the batches of a split.
"""

from algoperf_recommendation.click_loss import ClickLoss, sigmoid_cross_entropy

__version__ = "0.2.0"

__all__ = ["ClickLoss", "sigmoid_cross_entropy"]
