"""How all figures look: sizes, fonts, colours, and the drawing library behind them.

Everything is drawn inside `paper_style`, which leaves no trace in matplotlib's settings. Sizes are
those in print, so that text has the size it says.
"""

import functools
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, ParamSpec

from algoperf_scoring.errors import AlgoperfError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_Arguments = ParamSpec("_Arguments")

SINGLE_COLUMN_IN = 3.3
"""Width of one column of a paper, in inches."""
DOUBLE_COLUMN_IN = 6.8
"""Width of both columns of a paper, in inches."""
FONT_PT = 7.5
SMALL_FONT_PT = 7.0
DOTS_PER_IN = 300
CHARACTER_IN = 0.06
"""About the width of one character of the small font, in inches."""
ROW_IN = 0.175
"""Height of a row of text in a figure, in inches."""

# Okabe and Ito's palette, told apart with every kind of colour vision.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
# Seven colours and four styles make 28 pairs; dashes let the line below show.
LINE_STYLES = ("-", (0, (5, 2)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
_SCREEN_DOTS_PER_IN = 150
MUTED = "0.45"

_FONT_SETTINGS = ("font.family", "font.serif", "font.sans-serif")
_SETTINGS = {
    "axes.axisbelow": True,
    "axes.labelsize": FONT_PT,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": FONT_PT,
    "figure.titlesize": FONT_PT + 0.5,
    "font.size": FONT_PT,
    "grid.color": "0.9",
    "grid.linewidth": 0.6,
    "hatch.linewidth": 0.5,
    "legend.fontsize": SMALL_FONT_PT,
    "legend.frameon": False,
    "legend.title_fontsize": SMALL_FONT_PT,
    "lines.linewidth": 1.4,
    "pdf.fonttype": 42,
    "savefig.dpi": DOTS_PER_IN,
    "svg.fonttype": "none",
    "svg.hashsalt": "algoperf-scoring",
    # Names are names, also those that look like formulas.
    "text.parse_math": False,
    "xtick.labelsize": SMALL_FONT_PT,
    "ytick.labelsize": SMALL_FONT_PT,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
}


class SeriesStyle(NamedTuple):
    """How to draw one of many lines; no two of the first 28 share colour and line style.

    Attributes:
      colour: Of Okabe and Ito's palette.
      line_style: As matplotlib takes it.
      marker: As matplotlib takes it.
    """

    colour: str
    line_style: str | tuple[float, tuple[float, ...]]
    marker: str


def series_style(index: int) -> SeriesStyle:
    """Returns the style of the line with this index."""
    return SeriesStyle(
        COLOURS[index % len(COLOURS)],
        LINE_STYLES[index % len(LINE_STYLES)],
        MARKERS[index % len(MARKERS)],
    )


@contextmanager
def paper_style() -> Iterator[None]:
    """Draws with the settings of this package, whatever those of the user are, except for fonts.

    Names in writings that the font does not have are drawn as boxes, without a warning.

    Raises:
      AlgoperfError: If matplotlib is not installed.
    """
    try:
        import matplotlib
        from matplotlib import style
    except ModuleNotFoundError as error:
        raise AlgoperfError(
            'plots need matplotlib; run: pip install "algoperf-scoring[plot]".'
        ) from error
    fonts = {key: matplotlib.rcParams[key] for key in _FONT_SETTINGS}
    with style.context(["default", {**_SETTINGS, **fonts}]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph \d+ ")
        yield


def paper_figure(
    draw: "Callable[_Arguments, Figure]",
) -> "Callable[_Arguments, Figure]":
    """Decorates a function that draws a figure: in `paper_style`, and with a fixed layout.

    matplotlib's layout comes out a little differently each time it is computed. It is computed
    once, so that a figure is the same in every file.
    """

    @functools.wraps(draw)
    def drawn(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> "Figure":
        with paper_style():
            figure = draw(*args, **kwargs)
            figure.draw_without_rendering()
            figure.set_layout_engine("none")
            figure.set_dpi(_SCREEN_DOTS_PER_IN)
            return figure

    return drawn


def new_figure(width_in: float, height_in: float) -> "Figure":
    """Returns an empty figure of this size in inches that keeps labels from overlapping."""
    from matplotlib.figure import Figure

    size = (width_in, height_in)
    return Figure(figsize=size, dpi=DOTS_PER_IN, layout="constrained")


def label_left(made: "Sequence[Axes]", columns: int, text: str) -> None:
    """Labels the y-axes of small multiples once, at the left of all rows."""
    if len(made) <= columns:
        made[0].set_ylabel(text)
    else:
        made[0].figure.supylabel(text, y=0.55, size=FONT_PT)


def panels(
    figure: "Figure", count: int, columns: int, *, share_y: bool, share_x: bool = True
) -> "list[Axes]":
    """Adds small multiples of the same axes, row by row.

    Args:
      figure: Where to.
      count: Number of panels.
      columns: Number of panels in a row.
      share_y: Whether all have the same y-axis, which then is labelled at the left only.
      share_x: Whether all have the same x-axis, which then is labelled below only.
    """
    made: list[Axes] = []
    for index in range(count):
        first = made[0] if made else None
        axes = figure.add_subplot(
            -(-count // columns),
            columns,
            index + 1,
            sharex=first if share_x else None,
            sharey=first if share_y else None,
        )
        axes.grid(True)
        if share_x:
            axes.tick_params(labelbottom=index + columns >= count)
        if share_y:
            axes.tick_params(labelleft=index % columns == 0)
        made.append(axes)
    return made
