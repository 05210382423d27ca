"""Logs from strangers: whatever is in them, a score comes out that they support, or one message.

The law of this file is `check`: reading works or is refused by an `AlgoperfError`, the command line
prints nothing that a terminal would obey, and every time to target stands in the file, in a row whose
metric meets the target.
"""

import csv
import io
import json
import math
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from algoperf_scoring import (
    AlgoperfError,
    Benchmark,
    Leaderboard,
    LogError,
    cli,
    read_logs,
    score_logs,
)
from algoperf_scoring.hyperparameters import read_hyperparameters
from algoperf_scoring.measurements import MAX_BYTES, _read_any, _read_regular

INF = math.inf
DEFINITION = """
name = "hostile"
base = ["digits", "wine"]
held_out = []

[scoring]
study_time = "fastest_trial"
method = "exact"

[rulesets.external]
search_space = true
studies = 1
trials = 1
budget_factor = 1.0

[workloads.digits]
metric = "accuracy"
validation_target = 0.9
budget_s = 1000.0
eval_period_s = 10.0

[workloads.wine]
metric = "loss"
validation_target = 0.5

[workloads.spare]
metric = "wer"
validation_target = 0.1
"""
BENCHMARK = Benchmark.from_toml(DEFINITION)
TRIAL = "sub/study_0/digits_jax/trial_1"
CSV = "eval_measurements.csv"
HEADER = "global_step,note,score,validation/accuracy,validation/loss\n"
VALID = HEADER + "1,a,10.0,0.5,0.9\n2,b,20.5,0.95,0.4\n3,c,30.0,0.97,0.3\n"
STRICT_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)

posix = pytest.mark.skipif(os.name != "posix", reason="needs links, pipes and permissions")
fuzz = settings(max_examples=80, deadline=None)


@pytest.fixture(autouse=True)
def _no_test_hangs() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise AssertionError("this took more than 20 seconds")

    earlier = signal.signal(signal.SIGALRM, stop)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, earlier)


class Told(NamedTuple):
    """What the command line said."""

    status: int
    out: str
    err: str


def command(*arguments: object) -> Told:
    """Runs the command with streams like those of a terminal."""
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    err = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="backslashreplace")
    with redirect_stdout(out), redirect_stderr(err):
        status = cli.main([str(argument) for argument in arguments])
    texts = []
    for stream in (out, err):
        stream.flush()
        texts.append(stream.buffer.getvalue().decode("utf-8"))
    return Told(status, *texts)


def is_tame(text: str) -> bool:
    """Whether a terminal does nothing but print the text."""
    return all(character.isprintable() or character == "\n" for character in text)


def written_times(data: bytes, metric: str = "accuracy") -> set[float]:
    """Returns the times that a file supports: what stands beside a metric that meets the target."""
    header, *rows = _rows_until_nonsense(data.decode("utf-8-sig", errors="replace")) or [[]]
    needed = ("score", f"validation/{metric}")
    if any(header.count(name) != 1 for name in needed):
        return set()
    time_at, value_at = map(header.index, needed)
    times = set()
    for row in rows:
        if len(row) == len(header):
            time, value = row[time_at].strip(), row[value_at].strip()
            if STRICT_NUMBER.fullmatch(time) and STRICT_NUMBER.fullmatch(value):
                met = float(value) >= 0.9 if metric == "accuracy" else float(value) <= 0.5
                times |= {float(time)} if met else set()
    return times


def _rows_until_nonsense(text: str) -> list[list[str]]:
    rows, limit = [], csv.field_size_limit(2**28)
    try:
        for row in csv.reader(io.StringIO(text, newline=""), strict=True):
            rows += [row] if row else []
    except csv.Error:
        pass
    finally:
        csv.field_size_limit(limit)
    return rows


def check(root: Path, supported: set[float]) -> Leaderboard | None:
    """The law: a leaderboard of supported times, or None for a refusal in one message."""
    try:
        leaderboard = score_logs(root, BENCHMARK, metadata=True)
    except AlgoperfError as error:
        assert str(error)  # noqa: PT017
        leaderboard = None
    definition, results = root.parent / "benchmark.toml", root.parent / "results.json"
    definition.write_text(DEFINITION)
    told = command(root, "--benchmark", definition, "--audit", "--json", results)
    assert is_tame(told.out)
    assert is_tame(told.err)
    if leaderboard is None:
        assert told.status == 2
        assert told.out == ""
        assert told.err.startswith("algoperf-score: error: ")
        return None
    assert (told.status, told.err) == (0, "")
    json.loads(results.read_bytes(), parse_constant=lambda name: pytest.fail(name))
    times = leaderboard.trials.seconds
    assert set(times[np.isfinite(times)].tolist()) <= supported
    assert ((leaderboard.scores >= 0) & (leaderboard.scores <= 1)).all()
    return leaderboard


