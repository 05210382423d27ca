"""The cells of a heat map: coloured, with a text that can be read on the colour."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from algoperf_scoring.plots.style import MUTED, SMALL_FONT_PT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Colour = str | tuple[float, float, float, float]


def draw_cell(axes: "Axes", x: float, y: float, text: str, colour: Colour) -> None:
    """Draws a cell of width and height 1 around a place, with a text in black or white."""
    from matplotlib.colors import to_rgb
    from matplotlib.patches import Rectangle

    axes.add_patch(
        Rectangle((x - 0.5, y - 0.5), 1.0, 1.0, facecolor=colour, edgecolor="white", linewidth=0.8)
    )
    if text:
        _write(axes, x, y, text, text_colour(to_rgb(colour)))


def draw_hatched_cell(axes: "Axes", x: float, y: float, text: str) -> None:
    """Draws a cell that has no value, lightly hatched."""
    from matplotlib.patches import Rectangle

    # A patch has one edge colour, which is that of the hatch, too: no line around it.
    axes.add_patch(
        Rectangle(
            (x - 0.47, y - 0.45),
            0.94,
            0.9,
            facecolor="0.97",
            edgecolor="0.85",
            hatch="/////",
            linewidth=0.0,
        )
    )
    _write(axes, x, y, text, MUTED)


def text_colour(background: Sequence[float]) -> str:
    """Returns black or white, whichever has more contrast (WCAG 2.1, relative luminance).

    Args:
      background: Red, green and blue between 0 and 1.
    """
    linear = [
        part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in background
    ]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "black" if (luminance + 0.05) ** 2 > 1.05 * 0.05 else "white"


def _write(axes: "Axes", x: float, y: float, text: str, colour: str) -> None:
    axes.text(x, y, text, ha="center", va="center_baseline", size=SMALL_FONT_PT, color=colour)
