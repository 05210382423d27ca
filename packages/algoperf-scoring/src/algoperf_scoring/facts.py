"""The facts a benchmark is made of: workloads, rulesets and scoring rules.

Plain frozen dataclasses without behaviour beyond reading themselves. `benchmark.py` puts them
together; `schema.py` makes them from the tables of a TOML file.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Direction = Literal["minimize", "maximize"]
StudyTime = Literal["earliest_evaluation", "fastest_trial"]
Method = Literal["grid", "exact"]

DIRECTIONS: Mapping[str, Direction] = {
    "loss": "minimize",
    "ce_loss": "minimize",
    "ctc_loss": "minimize",
    "l1_loss": "minimize",
    "error_rate": "minimize",
    "wer": "minimize",
    "ppl": "minimize",
    "accuracy": "maximize",
    "ssim": "maximize",
    "bleu": "maximize",
    "mean_average_precision": "maximize",
}
"""Which way is better, for the metrics of the published workloads."""


@dataclass(frozen=True)
class BenchmarkWorkload:
    """What a benchmark knows about one workload (Dahl et al. 2023, section 4.2).

    Attributes:
      name: Name without framework, for example ``"imagenet_resnet"``.
      metric: The metric that carries the targets, without split, for example ``"accuracy"``.
      direction: Whether smaller or larger values of the metric are better.
      validation_target: Value on the validation split that stops the benchmark's clock.
      test_target: Value on the test split, information only; None when unknown.
      budget_s: Run time allowed by a budget factor of one, in seconds; None when unknown.
      step_hint: Number of steps a schedule may plan for; None when unknown.
      eval_period_s: Submission time between two evaluations, in seconds; None when unknown.
      variant_of: The workload of which this one is a variant; None for a workload by itself.
    """

    name: str
    metric: str
    direction: Direction
    validation_target: float
    test_target: float | None = None
    budget_s: float | None = None
    step_hint: int | None = None
    eval_period_s: float | None = None
    variant_of: str | None = None

    def meets(self, value: float, target: float) -> bool:
        """Whether ``value`` is as good as ``target``; equal counts, NaN and infinity never do."""
        as_good = value <= target if self.direction == "minimize" else value >= target
        return bool(as_good) and math.isfinite(value)

    def reached_validation(self, metrics: Mapping[str, float]) -> bool:
        """Whether an evaluation's ``validation/<metric>`` meets the validation target."""
        return self._reached(metrics, "validation", self.validation_target)

    def reached_test(self, metrics: Mapping[str, float]) -> bool:
        """Whether an evaluation's ``test/<metric>`` meets the test target; False if unknown."""
        return self._reached(metrics, "test", self.test_target)

    def _reached(self, metrics: Mapping[str, float], split: str, target: float | None) -> bool:
        value = metrics.get(f"{split}/{self.metric}")
        return value is not None and target is not None and self.meets(value, target)


@dataclass(frozen=True)
class Ruleset:
    """How a submission may be tuned, and how often it is run (Dahl et al. 2023, section 4.4).

    Attributes:
      name: ``"external"`` or ``"self"`` in the published benchmarks.
      studies: Independent repetitions of the whole tuning procedure.
      trials: Runs in a study, each with its own hyperparameters.
      budget_factor: Multiple of a workload's ``budget_s`` that a trial may use.
      search_space: Whether a submission brings a search space from which trials are drawn.
    """

    name: str
    studies: int
    trials: int
    budget_factor: float
    search_space: bool

    @property
    def tuned(self) -> bool:
        """Whether hyperparameters are drawn from a search space the submission must bring."""
        return self.search_space


@dataclass(frozen=True)
class ScoringRules:
    """How times become a score (docs/protocol.md).

    Attributes:
      study_time: Whose time a study has: of the trial that reaches the target at the earliest
        evaluation index (the published code), or of the fastest trial (the rules' text).
      max_ratio: Largest ratio to the fastest submission that still counts; the upper end of the
        performance profile.
      method: ``"exact"`` integrates the profile as the step function it is, ``"grid"`` with the
        trapezoid rule on evenly spaced points, as the published leaderboards do.
      grid_points: Number of points of the grid.
      time_column: Column of the measurement files that holds the time, in seconds.
    """

    study_time: StudyTime = "fastest_trial"
    max_ratio: float = 4.0
    method: Method = "exact"
    grid_points: int = 100
    time_column: str = "score"
