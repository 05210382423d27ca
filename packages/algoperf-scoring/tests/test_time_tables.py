"""Times come from tables as people have them: long or wide, from a file or from memory."""

import json
import math
import os
from contextlib import suppress
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from algoperf_scoring.benchmark import Benchmark
from algoperf_scoring.counting import counted_times
from algoperf_scoring.errors import AlgoperfError, DefinitionError, LogError, OutputError
from algoperf_scoring.names import UnknownNameError
from algoperf_scoring.profiles import benchmark_score
from algoperf_scoring.time_tables import (
    LONG_COLUMNS,
    benchmark_of_times,
    long_table_csv,
    read_long_table,
    read_times,
    read_wide_table,
    write_long_table,
)
from algoperf_scoring.times import times_to_target
from algoperf_scoring.trial_times import TrialTime, TrialTimes

LONG = """submission,workload,study,trial,time
adamw,digits,study_0,1,12.5
adamw,digits,study_0,2,inf
adamw,wine,study_0,1,7
lion,digits,study_1,3,
"""
ROWS = [
    TrialTime("adamw", "digits", "study_0", 1, 12.5),
    TrialTime("adamw", "digits", "study_0", 2, math.inf),
    TrialTime("adamw", "wine", "study_0", 1, 7.0),
    TrialTime("lion", "digits", "study_1", 3, math.inf),
]


def rows(trials: TrialTimes) -> list[str]:
    return [repr(row) for row in trials.rows()]


@pytest.fixture
def write(tmp_path):
    """Writes a CSV file."""

    def write(text: str | bytes) -> Path:
        path = tmp_path / "times.csv"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


def test_a_long_table_has_a_row_for_each_trial(write):
    trials = read_long_table(write(LONG)).trials
    assert rows(trials) == [repr(row) for row in ROWS]
    assert (trials.submissions, trials.workloads) == (("adamw", "lion"), ("digits", "wine"))


@pytest.mark.parametrize("cell", ["inf", "Inf", "+inf", "Infinity", "", "  ", '""'])
def test_a_missed_target_is_infinite_or_empty(write, cell):
    trials = read_long_table(write(f"submission,workload,time\na,digits,{cell}\n")).trials
    assert trials.seconds.tolist() == [[[[math.inf]]]]


@pytest.mark.parametrize("cell", [None, math.nan, math.inf, np.nan, np.float32("inf"), "inf", ""])
def test_a_missed_target_in_memory_is_infinite_none_or_nan(cell):
    table = {"submission": ["a"], "workload": ["digits"], "seconds": [cell]}
    assert read_long_table(table).trials.seconds.tolist() == [[[[math.inf]]]]


@pytest.mark.parametrize(
    ("cell", "seconds"),
    [("3", 3.0), ("+3.5", 3.5), (".5", 0.5), ("4.", 4.0), ("1e3", 1e3), (" 2 ", 2.0), ("-0", 0.0)],
)
def test_times_are_plain_numbers(write, cell, seconds):
    found = read_long_table(write(f"submission,workload,time\na,w,{cell}\n")).trials.seconds.item()
    assert (found, math.copysign(1.0, found)) == (seconds, 1.0)


@pytest.mark.parametrize(
    "cell",
    ["-1", "-inf", "fast", "1_000", "0x10", "\uff11\uff12", "1e999", "12s", "1 2", "--1", "infin"],
)
def test_what_is_no_time_is_refused_by_file_line_and_column(write, cell):
    path = write(f"submission,workload,time\na,w,1\na,x,{cell}\n")
    with pytest.raises(LogError, match=rf"times\.csv: line 3, column 'time': .* found '{cell}'"):
        read_long_table(path)


@pytest.mark.parametrize("cell", [-1.0, True, np.True_, [3], Decimal(3), 10**400, 1j, b"3"])
def test_what_is_no_time_in_memory_is_refused_by_row_and_column(cell):
    table = [{"submission": "a", "workload": "w", "time": cell}]
    with pytest.raises(LogError, match="table: row 1, column 'time': expected seconds"):
        read_long_table(table)