def check_file(data: bytes) -> float | None:
    """Checks a tree with this one file; returns its time to target, None for a refused file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "logs", TRIAL, CSV)
        path.parent.mkdir(parents=True)
        path.write_bytes(data)
        leaderboard = check(Path(folder, "logs"), written_times(data))
    return None if leaderboard is None else float(leaderboard.times.seconds[0, 0])


def write(root: Path, where: str, data: bytes | str = VALID) -> Path:
    path = root / where / CSV
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def kinds(leaderboard: Leaderboard) -> set[str]:
    return {finding.kind for finding in leaderboard.findings}


# Measurement files.

CELLS = {
    "a plain number": ("20.5", "0.95", 20.5),
    "an exponent": ("2.05e1", "95E-2", 20.5),
    "signs": ("+20.5", "+0.95", 20.5),
    "no digits before the point": ("20.5", ".95", 20.5),
    "no digits after the point": ("20.", "1.", 20.0),
    "blanks around": (" 20.5\t", " 0.95 ", 20.5),
    "blanks of other scripts around": ("\u300020.5", "0.95\u00a0", 20.5),
    "quotes": ('"20.5"', '"0.95"', 20.5),
    "exactly the target": ("20.5", "0.9", 20.5),
    "just below the target": ("20.5", "0.8999999999999999", INF),
    "zero": ("0", "0.95", 0.0),
    "a missing value": ("20.5", "", INF),
    "a value that is no number": ("20.5", "nan", INF),
    "a time that is missing": ("", "0.95", None),
    "a time that is no number": ("nan", "0.95", None),
    "a negative time": ("-20.5", "0.95", None),
    "an infinite time": ("inf", "0.95", None),
    "a time beyond a float": ("1e999", "0.95", None),
    "an underscore in a time": ("1_000", "0.95", None),
    "an underscore in a value": ("20.5", "0_0.95", None),
    "full-width digits": ("\uff12\uff10", "0.95", None),
    "Arabic digits": ("\u0662\u0660", "0.95", None),
    "hexadecimal": ("0x14", "0.95", None),
    "a hexadecimal float": ("20.5", "0x1p0", None),
    "a comma in a number": ('"20,5"', "0.95", None),
    "a unit": ("20.5s", "0.95", None),
    "two numbers": ("20 5", "0.95", None),
    "a minus that is none": ("20.5", "\u22120.95", None),
    "a formula": ("=1+1", "0.95", None),
    "a complex number": ("20.5", "1j", None),
    "a truth value": ("20.5", "True", None),
    "a NUL inside": ("20\0.5", "0.95", None),
    "an escape sequence": ("\x1b[2J20.5", "0.95", None),
    "a line break in quotes": ('"20\n.5"', "0.95", None),
    "text after a quote": ('"1"5', "0.95", None),
    "a quote in a number": ('1"5', "0.95", None),
    "a quote that never closes": ('"20.5', "0.95", None),
}


@pytest.mark.parametrize(("time", "value", "expected"), CELLS.values(), ids=CELLS)
def test_a_cell_is_a_number_as_it_stands_or_refused(time, value, expected):
    text = f"{HEADER}1,a,10.0,0.5,0.9\n2,b,{time},{value},0.4\n3,c,30.0,0.5,0.3\n"
    assert check_file(text.encode()) == expected


@pytest.mark.parametrize("value", ["inf", "Infinity", "+inf", "1e999"])
def test_an_infinite_metric_reaches_no_target(value):
    assert check_file(f"{HEADER}1,a,10.0,{value},0.9\n".encode()) in (INF, None)
    lower = f"{HEADER}1,a,10.0,0.5,-{value.lstrip('+')}\n"
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder, "logs"), "sub/study_0/wine_jax/trial_1", lower)
        leaderboard = check(Path(folder, "logs"), written_times(path.read_bytes(), "loss"))
    assert leaderboard is None or math.isinf(leaderboard.times.seconds[0, 1])


FILES = {
    "as written by a runner": (VALID.encode(), 20.5),
    "a byte order mark": (b"\xef\xbb\xbf" + VALID.encode(), 20.5),
    "line ends of Windows": (VALID.replace("\n", "\r\n").encode(), 20.5),
    "line ends of old Macs": (VALID.replace("\n", "\r").encode(), 20.5),
    "mixed line ends": (VALID.replace("\n", "\r\n", 2).encode(), 20.5),
    "blank lines": (VALID.replace("\n", "\n\n").encode(), 20.5),
    "Latin-1 in a note": (VALID.replace("b,", "\xfc,").encode("latin-1"), 20.5),
    "quotes around notes": (VALID.replace("b,", '"b, ""c""",').encode(), 20.5),
    "a line break in a note": (VALID.replace("b,", '"b\nc",').encode(), 20.5),
    "a column more": (VALID.replace("\n", ",9\n").replace("loss,9", "loss,x").encode(), 20.5),
    "a column of a name twice": (VALID.replace("note", "global_step").encode(), 20.5),
    "a header alone": (HEADER.encode(), INF),
    "an infinite time at the end": (f"{HEADER}1,a,10.0,0.5,0.9\n2,b,inf,0.5,0.9\n".encode(), INF),
    "a missing time at the end": (f"{HEADER}1,a,10.0,0.5,0.9\n2,b,,0.5,0.9\n".encode(), INF),
    "infinite times at the start": (VALID.replace("10.0", "1e999").encode(), 20.5),
    "a last line without its end": (VALID.encode()[:-1], 20.5),
    "a last line that is half there": (VALID.encode()[:-9], 20.5),
    "NULs at the end": (VALID.encode() + b"\0" * 512, 20.5),
    "nothing at all": (b"", math.nan),
    "half a header": (HEADER.encode()[:20], math.nan),
    "a header that ends too early": (b"global_step,score\n1,2\n", None),
    "NULs at the start": (b"\0" * 512 + VALID.encode(), 20.5),
    "UTF-16": (VALID.encode("utf-16"), None),
    "UTF-16 without a mark": (VALID.encode("utf-16-be"), None),
    "UTF-32": (VALID.encode("utf-32"), None),
    "semicolons": (VALID.replace(",", ";").encode(), None),
    "a time column twice": (VALID.replace("note", "score").encode(), None),
    "a metric column twice": (VALID.replace("note", "validation/accuracy").encode(), None),
    "names with blanks": (VALID.replace(",score", ", score").encode(), None),
    "a short line in between": (VALID.replace("2,b,20.5", "2,20.5").encode(), None),
    "a long line in between": (VALID.replace("2,b", "2,b,b").encode(), None),
    "a decimal comma": (VALID.replace("20.5", "20,5").encode(), None),
    "two files in one": ((VALID + VALID).encode(), None),
    "a compressed file": (b"\x1f\x8b\x08\0\0\0\0\0\0\3" + bytes(range(256)), None),
    "a web page": (b"<html>\n<script>alert(1)</script>\n</html>\n", None),
}


