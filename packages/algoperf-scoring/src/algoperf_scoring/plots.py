"""Performance profiles as a figure; needs the extra ``plot``."""

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from algoperf_scoring.errors import AlgoperfError
from algoperf_scoring.files import write_bytes_atomic
from algoperf_scoring.leaderboard import Leaderboard
from algoperf_scoring.profiles import performance_profile

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette, told apart with every kind of colour vision.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
# Seven colours and four styles make 28 pairs; dashes let the line below show.
LINE_STYLES = ("-", (0, (5, 2)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)))


def plot_performance_profiles(leaderboard: Leaderboard, path: Path | str) -> None:
    """Draws the performance profile of every submission.

    Args:
      leaderboard: What to draw.
      path: The file; its ending says the format, for example ``.png``, ``.pdf`` or ``.svg``.

    Raises:
      AlgoperfError: If matplotlib is not installed or does not know the format.
      OutputError: If the file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise AlgoperfError(
            'plots need matplotlib; run: pip install "algoperf-scoring[plot]".'
        ) from error
    height = max(4.2, 1.2 + 0.27 * len(leaderboard.submissions))
    figure = Figure(figsize=(8.4, height), layout="constrained")
    axes = figure.add_subplot()
    for row in range(len(leaderboard.submissions)):
        _draw_profile(axes, leaderboard, row)
    _label(axes, leaderboard)
    write_bytes_atomic(path, _rendered(figure, Path(path)))


def _draw_profile(axes: "Axes", leaderboard: Leaderboard, row: int) -> None:
    limit = leaderboard.benchmark.scoring.max_ratio
    ratios = leaderboard.ratios[row : row + 1]
    steps = np.unique(np.concatenate(([1.0, limit], ratios[np.isfinite(ratios)])))
    axes.step(
        steps,
        performance_profile(ratios, steps)[0],
        where="post",
        color=COLOURS[row % len(COLOURS)],
        linestyle=LINE_STYLES[row % len(LINE_STYLES)],
        linewidth=2.0,
        zorder=2.0 + row % len(LINE_STYLES) / 10,
        clip_on=False,
        label=f"{leaderboard.scores[row]:.4f}  {leaderboard.submissions[row]}",
    )


def _label(axes: "Axes", leaderboard: Leaderboard) -> None:
    benchmark = leaderboard.benchmark
    limit = benchmark.scoring.max_ratio
    axes.set_xscale("log")
    axes.set_xlim(1.0, limit)
    ticks = [tick for tick in (1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0, 8.0) if tick <= limit]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.set_ylim(0.0, 1.0)
    axes.set_yticks(np.linspace(0.0, 1.0, 5), [f"{share:.0%}" for share in np.linspace(0, 1, 5)])
    axes.set_xlabel("Time to target, relative to the fastest submission (τ)")
    n_base = len(benchmark.base)
    axes.set_ylabel(
        f"Share of the {n_base} workloads reached" if n_base > 1 else "Workload reached"
    )
    axes.set_title(f"{benchmark.name}, {leaderboard.ruleset} tuning", loc="left")
    axes.grid(color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(
        title="Score  Submission",
        alignment="left",
        loc="upper left",
        bbox_to_anchor=(1.02, 1.0),
        borderaxespad=0.0,
        frameon=False,
        handlelength=2.8,
    )


def _rendered(figure: "Figure", path: Path) -> bytes:
    buffer = io.BytesIO()
    kind = path.suffix.lstrip(".").lower() or "png"
    known = figure.canvas.get_supported_filetypes()
    if kind not in known:
        raise AlgoperfError(
            f"{path}: cannot draw a {kind!r} file; end the name with one of "
            f"{', '.join(f'.{ending}' for ending in sorted(known))}."
        )
    figure.savefig(buffer, format=kind, dpi=160)
    return buffer.getvalue()