def test_columns_come_in_any_order_and_others_are_ignored(write):
    text = "note,time,trial,workload,study,submission\n"
    text += "".join(f"?,{row[4]},{row[3]},{row[1]},{row[2]},{row[0]}\n" for row in ROWS)
    assert rows(read_long_table(write(text)).trials) == [repr(row) for row in ROWS]


def test_without_numbers_trials_are_counted_within_their_study(write):
    text = "submission,workload,study,time\na,w,s,3\na,w,t,4\na,w,s,5\nb,w,s,6\na,v,s,7\n"
    found = {(row[:4], row.seconds) for row in read_long_table(write(text)).trials.rows()}
    assert found == {
        (("a", "w", "s", 1), 3.0),
        (("a", "w", "s", 2), 5.0),
        (("a", "w", "t", 1), 4.0),
        (("b", "w", "s", 1), 6.0),
        (("a", "v", "s", 1), 7.0),
    }


def test_without_studies_all_rows_are_of_one(write):
    trials = read_long_table(write("submission,workload,time\na,w,3\na,w,4\n")).trials
    assert [(row.study, row.trial) for row in trials.rows()] == [("study_0", 1), ("study_0", 2)]


def test_what_is_known_of_the_evaluations_is_kept(write):
    text = (
        "submission,workload,time,missed_until_s,evaluation\na,w,9.5,8.5,3\na,w,inf,20,\na,w,5,,\n"
    )
    found = [row[4:] for row in read_long_table(write(text)).trials.rows()]
    assert found[:2] == [(9.5, 8.5, 3), (math.inf, 20.0, -1)]
    assert (found[2][0], math.isnan(found[2][1]), found[2][2]) == (5.0, True, -1)


@pytest.mark.parametrize(
    ("column", "cell", "problem"),
    [
        ("trial", "1.5", "a whole number"),
        ("trial", "-1", "a whole number"),
        ("trial", "", "a whole number"),
        ("trial", "inf", "a whole number"),
        ("trial", "9" * 30, "a whole number"),
        ("evaluation", "x", "a whole number"),
        ("missed_until_s", "-1", "expected seconds"),
        ("missed_until_s", "inf", "expected seconds, or nothing if unknown"),
        ("submission", "", "expected a name"),
        ("workload", " ", "expected a name"),
    ],
)
def test_other_wrong_cells_are_refused_too(column, cell, problem):
    row = {"submission": "a", "workload": "w", "time": "1", column: cell}
    with pytest.raises(LogError, match=rf"row 1, column '{column}': .*{problem}"):
        read_long_table([row])


def test_large_trial_numbers_are_exact():
    number = 10**17 + 1
    for cell in (number, str(number), np.int64(number)):
        table = [{"submission": "a", "workload": "w", "trial": cell, "time": 1}]
        assert next(read_long_table(table).trials.rows()).trial == number
    table = [{"submission": "a", "workload": "w", "trial": 2.0, "time": 1}]
    assert next(read_long_table(table).trials.rows()).trial == 2


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("submission,workloads,time\na,w,1\n", "no column 'workload'; did you mean 'workloads'"),
        ("submission,workload,tme\na,w,1\n", r"no column 'time'; did you mean 'tme'\? The columns"),
        ("submission,workload,time\na,w\n", "line 2 has 2 fields, but the header has 3"),
        ("submission,workload,time\n\na,w,1,5\n", "line 3 has 4 fields"),
        ("submission,workload,time,time\na,w,1,5\n", "column 'time' is there twice"),
        ("submission;workload;time\na;w;1,5\n", "not separated by commas; save the table as CSV"),
        ("submission\tworkload\ttime\na\tw\t1\n", "not separated by commas"),
        ("submission,workload,time\n", "holds no rows"),
        ("", "holds no rows"),
        ('submission,workload,time\na,w,"1\n', "line 2: not CSV"),
        ('submission,workload,time\n"a"b,w,1\n', "line 2: not CSV"),
        ("submission,workload,time\n" + "x" * 200_000, "not CSV"),
        (b"\xff\xfes\x00u\x00", "not UTF-8 text; save it as CSV in UTF-8"),
    ],
)
def test_a_wrong_file_is_refused_by_name(write, text, problem):
    with pytest.raises(LogError, match=rf"times\.csv: .*{problem}"):
        read_long_table(write(text))