@pytest.mark.parametrize(("data", "expected"), FILES.values(), ids=FILES)
def test_a_file_is_read_as_it_stands_or_refused(data, expected):
    found = check_file(data)
    assert found == expected or (found is not None and math.isnan(found) and math.isnan(expected))


def test_enormous_times_are_refused_or_have_a_median(tmp_path):
    root = tmp_path / "logs"
    for study in (0, 1):
        text = VALID.replace("20.5", "1.7e308").replace("30.0", "1.7e308")
        write(root, f"sub/study_{study}/digits_jax/trial_1", text)
        write(root, f"other/study_{study}/digits_jax/trial_1", text.replace("1.7", f"1.{study}"))
    leaderboard = check(root, {1.7e308, 1.0e308, 1.1e308})
    if leaderboard is not None:
        assert leaderboard.times.seconds[:, 0].tolist() == pytest.approx([1.05e308, 1.7e308])


def test_a_quote_that_never_closes_hides_no_evaluations():
    assert check_file(VALID.replace("1,a", '1,"a').encode()) is None


def test_what_a_refusal_quotes_of_a_file_is_short_and_tame():
    for text in ("\x1b]0;owned\x07" * 9, "x" * 100_000, "\u202e" * 50):
        for data in (VALID.replace("20.5", text), VALID.replace("score", text), text + "\n1\n"):
            with tempfile.TemporaryDirectory() as folder:
                write(Path(folder), TRIAL, data)
                with pytest.raises(LogError) as refusal:
                    score_logs(folder, BENCHMARK)
            assert is_tame(str(refusal.value))
            assert len(str(refusal.value)) < 2_000


@pytest.mark.parametrize("cell", ["1" * 131_000 + "x", "." * 131_000, "1e" + "1" * 131_000 + "-"])
@pytest.mark.parametrize("last", [False, True])
def test_a_long_cell_is_refused_or_cut_at_once(cell, last):
    assert check_file(f"{HEADER}1,a,10.0,{'0.5,' if last else ''}{cell}\n".encode()) in (INF, None)
    assert check_file(f"{HEADER}1,a,{cell},0.95,0.3\n2,b,20.0,0.5,0.1\n".encode()) is None


def test_a_number_may_have_any_number_of_digits():
    digits = "0.95" + "1" * 100_000
    assert check_file(f"{HEADER}1,a,20.5,{digits},0.9\n".encode()) == 20.5


@pytest.mark.parametrize("quote", ["", '"'])
def test_a_note_of_ten_megabytes_takes_no_time(quote):
    note = quote + "n" * 10_000_000 + quote
    assert check_file(VALID.replace("b,", f"{note},").encode()) in (20.5, None)


