"""Tables of text, rendered for terminals, Markdown and LaTeX.

One `Table` holds what is to be told; how it looks is decided where it is written.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

Align = Literal["left", "right"]

_GAP = "  "
_NARROWEST = 8
_LATEX_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "—": "---",
    "–": "--",
    "×": r"$\times$",
    "≤": r"$\le$",
    **{character: "\\" + character for character in "&%$#_{}"},
}


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
      name: Its heading; line breaks are kept in a terminal.
      align: To which side its cells go.
    """

    name: str
    align: Align = "right"


@dataclass(frozen=True)
class Table:
    """What a table says.

    Attributes:
      title: Stands above it.
      columns: Headings, one per cell of a row.
      rows: The cells, as text.
      legend: Stands below it; empty for none.
      rules_after: Indices of the rows that a line follows.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    legend: str = ""
    rules_after: frozenset[int] = field(default_factory=frozenset)


def text_width(text: str) -> int:
    """Returns how many columns of a terminal a line takes."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return len(text) + wide - sum(map(bool, map(unicodedata.combining, text)))


def printable(text: str) -> str:
    """Returns text whose control characters are spelled out, so that a terminal ignores them."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def to_text(table: Table, width: int | None = None) -> str:
    """Renders for a terminal or a log file.

    Args:
      table: What to show.
      width: Columns of the terminal; the widest column of words is folded if the table is wider.
        None for as wide as it gets.

    Returns:
      Lines without trailing blanks, ending in a line break.
    """
    heads = [_lines(column.name) for column in table.columns]
    body = [[[printable(cell)] for cell in row] for row in table.rows]
    widths = [_widest(column) for column in zip(heads, *body, strict=True)]
    excess = sum(widths) + len(_GAP) * (len(widths) - 1) - width if width is not None else 0
    if excess > 0:
        # Numbers stay whole: the widest column of words gives way.
        words = [i for i, column in enumerate(table.columns) if column.align == "left"] or [0]
        place = max(words, key=lambda column: widths[column])
        widths[place] = max(widths[place] - excess, _NARROWEST)
        for row in (heads, *body):
            row[place] = _folded(row[place], widths[place])
    rule = "-" * (sum(widths) + len(_GAP) * (len(widths) - 1))
    lines = [printable(table.title), *_row_lines(heads, table.columns, widths, bottom=True), rule]
    for index, row in enumerate(body):
        lines += _row_lines(row, table.columns, widths)
        if index in table.rules_after:
            lines.append(rule)
    if table.legend:
        lines += _lines(table.legend)
    return "\n".join(line.rstrip() for line in lines) + "\n"


def to_markdown(table: Table) -> str:
    """Renders as a GitHub-flavoured Markdown table under a bold title."""
    head = [_markdown(column.name.replace("\n", "")) for column in table.columns]
    sides = ["---:" if column.align == "right" else ":---" for column in table.columns]
    rows = [[_markdown(cell) for cell in row] for row in table.rows]
    lines = [f"**{_markdown(table.title)}**", ""]
    lines += [f"| {' | '.join(row)} |" for row in (head, sides, *rows)]
    if table.legend:
        lines += ["", _markdown(table.legend.replace("\n", " "))]
    return "\n".join(lines) + "\n"


def to_latex(table: Table) -> str:
    """Renders as a LaTeX table for the package booktabs."""
    sides = "".join("r" if column.align == "right" else "l" for column in table.columns)
    head = " & ".join(_latex(column.name.replace("\n", "")) for column in table.columns)
    lines = [
        r"\begin{table}",
        rf"\caption{{{_latex(table.title)}}}",
        r"\centering",
        rf"\begin{{tabular}}{{{sides}}}",
        r"\toprule",
        rf"{head} \\",
        r"\midrule",
    ]
    for index, row in enumerate(table.rows):
        lines.append(rf"{' & '.join(map(_latex, row))} \\")
        if index in table.rules_after and index + 1 < len(table.rows):
            lines.append(r"\midrule")
    lines += [r"\bottomrule", r"\end{tabular}"]
    if table.legend:
        lines.append(rf"\par\smallskip {_latex(table.legend.replace(chr(10), ' '))}")
    return "\n".join([*lines, r"\end{table}"]) + "\n"


def _lines(text: str) -> list[str]:
    return [printable(line) for line in text.split("\n")]


def _widest(cells: Sequence[list[str]]) -> int:
    return max(text_width(line) for cell in cells for line in cell)


def _folded(lines: list[str], width: int) -> list[str]:
    import textwrap

    return [part for line in lines for part in textwrap.wrap(line, width) or [""]]


def _row_lines(
    cells: Sequence[list[str]],
    columns: Sequence[Column],
    widths: Sequence[int],
    *,
    bottom: bool = False,
) -> Iterator[str]:
    height = max(map(len, cells))
    padded = [
        [""] * (height - len(cell)) + cell if bottom else cell + [""] * (height - len(cell))
        for cell in cells
    ]
    for line in zip(*padded, strict=True):
        yield _GAP.join(
            _pad(text, width, column.align)
            for text, width, column in zip(line, widths, columns, strict=True)
        )


def _pad(text: str, width: int, align: Align) -> str:
    blank = " " * (width - text_width(text))
    return blank + text if align == "right" else text + blank


def _markdown(text: str) -> str:
    text = printable(text)
    for character in "\\|`*_[]<>":
        text = text.replace(character, "\\" + character)
    return text


def _latex(text: str) -> str:
    return "".join(_LATEX_SPECIAL.get(character, character) for character in printable(text))