def test_the_same_trial_twice_is_refused_with_both_places(write):
    text = "submission,workload,trial,time\na,w,1,3\nb,w,1,4\na,w,1,5\n"
    with pytest.raises(
        LogError, match=r"line 4, .*: a has a time on w, .* trial 1, at line 2, too"
    ):
        read_long_table(write(text))


def test_files_of_spreadsheets_are_read(write):
    text = "\ufeffSubmission,workload,time\r\na,w,3\r\n,,\r\n".replace("Submission", "submission")
    assert rows(read_long_table(write(text)).trials) == [
        repr(TrialTime("a", "w", "study_0", 1, 3.0))
    ]


@pytest.mark.parametrize("kind", ["nothing", "folder", "pipe"])
def test_only_regular_files_are_read(tmp_path, kind):
    path = tmp_path / "times.csv"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    with pytest.raises(LogError, match=r"times\.csv: (no such file|cannot be read)"):
        read_times(path)


@pytest.mark.parametrize(
    "make",
    [
        lambda columns: columns,
        lambda columns: {name: np.array(cells, object) for name, cells in columns.items()},
        lambda columns: [
            dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)
        ],
        lambda columns: pytest.importorskip("pandas").DataFrame(columns),
    ],
    ids=["columns", "arrays", "rows", "frame"],
)
def test_all_sources_give_the_same(make):
    columns = {name: [row[index] for row in ROWS] for index, name in enumerate(LONG_COLUMNS[:5])}
    assert rows(read_times(make(columns)).trials) == [repr(row) for row in ROWS]


def test_a_data_frame_of_trials_reads_back():
    pytest.importorskip("pandas")
    trials = TrialTimes.from_rows(ROWS)
    assert rows(read_times(trials.to_pandas()).trials) == rows(trials)


def test_missing_keys_of_a_row_are_empty_cells():
    table = [{"submission": "a", "workload": "w"}, {"submission": "b", "workload": "w", "time": 1}]
    assert [row.seconds for row in read_times(table).trials.rows()] == [math.inf, 1.0]


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ({"submission": ["a"], "workload": ["w"], "time": [1, 2]}, "columns of different lengths"),
        ({"submission": "a", "workload": ["w"], "time": [1]}, "expected a sequence of cells"),
        ([{"submission": "a"}, 3], "row 2: expected a mapping, found 3"),
        (3, "expected the path of a CSV file"),
        ([], "holds no rows"),
        ({}, "holds no rows"),
    ],
)
def test_what_is_no_table_is_refused(source, problem):
    with pytest.raises(LogError, match=problem):
        read_times(source)


def test_a_frame_with_a_column_twice_is_refused():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame([[1, 2]], columns=["w", "w"], index=["a"])
    with pytest.raises(LogError, match="column 'w' is there twice"):
        read_wide_table(frame)


WIDE = "submission,digits,wine\nadamw,12.5,inf\nlion,,3\n"


@pytest.mark.parametrize(
    "make",
    [
        lambda write: write(WIDE),
        lambda write: write(WIDE.replace("submission", "", 1)),
        lambda write: write(WIDE.replace("\n", ",\n")),
        lambda write: {"adamw": {"digits": 12.5, "wine": math.inf}, "lion": {"wine": 3}},
        lambda write: pytest.importorskip("pandas").DataFrame(
            {"digits": [12.5, None], "wine": [math.inf, 3]}, index=["adamw", "lion"]
        ),
        lambda write: pytest.importorskip("pandas").DataFrame(
            {"name": ["adamw", "lion"], "digits": [12.5, None], "wine": [math.inf, 3]}
        ),
    ],
    ids=["file", "unnamed index", "empty last column", "mapping", "index", "frame"],
)
def test_a_wide_table_has_a_row_for_each_submission(write, make):
    trials = read_times(make(write)).trials
    assert (trials.submissions, trials.workloads) == (("adamw", "lion"), ("digits", "wine"))
    np.testing.assert_equal(trials.seconds[:, :, 0, 0], [[12.5, math.inf], [math.nan, 3.0]])
    assert {(row.study, row.trial) for row in trials.rows()} == {("study_0", 1)}