def test_thousands_of_columns_are_no_obstacle():
    more = "".join(f",metric_{index}" for index in range(5_000))
    blank = VALID.replace("\n", "," * 5_000 + "\n").replace("loss" + "," * 5_000, "loss" + more)
    assert check_file(blank.encode()) == 20.5


class Edit(NamedTuple):
    """Replaces a part of the bytes of a file."""

    start: float
    length: int
    text: bytes

    def of(self, data: bytes) -> bytes:
        start = int(self.start * len(data))
        return data[:start] + self.text + data[start + self.length :]


EDITS = st.builds(
    Edit,
    st.floats(0, 1),
    st.integers(0, 12),
    st.sampled_from(
        [b"", b"\0", b"\r", b"\n", b'"', b",", b"\xff", b"_", b"-", b"e9", b"nan", b"0", b".", b" "]
    )
    | st.binary(max_size=6),
)
valid_files = st.sampled_from(
    [VALID, VALID.replace("\n", "\r\n"), VALID.replace(",a,", ',"a",'), "\ufeff" + VALID]
).map(str.encode)


def edited(data: bytes, edits: Sequence[Edit]) -> bytes:
    for edit in edits:
        data = edit.of(data)
    return data


@fuzz
@given(st.binary(max_size=400))
@example(b"score,validation/accuracy\n1\x1c,1\x1f\n")
def test_bytes_without_meaning_are_no_result(data):
    check_file(data)


@settings(max_examples=300, deadline=None)
@given(valid_files, st.lists(EDITS, min_size=1, max_size=4))
def test_a_damaged_file_gives_no_time_that_does_not_stand_in_it(data, edits):
    check_file(edited(data, edits))


@fuzz
@given(valid_files, st.data())
def test_a_file_cut_anywhere_gives_the_time_it_had_or_none(data, draw):
    cut = draw.draw(st.integers(0, len(data)))
    assert check_file(data[:cut]) in (20.5, INF, None) or cut < data.index(b"\n") + 1


numbers = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.integers(-(10**30), 10**30).map(str),
    st.sampled_from(
        ["", "nan", "NaN", "-nan", "inf", "-Infinity", "1e999", "-1e-999", "0", "-0.0"]
    ),
    st.sampled_from([" ", " 1.5", "1.5\t", "1.", ".5", "+1E+2", "\x0b2\x0c", "\x1c3"]),
)
notes = st.text("abc _.-+eE019", max_size=6)
rows = st.tuples(st.integers(0, 10**6).map(str), notes, numbers, numbers, notes).map(",".join)
COLUMNS = ("score", "validation/accuracy")


@settings(max_examples=300)
@given(st.lists(rows, max_size=6))
def test_the_short_way_and_the_long_way_read_the_same(lines):
    data = (HEADER + "".join(f"{line}\n" for line in lines)).encode()
    short, long = _read_regular(data, COLUMNS), _read_any("file", data, COLUMNS)
    assert long is not None
    assert not long.cut
    if short is not None:
        for name in ("times", "values", "cut"):
            np.testing.assert_array_equal(getattr(short, name), getattr(long, name))


@settings(max_examples=300)
@given(valid_files, st.lists(EDITS, min_size=1, max_size=4))
def test_what_goes_the_short_way_would_not_be_refused_on_the_long_way(data, edits):
    data = edited(data, edits)
    short = _read_regular(data, COLUMNS)
    if short is not None:
        long = _read_any("file", data, COLUMNS)
        np.testing.assert_array_equal(short.times, long.times)
        np.testing.assert_array_equal(short.values, long.values)


def test_files_of_runners_go_the_short_way():
    assert _read_regular(VALID.encode(), COLUMNS).times.tolist() == [10.0, 20.5, 30.0]
    missing = VALID.replace("0.5", "").replace("20.5", "nan").encode()
    assert np.isnan(_read_regular(missing, COLUMNS).values[0])


# Files that change while they are read.


def _when_opened(monkeypatch: pytest.MonkeyPatch, change: Callable[[], None]) -> None:
    """Runs ``change`` after the size of a file was asked for, before its content is."""
    fstat = os.fstat

    def then_change(descriptor: int) -> os.stat_result:
        status = fstat(descriptor)
        change()
        return status

    monkeypatch.setattr(os, "fstat", then_change)


def test_a_file_that_grows_is_read_as_it_was(tmp_path, monkeypatch):
    path = write(tmp_path, TRIAL, VALID.replace("0.95", "0.5").replace("0.97", "0.5"))

    def grow() -> None:
        with open(path, "ab") as file:
            file.write(b"4,d,40.0,0.99,0.2\n")

    with monkeypatch.context() as patch:
        _when_opened(patch, grow)
        assert math.isinf(score_logs(tmp_path, BENCHMARK).times.seconds[0, 0])
    assert score_logs(tmp_path, BENCHMARK).times.seconds[0, 0] == 40.0


