"""Metrics of the molecule workloads (ogbg-molpcba), accumulated over the batches of a split."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from algoperf_gnn.average_precision import average_precision_by_task
from algoperf_gnn.entries import Entries, labelled_entries
from algoperf_gnn.loss import entry_losses


@dataclass(frozen=True, eq=False)
class ScoredGraphs:
    """What ranking metrics need of some graphs: they are not sums, so the scores are kept.

    Attributes:
        scores: `(graphs, tasks)`, float32, the probability of label 1.
        positive: `(graphs, tasks)`, whether there is a label and it is 1.
        labelled: `(graphs, tasks)`, whether there is a label.
    """

    scores: NDArray[np.float32]
    positive: NDArray[np.bool_]
    labelled: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class MoleculeMetrics:
    """Loss, accuracy and mean average precision of the graphs seen so far.

    An entry is one graph's label for one task; entries without a label (weight 0: not measured, or
    a row of padding) count nowhere. The metrics of a split do not depend on its division into
    batches: counts and rankings to the last bit, the loss up to the rounding of a float64 sum.

    * `loss`: mean sigmoid cross entropy of the entries, in nats.
    * `accuracy`: share of the entries where the logit is above 0 exactly if the label is 1.
    * `mean_average_precision`: mean over the tasks of the average precision over the task's
      entries, by the rule of published AlgoPerf results: tasks without a positive are left out.
      Scores are probabilities in float32, where large logits tie, as they do there.
    * `mean_average_precision_ogb`: the same by the rule of the Open Graph Benchmark's evaluator,
      which leaves out tasks without a negative, too.

    **Why there are two means.** The published implementation also asks for a negative but takes
    missing labels and padding, of which its batches always have some, for negatives. A task whose
    labels are all positive therefore counts, with an average precision of 1. The two agree where
    each task has labels of both kinds.

    `MoleculeMetrics()` has seen nothing: the neutral element of `merge`. Memory grows by 6 bytes
    for each graph and task.

    Attributes:
        loss_sum: Sum of the entries' losses, in nats.
        correct: Entries classified correctly.
        entries: Entries.
        scored: Scores and labels of the graphs with a label, one item for each batch.

    References:
        Hu et al., "Open Graph Benchmark: Datasets for Machine Learning on Graphs", NeurIPS 2020.
        Dahl et al., "Benchmarking Neural Network Training Algorithms", 2023 (arXiv:2306.07179).

    Example:
        >>> first = MoleculeMetrics.from_batch([[2.0, -1.0]], [[1, np.nan]], [[1, 0]])
        >>> second = MoleculeMetrics.from_batch([[3.0, 0.5]], [[0, 1]], [[1, 1]])
        >>> {name: round(value, 4) for name, value in first.merge(second).compute().items()}
        ... # doctest: +NORMALIZE_WHITESPACE
        {'loss': 1.2165, 'accuracy': 0.6667,
         'mean_average_precision': 0.75, 'mean_average_precision_ogb': 0.5}
    """

    loss_sum: float = 0.0
    correct: int = 0
    entries: int = 0
    scored: tuple[ScoredGraphs, ...] = ()

    @classmethod
    def from_batch(cls, logits: ArrayLike, targets: ArrayLike, weights: ArrayLike) -> Self:
        """Take in one batch.

        Args:
            logits: `(graphs, tasks)`, log odds of label 1.
            targets: `(graphs, tasks)`, 0 or 1 where the weight is 1, anything (NaN too) elsewhere.
            weights: `(graphs, tasks)`, 1 where there is a label and 0 where there is none.

        Returns:
            The metrics of this batch.

        Raises:
            ValueError: If the shapes differ or are not of two dimensions, if a weight is neither 0
                nor 1, or if a target of weight 1 is neither 0 nor 1.
        """
        batch = labelled_entries(logits, targets, weights)
        correct = (batch.logits > 0) == batch.positive
        return cls(
            loss_sum=float(entry_losses(batch).sum()),
            correct=int(correct[batch.labelled].sum()),
            entries=int(batch.labelled.sum()),
            scored=_scored(batch),
        )

    def merge(self, other: Self) -> Self:
        """Return the metrics over the graphs of both.

        Raises:
            ValueError: If the two are about different numbers of tasks.
        """
        scored = self.scored + other.scored
        tasks = {part.scores.shape[1] for part in scored}
        if len(tasks) > 1:
            raise ValueError(f"other has another number of tasks: found {sorted(tasks)}")
        return type(self)(
            self.loss_sum + other.loss_sum,
            self.correct + other.correct,
            self.entries + other.entries,
            scored,
        )

    def compute(self) -> dict[str, float]:
        """Return the metrics by name; NaN for a mean over nothing, or over a score of NaN."""
        if not self.scored:
            return dict.fromkeys(_NAMES, float("nan"))
        scores = np.concatenate([part.scores for part in self.scored])
        positive = np.concatenate([part.positive for part in self.scored])
        labelled = np.concatenate([part.labelled for part in self.scored])
        precisions = average_precision_by_task(scores, positive, labelled)
        has_positive = positive.any(axis=0)
        has_negative = (labelled & ~positive).any(axis=0)
        values = (
            self.loss_sum / self.entries,
            self.correct / self.entries,
            _mean(precisions[has_positive]),
            _mean(precisions[has_positive & has_negative]),
        )
        return dict(zip(_NAMES, values, strict=True))


_NAMES = ("loss", "accuracy", "mean_average_precision", "mean_average_precision_ogb")


def _scored(batch: Entries) -> tuple[ScoredGraphs, ...]:
    """Keep the rows of `batch` that have a label; no item at all if none has."""
    rows = batch.labelled.any(axis=1)
    if not rows.any():
        return ()
    labelled = batch.labelled[rows]
    scores = _sigmoid(batch.logits[rows]).astype(np.float32)
    return (ScoredGraphs(scores, batch.positive[rows], labelled),)


def _sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the sigmoid from exp(-|x|), which cannot overflow."""
    decay = np.exp(-np.abs(x))
    probability: NDArray[np.float64] = np.where(x >= 0, 1, decay) / (1 + decay)
    return probability


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if values.size else float("nan")