def test_times_to_target_survive_as_a_wide_table():
    pytest.importorskip("pandas")
    times = times_to_target(TrialTimes.from_rows(ROWS))
    again = times_to_target(read_times(times.to_pandas()).trials)
    np.testing.assert_equal(again.seconds, times.seconds)


def test_a_submission_without_any_time_stays_in_a_wide_table(write):
    trials = read_wide_table(write("submission,w\na,1\nb,\n")).trials
    assert trials.submissions == ("a", "b")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("submission,w\na,1\na,2\n", "line 3, column 'workload': a has a time on w, .* at line 2"),
        ("submission,w\n,1\n", "line 2, column 'submission': expected a name"),
        ("submission,w\na,soon\n", "line 2, column 'w': expected seconds"),
        ("submission,w,\na,1,2\n", "column 3 has no name; name the workload"),
        ("submission,workload\na,w\n", "no column 'time'"),
    ],
)
def test_a_wrong_wide_table_is_refused(write, text, problem):
    with pytest.raises(LogError, match=rf"times\.csv: {problem}"):
        read_times(write(text))


def test_with_a_benchmark_all_its_workloads_are_columns(write, benchmark_held_out):
    trials = read_times(write(LONG), benchmark=benchmark_held_out).trials
    assert trials.workloads == benchmark_held_out.scored == ("digits", "wine", "digits_noisy")
    assert np.isnan(trials.seconds[:, 2]).all()


@pytest.mark.parametrize("suffix", ["_jax", "_pytorch"])
def test_frameworks_are_taken_off_names_that_the_benchmark_does_not_know(
    write, benchmark_small, suffix
):
    text = LONG.replace("digits", f"digits{suffix}")
    assert rows(read_times(write(text), benchmark=benchmark_small).trials) == rows(
        TrialTimes.from_rows(ROWS)
    )
    assert read_times(write(text)).trials.workloads == (f"digits{suffix}", "wine")


def test_a_name_that_ends_like_a_framework_is_kept_if_it_is_known(write, definition):
    text = definition.replace("wine", "digits_jax")
    trials = read_times(
        write(LONG.replace("wine", "digits_jax")), benchmark=Benchmark.from_toml(text)
    ).trials
    assert trials.workloads == ("digits", "digits_jax")


def test_a_workload_in_both_frameworks_is_refused(write, benchmark_small):
    with pytest.raises(LogError, match="a has a time on digits"):
        read_times(write("submission,digits_jax,digits\na,1,2\n"), benchmark=benchmark_small)


def test_what_the_benchmark_does_not_score_is_left_out_and_told(write, benchmark_small):
    text = LONG + "lion,spare_jax,study_0,1,5\nlion,spare,study_1,1,6\n"
    table = read_times(write(text), benchmark=benchmark_small)
    assert rows(table.trials) == [repr(row) for row in ROWS]
    (finding,) = table.findings
    assert finding.kind == "not_scored"
    assert (finding.submission, finding.workload) == ("lion", "spare")
    assert "lion/spare (2 trials)" in finding.message


@pytest.mark.parametrize("text", [LONG.replace("wine", "wime"), WIDE.replace("wine", "wime")])
def test_an_unknown_workload_is_refused_with_the_nearest(write, benchmark_small, text):
    with pytest.raises(UnknownNameError, match=r"times\.csv: .*'wime': did you mean 'wine'"):
        read_times(write(text), benchmark=benchmark_small)


times = st.floats(min_value=0.0, allow_nan=False)
untils = st.floats(min_value=0.0, allow_infinity=False) | st.just(math.nan)
labels = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6).filter(
    lambda text: text == text.strip()
)
trial_rows = st.builds(
    TrialTime,
    labels,
    labels,
    labels,
    st.integers(0, 10**18 - 1),
    times,
    untils,
    st.integers(-1, 99),
)