def test_a_file_that_shrinks_is_read_as_it_is(tmp_path, monkeypatch):
    for size in range(0, len(VALID), 5):
        path = write(tmp_path, TRIAL)
        with monkeypatch.context() as patch:
            _when_opened(patch, lambda path=path, size=size: os.truncate(path, size))
            try:
                found = score_logs(tmp_path, BENCHMARK).times.seconds[0, 0]
            except LogError:
                continue
        assert found in (20.5, INF) or (math.isnan(found) and size < len(HEADER))


@pytest.mark.parametrize("most", [1, 7])
def test_a_file_that_comes_in_pieces_is_read_whole(tmp_path, monkeypatch, most):
    write(tmp_path, TRIAL)
    read = os.read
    monkeypatch.setattr(os, "read", lambda descriptor, size: read(descriptor, min(size, most)))
    logs = read_logs(tmp_path, BENCHMARK)
    assert logs.studies("sub", "digits")["study_0"][0].times.tolist() == [10.0, 20.5, 30.0]


def test_a_file_that_vanishes_is_not_there(tmp_path, monkeypatch):
    write(tmp_path, TRIAL)
    path = write(tmp_path, TRIAL.replace("trial_1", "trial_2"))
    listed = os.scandir

    def then_vanish(folder: str):
        entries = listed(folder)
        path.unlink(missing_ok=True)
        return entries

    monkeypatch.setattr(os, "scandir", then_vanish)
    leaderboard = score_logs(tmp_path, BENCHMARK)
    assert "no_measurements_file" in kinds(leaderboard)


# What is not a file.


def _as_pipe(path: Path) -> None:
    os.mkfifo(path)


def _as_link_to_pipe(path: Path) -> None:
    os.mkfifo(path.with_name("pipe"))
    path.symlink_to("pipe")


def _as_sparse(path: Path) -> None:
    path.write_text(VALID)
    os.truncate(path, MAX_BYTES + 1)


NO_FILES: Mapping[str, Callable[[Path], None]] = {
    "a pipe": _as_pipe,
    "a link to a pipe": _as_link_to_pipe,
    "a folder": Path.mkdir,
    "a link to a device": lambda path: path.symlink_to("/dev/zero"),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a file beyond the limit": _as_sparse,
}


@posix
@pytest.mark.parametrize("make", NO_FILES.values(), ids=NO_FILES)
@pytest.mark.parametrize("name", [CSV, "benchmark.toml", "meta_data_0.json", "hparams.json"])
def test_what_is_no_readable_file_is_refused_without_waiting(tmp_path, make, name):
    root = tmp_path / "logs"
    write(root, TRIAL)
    folder = root / "sub" if name == "benchmark.toml" else root / TRIAL
    (folder / name).unlink(missing_ok=True)
    make(folder / name)
    if name == CSV:
        assert check(root, set()) is None
        return
    leaderboard = check(root, {20.5})
    assert leaderboard.times.seconds[0, 0] == 20.5
    if name == "benchmark.toml":
        with pytest.raises(AlgoperfError, match=r"benchmark\.toml"):
            score_logs(root)
    elif name == "hparams.json":
        with pytest.raises(LogError, match=r"hparams\.json"):
            read_hyperparameters(next(leaderboard.logs.each())[2])
    else:
        assert "unreadable_metadata" in kinds(leaderboard)


@posix
def test_a_folder_that_is_a_link_counts_and_is_found(tmp_path):
    path = write(tmp_path, TRIAL)
    (path.parent.with_name("trial_2")).symlink_to("trial_1")
    (tmp_path / "sub" / "study_1").symlink_to("study_0")
    outside = write(tmp_path.with_name(f"{tmp_path.name}_outside"), "x").parent
    path.parent.with_name("trial_3").symlink_to(outside)
    leaderboard = score_logs(tmp_path, BENCHMARK)
    places = {found.place for found in leaderboard.findings if found.kind == "symbolic_link"}
    trials = "sub/study_0/digits_jax/trial_"
    assert places >= {"sub/study_1", f"{trials}2", f"{trials}3"}
    assert leaderboard.times.trials[0, 0] == 6


@posix
@pytest.mark.parametrize("name", [CSV, "meta_data_0.json"])
def test_a_file_that_is_a_link_is_found(tmp_path, name):
    path = write(tmp_path, TRIAL)
    outside = tmp_path.with_name(f"{tmp_path.name}_outside")
    outside.write_text(VALID if name == CSV else "{}")
    path.with_name(name).unlink(missing_ok=True)
    path.with_name(name).symlink_to(outside)
    leaderboard = score_logs(tmp_path, BENCHMARK, metadata=True)
    assert any(
        found.kind == "symbolic_link" and found.place == f"{TRIAL}/{name}"
        for found in leaderboard.findings
    )


