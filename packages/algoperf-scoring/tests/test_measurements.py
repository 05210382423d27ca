"""One measurement file: what is read, what is dropped, what is refused."""

import math
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from algoperf_scoring import LogError
from algoperf_scoring.measurements import MAX_BYTES, read_measurements

HEADER = "global_step,score,validation/loss\n"


@pytest.fixture
def read(tmp_path):
    def read(text: str):
        path = tmp_path / "eval_measurements.csv"
        path.write_text(text, newline="")
        return read_measurements(path, time_column="score", metric_column="validation/loss")

    return read


def test_times_and_values_are_read_by_column_name(read):
    measurements = read("validation/loss,other,score\n0.5,x,10\n0.25,y,20.5\n")
    assert measurements.times.tolist() == [10.0, 20.5]
    assert measurements.values.tolist() == [0.5, 0.25]
    assert measurements.times.dtype == np.float64
    assert not measurements.cut


@pytest.mark.parametrize("cell", ["", " ", "nan", "NaN"])
def test_a_missing_value_is_nan(read, cell):
    values = read(f"{HEADER}1,5.0,{cell}\n2,6.0,0.5\n").values
    assert math.isnan(values[0])
    assert values[1] == 0.5


def test_a_header_alone_is_a_trial_without_evaluations(read):
    measurements = read(HEADER)
    assert measurements.times.shape == measurements.values.shape == (0,)


@pytest.mark.parametrize("text", ["", "global_st"])
def test_a_file_killed_before_its_header_is_no_measurement(read, text):
    assert read(text) is None


def test_windows_line_breaks_and_blank_lines_do_no_harm(read):
    assert read("score,validation/loss\r\n1,2\r\n\r\n3,4\r\n").times.tolist() == [1.0, 3.0]


TAILS = ["3", "3,30", "3,30.", "3,30.0\n", "\0\0\0", "3,30,-", "3,30,1e-", "3,30,0.7"]


@pytest.mark.parametrize("tail", TAILS)
def test_an_incomplete_last_row_is_dropped(read, tail):
    measurements = read(f"{HEADER}1,10,0.9\n2,20,0.8\n{tail}")
    assert measurements.times.tolist() == [10.0, 20.0]
    assert measurements.cut


def test_a_last_row_without_line_break_is_kept_if_what_is_needed_is_complete(read):
    header = "score,validation/loss,validation/num_examples\n"
    measurements = read(f"{header}10,0.9,500\n20,0.8,50")
    assert measurements.values.tolist() == [0.9, 0.8]
    assert not measurements.cut


def test_half_a_number_at_the_end_of_a_file_is_not_taken_for_a_number(read):
    # The row was going to say 0.55, which does not meet a target of 0.5.
    assert read(f"{HEADER}1,10,0.9\n2,20,0.5").values.tolist() == [0.9]


@pytest.mark.parametrize("cell", ["1_000", "0x10", "\uff11\uff12", "1e", "--1", "1.2.3", "one"])
def test_only_plain_decimal_numbers_are_numbers(read, cell):
    with pytest.raises(LogError, match="line 2, column 'score': expected a number"):
        read(f"{HEADER}1,{cell},0.9\n")


@pytest.mark.parametrize(
    ("cell", "value"), [("+1.5", 1.5), (" 2 ", 2.0), (".5", 0.5), ("1e3", 1e3)]
)
def test_decimal_numbers_may_be_written_in_several_ways(read, cell, value):
    assert read(f'{HEADER}1,"{cell}",0.9\n').times.tolist() == [value]


def test_a_byte_order_mark_does_no_harm(read):
    assert read("\ufeffscore,validation/loss\n1,2\n").times.tolist() == [1.0]


def test_a_column_that_is_there_twice_is_refused(read):
    with pytest.raises(LogError, match="the column 'score' is there twice"):
        read("score,score,validation/loss\n1,2,3\n")


def test_a_file_of_no_sensible_size_is_refused(tmp_path):
    path = tmp_path / "eval_measurements.csv"
    with open(path, "wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(LogError, match="more than the 67,108,864 that are read"):
        read_measurements(path, time_column="score", metric_column="validation/loss")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(LogError, match="not a regular file"):
        read_measurements(tmp_path / "pipe", time_column="a", metric_column="b")


def test_a_missing_column_is_named_with_the_columns_there(read):
    with pytest.raises(LogError, match=r"csv: no column 'validation/loss'.*global_step, score\."):
        read("global_step,score\n1,2\n")
    with pytest.raises(LogError, match="no column 'score'"):
        read("global_step,validation/loss\n")


def test_a_short_row_in_the_middle_is_named_by_its_line(read):
    with pytest.raises(LogError, match=r"csv: line 3 has 2 fields, but the header has 3"):
        read(f"{HEADER}1,10,0.9\n2,20\n3,30,0.8\n")


def test_a_long_row_is_refused_even_at_the_end(read):
    with pytest.raises(LogError, match="line 2 has 4 fields"):
        read(f"{HEADER}1,10,0.9,7\n")


def test_a_malformed_number_is_named_by_line_and_column(read):
    with pytest.raises(LogError, match=r"csv: line 3, column 'validation/loss': .* found '0,8'"):
        read(f'{HEADER}1,10,0.9\n2,20,"0,8"\n')
    with pytest.raises(LogError, match="line 2, column 'score': expected a number"):
        read(f"{HEADER}1,soon,0.9\n")


def test_an_unreadable_file_is_named(tmp_path):
    with pytest.raises(LogError, match="not a regular file"):
        read_measurements(tmp_path, time_column="score", metric_column="validation/loss")


numbers = st.floats(allow_nan=False)
evaluations = st.lists(st.tuples(numbers, numbers), max_size=5)


def written(rows: list[tuple[float, float]]) -> str:
    return HEADER + "".join(f"1,{seconds!r},{value!r}\n" for seconds, value in rows)


def read_text(text: str):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "eval_measurements.csv"
        path.write_text(text, newline="")
        return read_measurements(path, time_column="score", metric_column="validation/loss")


@given(evaluations)
def test_numbers_are_read_to_the_last_bit(rows):
    measurements = read_text(written(rows))
    assert measurements.times.tolist() == [seconds for seconds, _ in rows]
    assert measurements.values.tolist() == [value for _, value in rows]


@given(evaluations, st.data())
def test_a_file_cut_anywhere_loses_at_most_its_last_row(rows, data):
    text = written(rows)
    length = data.draw(st.integers(0, len(text)))
    complete = text[:length].count("\n") - 1
    measurements = read_text(text[:length])
    if measurements is None:
        assert length < len(HEADER)
        return
    assert measurements.times.tolist() == [seconds for seconds, _ in rows[: max(complete, 0)]]
