"""Which average of the parameters is evaluated, while training goes on from the newest ones.

`from_optax(..., average=ema(0.999))` and `from_torch(..., average=ema(0.999))` compute the same average.
Parameters and batch-norm statistics are averaged alike. Samples are taken after updates
`start + every`, `start + 2 * every`, ...; before the first one, the newest parameters are evaluated.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from algoperf_core.errors import SubmissionError


@dataclass(frozen=True, kw_only=True)
class Averaging:
    """A running average: `mean = (1 - w) * mean + w * sample`, where `w` depends on the sample's number.

    Args:
        decay: How much of the mean is kept at each sample, once there are many; None weighs all alike.
        start: Number of updates before averaging begins.
        every: Number of updates from one sample to the next.
        kept: Number of newest samples that are kept and averaged alike; 0 averages all.
    """

    decay: float | None = None
    start: int = 0
    every: int = 1
    kept: int = 0

    def __post_init__(self) -> None:
        if self.start < 0 or self.every < 1:
            raise SubmissionError(
                f"averaging has start={self.start}, allowed 0 or more, "
                f"and every={self.every}, allowed 1 or more"
            )

    def weight(self, number: Any, expm1: Callable[[Any], Any] = math.expm1) -> Any:
        """Weight `w` of a sample; 1 for the first.

        Args:
            number: The sample's number from 1, may be traced.
            expm1: `exp(x) - 1`, exact for small numbers, of the framework.
        """
        if self.decay is None:
            return 1.0 / number
        return (self.decay - 1.0) / expm1(number * math.log(self.decay))


def ema(decay: float, *, start: int = 0, every: int = 1) -> Averaging:
    """Exponential moving average, corrected so that the weights of all samples add up to 1.

    The sample of number `i` among `n` has the weight `(1 - decay) * decay**(n - i) / (1 - decay**n)`.

    Args:
        decay: Between 0 and 1, such as 0.999: the average looks back about `1 / (1 - decay)` samples.
        start: Number of updates before averaging begins.
        every: Number of updates from one sample to the next.

    Raises:
        SubmissionError: A value is outside of its range.
    """
    if not 0.0 < decay < 1.0:
        raise SubmissionError(f"ema(decay={decay}): decay must lie between 0 and 1")
    return Averaging(decay=decay, start=start, every=every)


def uniform(*, start: int = 0, every: int = 1) -> Averaging:
    """Mean of all samples since `start` (Polyak & Juditsky 1992; Izmailov et al. 2018).

    Args:
        start: Number of updates before averaging begins, such as `int(0.75 * step_hint)`.
        every: Number of updates from one sample to the next.

    Raises:
        SubmissionError: A value is outside of its range.
    """
    return Averaging(start=start, every=every)


def latest(count: int, *, start: int = 0, every: int = 1) -> Averaging:
    """Mean of the latest samples, as in LAWA (Kaddour 2022); memory for `count + 1` copies.

    Args:
        count: Number of samples.
        start: Number of updates before averaging begins.
        every: Number of updates from one sample to the next.

    Raises:
        SubmissionError: A value is outside of its range.
    """
    if count < 1:
        raise SubmissionError(f"latest({count}): an average is over at least 1 sample")
    return Averaging(start=start, every=every, kept=count)


Average = Averaging | Callable[[Any, int], Averaging | None] | None
"""An averaging, or a function of `(hyperparameters, step_hint)` that gives one, or None."""


def chosen_average(average: Average, hyperparameters: Any, step_hint: int) -> Averaging | None:
    """The averaging of a trial.

    Raises:
        SubmissionError: A function gave something else.
    """
    chosen = average
    if callable(average):
        chosen = average(hyperparameters, step_hint)
    if chosen is None or isinstance(chosen, Averaging):
        return chosen
    raise SubmissionError(
        f"average gives {chosen!r}; it must be ema(...), uniform(...), latest(...) or None"
    )