@posix
@pytest.mark.parametrize("where", ["", "sub", "sub/study_0", "sub/study_0/digits_jax", TRIAL])
@pytest.mark.parametrize("target", [".", "..", "loop", "nowhere", "/dev/null"])
def test_links_in_a_circle_or_to_nowhere_stop_nobody(tmp_path, where, target):
    root = tmp_path / "logs"
    write(root, TRIAL)
    (root / where / "loop").symlink_to(target)
    leaderboard = check(root, {20.5})
    assert leaderboard is not None
    assert leaderboard.times.seconds[0, 0] == 20.5


@posix
@pytest.mark.parametrize("where", ["sub/study_0/digits_jax", TRIAL])
def test_a_folder_that_cannot_be_read_is_refused(tmp_path, where):
    if os.geteuid() == 0:
        pytest.skip("the superuser may read everything")
    root = tmp_path / "logs"
    write(root, TRIAL)
    (root / where).chmod(0)
    try:
        assert check(root, {20.5}) is None
    finally:
        (root / where).chmod(0o700)


@pytest.mark.parametrize("root", ["x" * 300, "\0", "nowhere", "/dev/null", "/dev/null/x"])
def test_a_root_that_is_no_folder_of_logs_is_refused(root):
    told = command(root, "--benchmark", "algoperf-v0.6")
    assert (told.status, told.out) == (2, "")
    assert is_tame(told.err)


# Names.


def test_only_trial_folders_with_a_number_hold_trials(tmp_path):
    write(tmp_path, TRIAL)
    for name in ("trial_", "trial_٣", "Trial_2", "trial-2", "trial_x1", "trial_²", "trial"):
        write(tmp_path, f"sub/study_0/digits_jax/{name}")
    assert score_logs(tmp_path, BENCHMARK).times.trials[0, 0] == 1


def test_of_two_folders_with_a_number_the_plain_one_counts(tmp_path):
    write(tmp_path, TRIAL)
    for name in ("trial_1_old", "trial_01", "trial_1 (copy)", "trial_00001"):
        write(tmp_path, f"sub/study_0/digits_jax/{name}", VALID.replace("20.5", "1.0"))
    leaderboard = score_logs(tmp_path, BENCHMARK)
    assert leaderboard.times.seconds[0, 0] == 20.5
    assert sum(found.kind == "same_trial" for found in leaderboard.findings) == 4


@pytest.mark.parametrize("name", ["trial_99999999999999999999", "trial_1000000000000000000_x"])
def test_a_trial_number_is_never_part_of_a_longer_one(tmp_path, name):
    root = tmp_path / "logs"
    write(root, TRIAL)
    write(root, f"sub/study_0/digits_jax/{name}")
    leaderboard = check(root, {20.5})
    if leaderboard is not None:
        numbers = leaderboard.trials.trial_numbers
        assert set(numbers[numbers >= 0].tolist()) <= {1, int(re.search(r"\d+", name)[0])}


def test_folders_without_trials_alone_are_not_scored(tmp_path):
    root = tmp_path / "logs"
    write(root, TRIAL)
    (root / "plots" / "png").mkdir(parents=True)
    definition = tmp_path / "benchmark.toml"
    definition.write_text(DEFINITION)
    told = command(root, "--benchmark", definition, "--include", "plots")
    assert told.status == 2
    assert "plots" in told.err


STRANGE = [
    "new\nline",
    "carriage\rreturn",
    "tab\t",
    "\x1b[2J\x1b]0;title\x07",
    "\x9b31m",
    "\u202egnihton",
    "<script>alert(1)</script>",
    "a&b\"c'd",
    "$x^2$ \\frac{",
    "=cmd|' /C calc'!A0",
    "|pipe|*bold*_x_",
    "..x",
    "...",
    "~",
    "-rf",
    "--json",
    "%s{0}{x}",
    "é" * 127,
    "n" * 255,
    os.fsdecode(b"latin-\xfc"),
    os.fsdecode(b"\xff\xfe"),
    "-2026-01-02-03-04-05",
    " ",
    "漢字",
]


@posix
@pytest.mark.parametrize("name", STRANGE)
@pytest.mark.parametrize("where", ["{}/study_0/digits_jax", "sub/{}/digits_jax", "sub/study_0/{}"])
def test_strange_names_are_shown_harmlessly(tmp_path, name, where):
    root = tmp_path / "logs"
    write(root, "other/study_0/digits_jax/trial_1")
    write(root, f"{where.format(name)}/trial_1")
    leaderboard = check(root, {20.5})
    assert leaderboard is not None or where.endswith("{}")


OUTPUTS = [("--json", "json"), ("--csv", "csv"), ("--markdown", "md"), ("--latex", "tex")]