@given(st.lists(trial_rows, min_size=1, max_size=8, unique_by=lambda row: row[:4]))
def test_a_written_table_reads_back_exactly(tmp_path_factory, found):
    trials = TrialTimes.from_rows(found)
    path = tmp_path_factory.mktemp("written") / "times.csv"
    write_long_table(trials, path)
    again = read_long_table(path).trials
    assert set(rows(again)) == set(rows(trials))
    in_order = TrialTimes.from_rows(again.rows(), workloads=trials.workloads)
    assert long_table_csv(in_order) == path.read_bytes().decode() == long_table_csv(trials)


def test_a_table_is_written_with_what_is_known():
    row = TrialTime("a,b", "w", "s", 1, 0.1, 0.05, 7)
    missed = TrialTime("a,b", "w", "s", 2, math.inf)
    assert long_table_csv(TrialTimes.from_rows([missed, row])) == (
        "submission,workload,study,trial,time,missed_until_s,evaluation\n"
        '"a,b",w,s,1,0.1,0.05,7\n"a,b",w,s,2,inf,,\n'
    )


def test_a_table_that_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(OutputError, match="nowhere"):
        write_long_table(TrialTimes.from_rows(ROWS), tmp_path / "nowhere" / "times.csv")


cells = st.none() | st.floats() | st.text(max_size=3) | st.integers() | st.booleans()
tables = st.dictionaries(
    st.sampled_from([*LONG_COLUMNS, "seconds", ""]), st.lists(cells, min_size=2, max_size=2)
)


@given(tables)
def test_random_tables_raise_nothing_but_our_errors(table):
    try:
        found = read_times(table).trials
    except AlgoperfError:
        return
    assert rows(read_times(table).trials) == rows(found)


@given(st.binary(max_size=200))
def test_random_files_raise_nothing_but_our_errors(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "random.csv"
    path.write_bytes(b"submission,workload,time\n" * (len(data) % 2) + data)
    with suppress(AlgoperfError):
        read_times(path)


def test_times_of_any_origin_have_a_benchmark():
    first = read_times({"a": {"x": 10.0, "y": 30.0}, "b": {"x": 20.0, "y": math.inf}}).trials
    second = read_times({"c": {"z": 5.0, "y": 30.0}}).trials
    benchmark = benchmark_of_times([first, second], name="mine")
    assert (benchmark.name, benchmark.scored) == ("mine", ("x", "y", "z"))
    assert list(benchmark.rulesets) == ["external"]


def test_times_of_any_origin_expect_the_studies_and_trials_there_are():
    one = read_times({"a": {"x": 10.0}}).trials
    rules = benchmark_of_times([one]).ruleset("external")
    assert (rules.studies, rules.trials) == (1, 1)
    rules = benchmark_of_times([one, TrialTimes.from_rows(ROWS)]).ruleset("external")
    assert (rules.studies, rules.trials) == (1, 2)
    assert ROWS[3].study == "study_1"
    more = [row._replace(submission="adamw") for row in ROWS]
    rules = benchmark_of_times([TrialTimes.from_rows(more)]).ruleset("external")
    assert (rules.studies, rules.trials) == (2, 2)


def test_times_of_any_origin_are_scored_up_to_four_times_the_fastest():
    trials = read_times({"a": {"x": 10.0, "y": 30.0}, "b": {"x": 20.0, "y": 121.0}}).trials
    benchmark = benchmark_of_times([trials])
    seconds = times_to_target(trials, benchmark.scoring.study_time).seconds
    counted = counted_times(seconds, trials.workloads, benchmark)
    assert counted.tolist() == [[10.0, 30.0], [20.0, math.inf]]
    assert benchmark_score(counted).tolist() == pytest.approx([1.0, 1 / 3])


def test_a_benchmark_without_targets_is_not_written():
    benchmark = benchmark_of_times([TrialTimes.from_rows(ROWS)])
    with pytest.raises(
        DefinitionError, match=r"'times': workloads\.digits\.validation_target is un"
    ):
        benchmark.to_toml()
    assert json.dumps(benchmark.base) == '["digits", "wine"]'
