"""What stands in figures: names of any kind, times, and numbers on axes."""

import math
import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from algoperf_scoring.plots.style import CHARACTER_IN
from algoperf_scoring.text_tables import printable, text_width

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend

NAME_WIDTH = 28
"""Longest name of a submission that is written out, in characters."""
WORKLOAD_LINE_WIDTH = 22


class TimeUnit(NamedTuple):
    """A unit for the times of a figure.

    Attributes:
      seconds: How many seconds it has.
      name: Its symbol.
    """

    seconds: float
    name: str

    def text(self, seconds: float) -> str:
        """Returns a time in this unit, with as many digits as a reader needs."""
        value = seconds / self.seconds
        return f"{value:.{_decimals(value)}f}" if value < 1e5 else f"{value:.0e}"


def time_unit(seconds: ArrayLike) -> TimeUnit:
    """Returns hours, minutes or seconds, whichever reads best for these times; any shape."""
    times = np.asarray(seconds, dtype=np.float64)
    longest = max(times[np.isfinite(times)], default=0.0)
    if longest > 2 * 3600.0:
        return TimeUnit(3600.0, "h")
    return TimeUnit(60.0, "min") if longest > 600.0 else TimeUnit(1.0, "s")


def shortened(name: str, width: int = NAME_WIDTH) -> str:
    """Returns a name that fits into ``width`` characters, cut in the middle if it must be."""
    text = printable(name)
    if text_width(text) <= width:
        return text
    tail = _fitting(text[::-1], (width - 1) // 2)[::-1]
    return f"{_fitting(text, width - 1 - (width - 1) // 2)}…{tail}"


def name_labels(names: Sequence[str], width: int = NAME_WIDTH) -> dict[str, str]:
    """Returns a label for every name; names that are cut to the same label are numbered."""
    labels: dict[str, str] = {}
    for name in names:
        label, number = shortened(name, width), 1
        while label in labels.values():
            number += 1
            mark = f" ({number})"
            label = shortened(name, width - len(mark)) + mark
        labels[name] = label
    return labels


def two_lines(name: str, width: int = WORKLOAD_LINE_WIDTH) -> str:
    """Breaks a name after an underscore or hyphen into two lines of similar length."""
    text = shortened(name, 2 * width)
    places = [place + 1 for place, character in enumerate(text[:-1]) if character in "_-"]
    if text_width(text) <= 12 or not places:
        return shortened(name, width)
    place = min(places, key=lambda place: max(place, len(text) - place))
    return f"{shortened(text[:place], width)}\n{shortened(text[place:], width)}"


def label_legend(legend: "Legend", labels: Iterable[str]) -> None:
    """Writes the texts of a legend, also those that matplotlib would leave out or interpret."""
    for text, label in zip(legend.get_texts(), labels, strict=True):
        text.set_text(label)


def add_legend_below(
    figure: "Figure",
    handles: "Sequence[Artist]",
    labels: Sequence[str],
    *,
    note: str = "",
) -> None:
    """Adds a legend below all panels.

    Args:
      figure: Where to.
      handles: What is explained.
      labels: A text for each.
      note: Stands above them, broken into lines that fit.
    """
    width = float(figure.get_figwidth())
    legend = figure.legend(
        handles,
        [""] * len(labels),
        loc="outside lower left",
        ncols=legend_columns(labels, width),
        title="\n".join(textwrap.wrap(note, int(1.1 * width / CHARACTER_IN))) or None,
        alignment="left",
        handlelength=2.8,
        columnspacing=1.2,
    )
    label_legend(legend, labels)


def label_logarithmic(axis: "Axis", ticks: Sequence[float]) -> None:
    """Writes plain numbers at the given places of a logarithmic axis, and nowhere else."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    axis.set_major_locator(FixedLocator(ticks))
    axis.set_major_formatter(FuncFormatter(_plain))
    axis.set_minor_locator(NullLocator())


def legend_columns(labels: Sequence[str], width_in: float) -> int:
    """Returns in how many columns a legend fits into this width in inches."""
    widest = CHARACTER_IN * max(map(len, labels)) + 0.5
    return min(len(labels), max(1, int((width_in - 0.1) / widest)))


def logarithmic_ticks(low: float, high: float, room: int) -> list[float]:
    """Returns round numbers in a positive range, as dense as ``room`` characters allow."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks: list[float] = []
    for digits in ((1, 2, 5), (1, 3), (1,)):
        places = [float(f"{digit}e{decade}") for decade in decades for digit in digits]
        ticks = [place for place in places if low <= place <= high]
        if sum(len(f"{tick:g}") + 1 for tick in ticks) <= room:
            return ticks
    return ticks[:: -(-len(ticks) * 7 // room)]


def _plain(value: float, _: Any) -> str:
    return f"{value:g}"


def _decimals(value: float) -> int:
    if value >= 100.0:
        return 0
    if value >= 10.0:
        return 1
    return 3 if 0.0 < value < 0.1 else 2


def _fitting(text: str, width: int) -> str:
    """Returns the longest beginning of a text that fits."""
    end = len(text)
    while text_width(text[:end]) > width:
        end -= 1
    return text[:end]