@posix
@pytest.mark.parametrize("name", STRANGE)
def test_results_with_strange_names_can_be_written(tmp_path, name):
    root, definition = tmp_path / "logs", tmp_path / "benchmark.toml"
    write(root, f"{name}/study_0/digits_jax/trial_1")
    write(root, "other/study_0/digits_jax/trial_1")
    definition.write_text(DEFINITION)
    options = [part for option, end in OUTPUTS for part in (option, tmp_path / f"results.{end}")]
    told = command(root, "--benchmark", definition, *options)
    assert (told.status, told.err) == (0, "")
    for _, end in OUTPUTS:
        (tmp_path / f"results.{end}").read_text("utf-8")
    if name.strip():
        again = command(tmp_path / "results.csv", "--benchmark", definition)
        assert (again.status, again.err) == (0, "")


@posix
@pytest.mark.parametrize(
    "name", ["\x1b[2J", "a\nalgoperf-score: error: none", os.fsdecode(b"\xff")]
)
def test_a_name_forges_no_lines_in_what_is_said(tmp_path, name):
    root, definition = tmp_path / "logs", tmp_path / "benchmark.toml"
    write(root, f"{name}/study_0/digits_jax/trial_1")
    definition.write_text(DEFINITION)
    told = command(root, "--benchmark", definition, "--reference", name, "--audit")
    assert is_tame(told.out)
    assert "\nalgoperf-score" not in told.out
    for options in (("--strict",), ("--exclude", name)):
        told = command(root, "--benchmark", definition, *options)
        assert told.status in (1, 2)
        assert is_tame(told.err)
        assert "\nalgoperf-score" not in told.err
    write(root, f"{name}/study_0/digits_jax/trial_1", VALID.replace("20.5", "x"))
    told = command(root, "--benchmark", definition)
    assert told.status == 2
    assert told.err.count("\n") == 1


def test_a_definition_among_logs_sends_no_commands_to_a_terminal(tmp_path):
    write(tmp_path, TRIAL)
    text = DEFINITION.replace('"hostile"', '"\\u001b[2J\\u001b]0;title\\u0007"')
    (tmp_path / "sub" / "benchmark.toml").write_text(text)
    assert is_tame(command(tmp_path, "--audit").out)


def test_a_definition_among_logs_reads_no_other_file(tmp_path):
    root = tmp_path / "logs"
    write(root, TRIAL)
    (tmp_path / "other.toml").write_text(DEFINITION)
    for target in (tmp_path / "other.toml", "../../other.toml"):
        text = f'name = "x"\nextends = "{target}"\n'
        (root / "sub" / "benchmark.toml").write_text(text)
        with pytest.raises(AlgoperfError, match="extends"):
            score_logs(root)


# Metadata and hyperparameters.

odd_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(10**300, 10**400)
    | st.floats()
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)
odd_objects = st.dictionaries(
    st.sampled_from(
        [
            "workload.validation_target_value",
            "workload.max_allowed_runtime_sec",
            "workload.eval_period_time_sec",
            "learning_rate",
        ]
    ),
    odd_values,
)
odd_json = st.one_of(
    st.binary(max_size=60),
    odd_values.map(lambda value: json.dumps(value).encode()),
    odd_objects.map(lambda value: json.dumps(value).encode()),
    odd_objects.map(lambda value: json.dumps(value, ensure_ascii=False).encode("utf-16", "ignore")),
)
HUGE = "1" + "0" * 400
ODD_JSON = {
    "deep lists": b"[" * 100_000,
    "deep objects": b'{"a":' * 50_000,
    "a deep value": b'{"workload.validation_target_value": ' + b"[" * 400 + b"]" * 400 + b"}",
    "a number beyond a float": f'{{"workload.validation_target_value": {HUGE}}}'.encode(),
    "a number of very many digits": f'{{"workload.max_allowed_runtime_sec": {HUGE * 50}}}'.encode(),
    "infinity": b'{"workload.validation_target_value": -Infinity, "x": 1e999}',
    "no number": b'{"workload.validation_target_value": NaN}',
    "a long text": b'{"workload.validation_target_value": "' + b"\\u001b[2J" * 50_000 + b'"}',
    "half a character": b'{"workload.validation_target_value": "\\ud800"}',
    "a name twice": b'{"workload.eval_period_time_sec": 1, "workload.eval_period_time_sec": 10}',
    "NULs": b"\0" * 100,
    "nothing": b"",
}


def check_beside(data: bytes) -> Leaderboard:
    """Checks a tree whose trial has this for metadata and for hyperparameters."""
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder, "logs"), TRIAL)
        path.with_name("meta_data_0.json").write_bytes(data)
        path.with_name("hparams.json").write_bytes(data)
        leaderboard = check(Path(folder, "logs"), {20.5})
        for _, _, trial in leaderboard.logs.each():
            try:
                values = read_hyperparameters(trial).values()
            except LogError as error:
                assert len(str(error)) < 2_000  # noqa: PT017
            else:
                assert all(isinstance(value, str) or math.isfinite(value) for value in values)
    return leaderboard


@pytest.mark.parametrize("data", ODD_JSON.values(), ids=ODD_JSON)
def test_odd_metadata_is_a_short_finding_and_changes_no_score(data):
    leaderboard = check_beside(data)
    assert leaderboard.scores.tolist() == [0.5]
    assert all(len(finding.message) < 2_000 for finding in leaderboard.findings)


