"""What tables say of times to target besides the times: ratios, and signs with their reasons."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from algoperf_scoring.audit import say
from algoperf_scoring.leaderboard import Leaderboard
from algoperf_scoring.report.formats import MISSED, listed

ABSENT = "none"
NOT_COUNTED = "*"
TIED = "≈"


class Mark(NamedTuple):
    """Something a reader should know of a time.

    Attributes:
      sign: Stands in the cell.
      reason: What it means there, in words.
    """

    sign: str
    reason: str


@dataclass(frozen=True, eq=False)
class TimeFacts:
    """Ratios and marks of all times, by workload; rows are submissions.

    Attributes:
      order: The scored workloads, each base followed by its held-out variants.
      ratios: Times over the fastest, `(submissions,)`; NaN where there is none.
      marks: Marks of each submission.
    """

    order: tuple[str, ...]
    ratios: dict[str, NDArray[np.float64]]
    marks: dict[str, list[list[Mark]]]


def time_facts(board: Leaderboard) -> TimeFacts:
    """Gathers ratios and marks of a leaderboard's times."""
    order, ties, rows = workload_order(board), board.ties, range(len(board.submissions))
    return TimeFacts(
        order=order,
        ratios={name: ratios_to_fastest(board, name) for name in order},
        marks={name: [_marks(board, row, name, ties[name]) for row in rows] for name in order},
    )


def workload_order(board: Leaderboard) -> tuple[str, ...]:
    """Returns the scored workloads, each base followed by its held-out variants."""
    benchmark = board.benchmark
    variants = {
        base: [name for name in benchmark.held_out if benchmark.base_of(name) == base]
        for base in benchmark.base
    }
    return tuple(name for base in benchmark.base for name in (base, *variants[base]))


def ratios_to_fastest(board: Leaderboard, workload: str) -> NDArray[np.float64]:
    """Returns a workload's times over the fastest, `(submissions,)`, counted or not.

    Those of a held-out variant are over the fastest that reached its base, too, as in the rules.
    NaN where the target was missed, and where the fastest is 0 s.
    """
    own = _seconds(board, workload)
    base = board.benchmark.base_of(workload)
    reached, eligible = np.isfinite(own), np.isfinite(_seconds(board, base))
    pool = reached & eligible if (reached & eligible).any() else reached
    fastest = own.min(where=pool, initial=np.inf)
    ratios = np.full(len(own), np.nan)
    if 0.0 < fastest < np.inf:
        ratios[reached] = own[reached] / fastest
    if workload in board.benchmark.base and board.reference is None:
        scored = board.ratios[:, board.benchmark.base.index(workload)]
        ratios = np.where(np.isfinite(scored), scored, ratios)
    return ratios


def _seconds(board: Leaderboard, workload: str) -> NDArray[np.float64]:
    return board.times.seconds[:, board.times.workloads.index(workload)]


def _marks(
    board: Leaderboard, row: int, workload: str, ties: tuple[tuple[str, str], ...]
) -> list[Mark]:
    own = float(_seconds(board, workload)[row])
    if math.isnan(own):
        return [Mark(ABSENT, "no measurements")]
    if math.isinf(own):
        return [Mark(MISSED, "target missed")]
    why_not, name = _not_counted(board, row, workload), board.submissions[row]
    marks = [Mark(NOT_COUNTED, f"not counted: {why_not}")] if why_not else []
    others = [
        second if first == name else first for first, second in ties if name in (first, second)
    ]
    if others:
        reason = f"cannot be told apart from {listed(others)}: evaluations are too far apart"
        marks.append(Mark(TIED, reason))
    return marks


def _not_counted(board: Leaderboard, row: int, workload: str) -> str:
    """Returns why a time that is there does not count; empty if it does."""
    benchmark = board.benchmark
    base, limit = benchmark.base_of(workload), benchmark.scoring.max_ratio
    verdict = board.verdicts[row][benchmark.base.index(base)]
    if workload == base or verdict.workload == workload:
        return "" if verdict.counts else say(verdict, benchmark)
    if not math.isfinite(_seconds(board, base)[row]):
        return f"{base} was missed"
    ratio = float(ratios_to_fastest(board, workload)[row])
    return f"{ratio:.2f} times the fastest, more than {limit:g}" if ratio > limit else ""
