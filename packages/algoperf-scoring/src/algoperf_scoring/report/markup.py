"""Builds HTML: elements whose text is escaped, so that a name from logs is never markup.

The page forbids style attributes (`document.py`); looks come from classes.
"""

import html
import re
from collections.abc import Iterable, Mapping, Sequence

from algoperf_scoring.text_tables import printable

Attribute = str | int | float | bool | None

_VOID = frozenset({"br", "col", "input", "meta", "wbr"})


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


Child = str | int | Html
"""Content of an element; what is not `Html` is escaped."""


def escaped(text: str) -> Html:
    """Returns text as markup, its control characters spelled out."""
    return Html(html.escape(printable(text)))


def joined(children: Iterable[Child], separator: str = "") -> Html:
    """Returns several pieces as one; `separator` is markup."""
    return Html(separator.join(_markup(child) for child in children))


def element(tag: str, /, *children: Child, **attributes: Attribute) -> Html:
    """Returns an element.

    Args:
      tag: Its name.
      *children: Text and elements inside it.
      **attributes: ``class_`` stands for ``class``, ``aria_label`` for ``aria-label``; True gives
        an attribute without value, False and None none.
    """
    opening = f"<{tag}{_attributes(attributes)}"
    if tag in _VOID:
        return Html(f"{opening}>")
    return Html(f"{opening}>{joined(children)}</{tag}>")


def breakable(name: str) -> Html:
    """Returns a name that may be broken after its underscores, hyphens, dots and slashes."""
    return joined(map(escaped, re.split(r"(?<=[_\-./])", printable(name))), "<wbr>")


def section(anchor: str, title: str, *children: Child) -> Html:
    """Returns a part of the page with a heading of the second level."""
    heading = element("h2", title, id=f"{anchor}-title")
    return element("section", heading, *children, id=anchor, aria_labelledby=f"{anchor}-title")


def paragraph(*children: Child, class_: str | None = None, id: str | None = None) -> Html:
    """Returns a paragraph."""
    return element("p", *children, class_=class_, id=id)


def head_cell(*children: Child, row: bool = False, class_: str | None = None) -> Html:
    """Returns the heading of a column, or of a row."""
    return element("th", *children, scope="row" if row else "col", class_=class_)


def cell(*children: Child, class_: str | None = None, title: str | None = None) -> Html:
    """Returns a cell of a table."""
    return element("td", *children, class_=class_, title=title)


def table(
    caption: str, head: Sequence[Child], rows: Iterable[Iterable[Child]], class_: str = ""
) -> Html:
    """Returns a table in a box of its own that scrolls if the page is too narrow.

    Args:
      caption: What it shows, for readers who do not see it.
      head: Cells of the first row.
      rows: Cells of the others.
      class_: Classes of the table.
    """
    body = joined((element("tr", *row) for row in rows), "\n")
    whole = element(
        "table",
        element("caption", caption, class_="aside"),
        element("thead", element("tr", *head)),
        element("tbody", body),
        class_=class_ or None,
    )
    return element("div", whole, class_="scroll", tabindex=0, role="region", aria_label=caption)


def code_block(text: str, label: str) -> Html:
    """Returns lines of code, which scroll if they are too long."""
    code = element("code", joined(map(escaped, text.splitlines()), "\n"))
    return element("pre", code, class_="scroll", tabindex=0, role="region", aria_label=label)


def fold(title: str, *children: Child, id: str | None = None) -> Html:
    """Returns content that is closed until somebody opens it."""
    return element("details", element("summary", title), *children, id=id)


def _attributes(attributes: Mapping[str, Attribute]) -> str:
    written = []
    for key, value in attributes.items():
        name = key.rstrip("_").replace("_", "-")
        if value is True:
            written.append(f" {name}")
        elif value is not None and value is not False:
            written.append(f' {name}="{escaped(str(value))}"')
    return "".join(written)


def _markup(child: Child) -> str:
    return child if isinstance(child, Html) else escaped(str(child))