@settings(max_examples=50, deadline=None)
@given(odd_json)
def test_no_metadata_changes_a_score(data):
    assert check_beside(data).scores.tolist() == [0.5]


# Whole trees.

names = st.sampled_from(["sub", "Sub", "sub-2026-01-02-03-04-05", "study_0", *STRANGE])
workload_folders = st.sampled_from(
    ["digits_jax"] * 4 + ["digits_pytorch", "digits", "wine_jax", "spare_jax", "plots", "trial_1"]
)
trial_names = st.sampled_from(
    ["trial_1"] * 3
    + ["trial_2", "trial_01", "trial_1_old", "trial_", "trial_٣", "old", "trial_" + "9" * 20]
)
contents = st.sampled_from([VALID, VALID, VALID[:-3], HEADER, "", None])
trees = st.dictionaries(
    st.tuples(
        names, st.sampled_from(["study_0", "study_1", "x\ny"]), workload_folders, trial_names
    ),
    contents,
    min_size=1,
    max_size=5,
)


def grow(root: Path, tree: Mapping[tuple[str, ...], str | None]) -> None:
    for parts, text in tree.items():
        folder = root.joinpath(*parts)
        folder.mkdir(parents=True, exist_ok=True)
        if text is not None:
            (folder / CSV).write_text(text)


@posix
@settings(max_examples=100, deadline=None)
@given(trees)
def test_any_tree_is_scored_or_refused(tree):
    with tempfile.TemporaryDirectory() as folder:
        grow(Path(folder, "logs"), tree)
        check(Path(folder, "logs"), {20.5})


class _Backwards:
    """Lists a folder in the order opposite to that of names."""

    listed = staticmethod(os.scandir)

    def __init__(self, path: str) -> None:
        with self.listed(path) as entries:
            self.entries = sorted(entries, key=lambda entry: entry.name, reverse=True)

    def __enter__(self) -> Iterator[os.DirEntry[str]]:
        return iter(self.entries)

    def __exit__(self, *_: object) -> None:
        return None


def told_of(root: Path) -> object:
    try:
        return score_logs(root, BENCHMARK, metadata=True).to_dict()
    except AlgoperfError as error:
        return str(error)


@posix
@fuzz
@given(trees)
def test_nothing_depends_on_the_order_of_the_file_system(tree):
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        grow(Path(folder), tree)
        expected = told_of(Path(folder))
        patch.setattr("algoperf_scoring.layout.os.scandir", _Backwards)
        assert told_of(Path(folder)) == expected


WATCHED = """
import sys
from algoperf_scoring.cli import main
root, definition, harmless = sys.argv[1:]
options = ["--benchmark", definition, "--audit", "--quiet-notes"]
main([harmless, *options])
seen = []
def watch(event, arguments):
    if event in ("open", "os.scandir", "os.listdir"):
        seen.append(("read", str(arguments[0])))
    elif event in ("import", "exec", "compile", "os.system", "subprocess.Popen", "pickle.find_class"):
        seen.append((event, str(arguments[0])))
sys.addaudithook(watch)
main([root, *options])
main([root])
found = list(seen)
print("WATCHED", sorted(set(found)), file=sys.stderr)
"""


def test_nothing_outside_the_logs_is_opened_and_nothing_in_them_is_run(tmp_path):
    root, harmless = tmp_path / "logs", tmp_path / "harmless"
    payload = f"open({str(tmp_path / 'owned')!r}, 'w')\n"
    for tree in (root, harmless):
        write(tree, TRIAL).with_name("meta_data_0.json").write_text("{}")
        (tree / "sub" / "benchmark.toml").write_text(DEFINITION)
    for where in ("", "sub", TRIAL):
        for name in (
            "__init__.py",
            "conftest.py",
            "numpy.py",
            "json.py",
            "sitecustomize.py",
            "x.pth",
        ):
            (root / where / name).write_text(payload)
        (root / where / "results.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    definition = tmp_path / "benchmark.toml"
    definition.write_text(DEFINITION)
    ran = subprocess.run(
        [sys.executable, "-P", "-c", WATCHED, root, definition, harmless],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    seen = eval(ran.stderr.split("WATCHED ", 1)[1], {"__builtins__": {}})  # noqa: S307
    read = {os.path.abspath(path) for event, path in seen if event == "read"}
    assert not (tmp_path / "owned").exists()
    assert [event for event in seen if event[0] != "read"] == []
    assert str(root / TRIAL / CSV) in read
    allowed = {str(definition)}
    assert all(path in allowed or Path(path).is_relative_to(root) for path in read)
    names = {Path(path).name for path in read if os.path.isfile(path)}
    assert names <= {CSV, "meta_data_0.json", "benchmark.toml"}
