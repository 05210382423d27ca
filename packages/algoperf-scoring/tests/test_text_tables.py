"""One table in three forms."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from algoperf_scoring.text_tables import (
    Column,
    Table,
    printable,
    text_width,
    to_latex,
    to_markdown,
    to_text,
)

TABLE = Table(
    "Scores",
    (Column("name", "left"), Column("long\nheading"), Column("n")),
    (("adam", "1.0", "10"), ("sgd_2", "0.25", "")),
    "A legend.",
    frozenset({0}),
)


def test_text_is_aligned_under_headings_that_stand_on_the_rule():
    assert to_text(TABLE).split("\n") == [
        "Scores",
        "          long",
        "name   heading   n",
        "------------------",
        "adam       1.0  10",
        "------------------",
        "sgd_2     0.25",
        "A legend.",
        "",
    ]


def test_a_narrow_terminal_folds_the_first_column_and_keeps_numbers():
    table = Table("T", (Column("name", "left"), Column("x")), (("a" * 20, "1234567"),))
    text = to_text(table, width=19)
    assert max(map(len, text.splitlines())) <= 19
    assert [line.split() for line in text.splitlines()[3:]] == [
        ["a" * 10, "1234567"],
        ["a" * 10],
    ]


def test_wide_characters_take_two_columns():
    table = Table("T", (Column("name", "left"), Column("x")), (("日本", "1"), ("ab", "2")))
    assert text_width("日本") == 4
    assert to_text(table).splitlines()[3:] == ["日本  1", "ab    2"]


def test_control_characters_do_not_reach_the_terminal():
    table = Table("T", (Column("name", "left"),), (("\x1b[31mred\x07",),))
    assert to_text(table).splitlines()[-1] == r"\x1b[31mred\x07"
    assert printable("plain") == "plain"


def test_markdown_is_a_table_with_a_bold_title():
    assert to_markdown(TABLE) == (
        "**Scores**\n"
        "\n"
        "| name | longheading | n |\n"
        "| :--- | ---: | ---: |\n"
        "| adam | 1.0 | 10 |\n"
        "| sgd\\_2 | 0.25 |  |\n"
        "\n"
        "A legend.\n"
    )


def test_latex_is_a_booktabs_table():
    assert to_latex(TABLE).split("\n") == [
        r"\begin{table}",
        r"\caption{Scores}",
        r"\centering",
        r"\begin{tabular}{lrr}",
        r"\toprule",
        r"name & longheading & n \\",
        r"\midrule",
        r"adam & 1.0 & 10 \\",
        r"\midrule",
        r"sgd\_2 & 0.25 &  \\",
        r"\bottomrule",
        r"\end{tabular}",
        r"\par\smallskip A legend.",
        r"\end{table}",
        "",
    ]


@pytest.mark.parametrize(
    ("name", "latex"),
    [
        ("50%_of&all", r"50\%\_of\&all"),
        (r"\input{x}", r"\textbackslash{}input\{x\}"),
        ("~^$#", r"\textasciitilde{}\textasciicircum{}\$\#"),
        ("a — b", "a --- b"),
    ],
)
def test_latex_does_nothing_with_names(name, latex):
    assert f"{latex} " in to_latex(Table("T", (Column("n"),), ((name,),)))


def test_a_name_does_not_break_a_markdown_table():
    row = to_markdown(Table("T", (Column("n"),), (("a|b\n<b>[x](y)",),))).splitlines()[-1]
    assert row == r"| a\|b\\n\<b\>\[x\](y) |"


cells = st.text(max_size=12)


@given(st.lists(st.tuples(cells, cells), max_size=4), st.integers(1, 60))
def test_any_text_can_be_shown(rows, width):
    table = Table("T", (Column("a", "left"), Column("b")), tuple(rows))
    shown = to_text(table, width)
    assert all(line.isprintable() for line in shown[:-1].split("\n"))
    assert to_markdown(table).count("\n") == 4 + len(rows)
    assert to_latex(table).count(r"\\" + "\n") == 1 + len(rows)
