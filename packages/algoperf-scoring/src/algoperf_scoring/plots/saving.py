"""Writes figures to files, one or all of a leaderboard."""

import io
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from algoperf_scoring.analysis import Analysis
from algoperf_scoring.errors import AlgoperfError, OutputError
from algoperf_scoring.files import write_bytes_atomic
from algoperf_scoring.leaderboard import Leaderboard
from algoperf_scoring.plots.learning_curves import learning_curves_figure
from algoperf_scoring.plots.profiles import profiles_figure
from algoperf_scoring.plots.scores import rank_figure, scores_figure
from algoperf_scoring.plots.style import paper_style
from algoperf_scoring.plots.times import times_figure
from algoperf_scoring.plots.trial_scatter import has_hyperparameters, trial_scatter_figure
from algoperf_scoring.plots.tuning_curves import tuning_curves_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("png", "svg", "pdf")
"""Formats of figures, by the ending of their files."""

# What would say when the file was made: the same figure is the same bytes.
_METADATA: dict[str, dict[str, None]] = {
    "png": {},
    "svg": {"Date": None},
    "pdf": {"CreationDate": None},
}
_LONGEST_PART = 40


def save_figure(figure: "Figure", path: Path | str) -> None:
    """Writes a figure to a file in one step; the same figure gives the same bytes.

    Args:
      figure: What to write.
      path: The file; its ending says the format: ``.png`` (300 dots per inch; also without an
        ending), ``.svg`` (text stays text) or ``.pdf``.

    Raises:
      AlgoperfError: If the format is not one of these.
      OutputError: If the file cannot be written.
    """
    kind = _format_of(path)
    write_bytes_atomic(path, _rendered(figure, kind))


def plot_performance_profiles(leaderboard: Leaderboard, path: Path | str) -> None:
    """Draws the performance profile of every submission into a file.

    Args:
      leaderboard: What to draw.
      path: The file; see `save_figure`.

    Raises:
      AlgoperfError: If matplotlib is not installed or the format is unknown.
      OutputError: If the file cannot be written.
    """
    _format_of(path)
    save_figure(profiles_figure(leaderboard), path)


def save_figures(
    results: Analysis | Leaderboard,
    folder: Path | str,
    *,
    formats: Sequence[str] = ("png",),
    trial_scatters: bool = True,
) -> list[Path]:
    """Writes all figures there are data for.

    Of a leaderboard: performance profiles and times; of one made from logs also the learning
    curves of every scored workload, and for every submission with hyperparameters a scatter of its
    trials on each base workload. Of an analysis also scores, ranks and tuning curves. A figure
    takes about half a second for each format.

    Args:
      results: What to draw.
      folder: Where to; made if it is not there.
      formats: One file each: ``"png"``, ``"svg"``, ``"pdf"``.
      trial_scatters: Whether to draw the trials of submissions; these are most of the figures.

    Returns:
      The files, in the order they were written.

    Raises:
      AlgoperfError: If matplotlib is not installed or a format is unknown.
      LogError: If a file of hyperparameters cannot be read.
      OutputError: If a file cannot be written.
    """
    kinds = [_known(kind, f"formats: {kind!r}") for kind in dict.fromkeys(formats)]
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot make this folder: {error.strerror}; choose another one."
        ) from error
    written: list[Path] = []
    taken: set[str] = set()
    for name, figure in _figures(results, trial_scatters):
        stem = _file_name(name)
        while stem.casefold() in taken:
            stem += "_"
        taken.add(stem.casefold())
        for kind in kinds:
            written.append(Path(folder, f"{stem}.{kind}"))
            write_bytes_atomic(written[-1], _rendered(figure, kind))
    return written


def _figures(
    results: Analysis | Leaderboard, trial_scatters: bool
) -> "Iterator[tuple[tuple[str, ...], Figure]]":
    """Yields figures and the parts of their names."""
    board = results.leaderboard if isinstance(results, Analysis) else results
    yield ("performance_profiles",), profiles_figure(board)
    yield ("times",), times_figure(board)
    if isinstance(results, Analysis) and results.repeated:
        yield ("scores",), scores_figure(board, results.bootstrap, results.confidence)
        yield ("ranks",), rank_figure(board, results.bootstrap)
    if isinstance(results, Analysis):
        yield ("tuning_curves",), tuning_curves_figure(results.tuning_curves, board)
    if board.logs is None:
        return
    for workload in board.benchmark.scored:
        if any(board.logs.studies(name, workload) for name in board.submissions):
            yield ("learning_curves", workload), learning_curves_figure(board, workload)
    for submission in board.submissions if trial_scatters else ():
        for workload in board.benchmark.base:
            if has_hyperparameters(board, submission, workload):
                figure = trial_scatter_figure(board, submission, workload)
                yield ("trials", submission, workload), figure


def _rendered(figure: "Figure", kind: str) -> bytes:
    buffer = io.BytesIO()
    with paper_style():
        figure.savefig(buffer, format=kind, metadata=_METADATA[kind])
    return buffer.getvalue()


def _format_of(path: Path | str) -> str:
    return _known(Path(path).suffix.lstrip(".").lower() or "png", str(path))


def _known(kind: str, what: str) -> str:
    if kind not in FORMATS:
        raise AlgoperfError(
            f"{what}: cannot draw a {kind!r} file; the formats are {', '.join(FORMATS)}."
        )
    return kind


def _file_name(parts: Sequence[str]) -> str:
    """Returns a file name without ending; names of submissions may hold anything."""
    return "-".join(re.sub(r"[^\w.]", "_", part)[:_LONGEST_PART] for part in parts)
