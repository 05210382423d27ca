"""Results from a table of times, in place of logs.

A long table has a row for each trial, a wide one a row for each submission and a column for each
workload, as in the published ``time_to_targets.csv``. Both become `TrialTimes`.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from algoperf_scoring.benchmark import Benchmark
from algoperf_scoring.columns import (
    Cells,
    Row,
    Source,
    blank,
    csv_cells,
    read_cells,
)
from algoperf_scoring.errors import LogError
from algoperf_scoring.facts import BenchmarkWorkload, Ruleset, ScoringRules
from algoperf_scoring.files import write_text_atomic
from algoperf_scoring.findings import Finding
from algoperf_scoring.layout import workload_and_framework
from algoperf_scoring.names import unknown_name
from algoperf_scoring.trial_times import TrialTime, TrialTimes

LONG_COLUMNS = (
    "submission",
    "workload",
    "study",
    "trial",
    "time",
    "missed_until_s",
    "evaluation",
)
"""Columns of a long table, in the order in which they are written."""

_STUDY = "study_0"

Placed = Iterator[tuple[Row, TrialTime]]


@dataclass(frozen=True, eq=False)
class TimeTable:
    """What a table of times holds.

    Attributes:
      trials: When each trial reached its target; with a benchmark, its scored workloads in their
        order, else the workloads in order of appearance.
      findings: Which workloads were left out because the benchmark does not score them.
    """

    trials: TrialTimes
    findings: tuple[Finding, ...] = ()


def read_times(source: Source, *, benchmark: Benchmark | None = None) -> TimeTable:
    """Reads a table of times: a long one if it has columns ``submission`` and ``workload``.

    Args:
      source: See `read_long_table`; a wide one may also map submissions to their times.
      benchmark: See `read_long_table`.

    Raises:
      AlgoperfError: As `read_long_table` and `read_wide_table`.
    """
    cells = read_cells(source)
    is_long = {"submission", "workload"} <= set(cells.names)
    return _read_long(cells, benchmark) if is_long else _read_wide(cells, benchmark)


def read_long_table(source: Source, *, benchmark: Benchmark | None = None) -> TimeTable:
    """Reads a table with a row for each trial.

    Columns, in any order: ``submission``, ``workload``, ``time`` (or ``seconds``), and optionally
    ``study`` (else all rows are of one study), ``trial`` (else numbered from 1 in order of
    appearance within the study), ``missed_until_s`` and ``evaluation`` (see `TrialTime`). Others
    are ignored. Times are seconds; ``inf``, NaN or an empty cell is a target that was missed. A
    trial that was never run has no row.

    Args:
      source: The path of a CSV file, a mapping of column names to sequences, a sequence of
        mappings, or a pandas DataFrame.
      benchmark: Gives the scored workloads; others that it defines are left out with a finding.
        A name may end in ``_jax`` or ``_pytorch``. None to take workloads as they are.

    Raises:
      LogError: If it cannot be read, a column is missing, a cell is wrong or a trial is there
        twice; names file, line and column.
      UnknownNameError: If the benchmark does not know a workload.
    """
    return _read_long(read_cells(source), benchmark)


def long_table_from_text(
    text: str, source: str, *, benchmark: Benchmark | None = None
) -> TimeTable:
    """Reads the text of a CSV file with a long table; see `read_long_table`."""
    return _read_long(csv_cells(text, source), benchmark)


def read_wide_table(source: Source, *, benchmark: Benchmark | None = None) -> TimeTable:
    """Reads a table with a row for each submission and a column for each workload.

    The first column names the submissions, or the index of a data frame that holds text. Times are
    seconds; ``inf`` is a target that was missed, an empty cell or NaN a workload without
    measurements. Each time becomes the only trial of the only study.

    Args:
      source: The path of a CSV file, a mapping of submissions to mappings of workloads to times,
        or a pandas DataFrame.
      benchmark: See `read_long_table`.

    Raises:
      AlgoperfError: As `read_long_table`.
    """
    return _read_wide(read_cells(source), benchmark)


def long_table_csv(trials: TrialTimes) -> str:
    """Returns a long table as CSV text, from which `read_long_table` gets exactly the same trials.

    What is unknown is left empty. Names lose blanks around them when they are read.
    """
    lines = [",".join(LONG_COLUMNS)]
    for row in trials.rows():
        names = map(_quoted, row[:3])
        until = repr(row.missed_until_s) if 0.0 <= row.missed_until_s < math.inf else ""
        evaluation = "" if row.evaluation < 0 else str(row.evaluation)
        lines.append(",".join((*names, str(row.trial), repr(row.seconds), until, evaluation)))
    return "\n".join(lines) + "\n"


def _quoted(name: str) -> str:
    # The csv module of Python 3.11 and 3.12 leaves a carriage return without quotes.
    if not any(mark in name for mark in ',"\r\n'):
        return name
    return '"' + name.replace('"', '""') + '"'


def write_long_table(trials: TrialTimes, path: Path | str) -> None:
    """Writes a long table as a CSV file; see `long_table_csv`.

    Raises:
      OutputError: If the file cannot be written.
    """
    write_text_atomic(path, long_table_csv(trials))


def benchmark_of_times(tables: Iterable[TrialTimes], *, name: str = "times") -> Benchmark:
    """Returns a benchmark for times of any origin: all workloads count, with targets unknown.

    Scores are exact integrals up to four times the fastest. Its only ruleset is called
    ``external`` and has as many studies, and trials in a study, as the largest number there is.

    Args:
      tables: The times, whose workloads become base workloads in order of appearance.
      name: Name of the benchmark.

    Raises:
      DefinitionError: If there are no workloads.
    """
    read = list(tables)
    facts = {
        workload: BenchmarkWorkload(workload, "unknown", "minimize", validation_target=math.nan)
        for table in read
        for workload in table.workloads
    }
    return Benchmark(
        name=name,
        summary="Times of any origin.",
        workloads=facts,
        base=tuple(facts),
        held_out=(),
        rulesets={"external": _ruleset_of(read)},
        scoring=ScoringRules(),
    )


def _ruleset_of(tables: Iterable[TrialTimes]) -> Ruleset:
    # A table's arrays are as large as its largest numbers of studies and trials.
    shapes = [table.seconds.shape for table in tables]
    studies, trials = (max((shape[axis] for shape in shapes), default=1) for axis in (2, 3))
    return Ruleset("external", studies, trials, budget_factor=1.0, search_space=True)


def _long_rows(cells: Cells) -> Placed:
    for name in ("submission", "workload"):
        cells.require(name)
    time = "time" if "time" in cells.names or "seconds" not in cells.names else "seconds"
    cells.require(time)
    counts: Counter[tuple[str, str, str]] = Counter()
    for row in cells:
        study = _STUDY if row.blank("study") else row.name("study")
        group = (row.name("submission"), row.name("workload"), study)
        counts[group] += 1
        trial = row.whole("trial") if row.has("trial") else counts[group]
        yield row, _trial_time(row, (*group, trial), time)


def _trial_time(row: Row, key: tuple[str, str, str, int], time: str) -> TrialTime:
    seconds = math.inf if row.blank(time) else row.seconds(time)
    until = math.nan if row.blank("missed_until_s") else row.seconds("missed_until_s")
    if math.isinf(until):
        raise row.error("missed_until_s", "expected seconds, or nothing if unknown; found inf.")
    evaluation = -1 if row.blank("evaluation") else row.whole("evaluation", least=-1)
    return TrialTime(*key, seconds, until, evaluation)


def _wide_rows(cells: Cells) -> Placed:
    workloads = _wide_workloads(cells)
    for row in cells:
        for workload in workloads:
            if not row.blank(workload):
                key = (row.name(cells.names[0]), workload, _STUDY, 1)
                yield row, TrialTime(*key, row.seconds(workload))


def _wide_workloads(cells: Cells) -> list[str]:
    """Returns the names of the workload columns; spreadsheets leave empty columns without one."""
    for column, name in enumerate(cells.names):
        if column > 0 and not name and not all(blank(row[column]) for row in cells.rows):
            raise LogError(f"{cells.source}: column {column + 1} has no name; name the workload.")
    return [name for name in cells.names[1:] if name]


def _read_long(cells: Cells, benchmark: Benchmark | None) -> TimeTable:
    rows = list(_long_rows(cells))
    submissions = {trial.submission for _, trial in rows}
    workloads = dict.fromkeys(trial.workload for _, trial in rows)
    return _time_table(cells.source, rows, benchmark, submissions, workloads)


def _read_wide(cells: Cells, benchmark: Benchmark | None) -> TimeTable:
    label, rows = cells.names[0], list(_wide_rows(cells))
    submissions = [row.name(label) for row in cells]
    return _time_table(cells.source, rows, benchmark, submissions, _wide_workloads(cells))


def _time_table(
    source: str,
    rows: Iterable[tuple[Row, TrialTime]],
    benchmark: Benchmark | None,
    submissions: Iterable[str],
    workloads: Iterable[str],
) -> TimeTable:
    names = {workload: _known(source, workload, benchmark) for workload in workloads}
    scored = tuple(names.values()) if benchmark is None else benchmark.scored
    kept: dict[tuple[str, str, str, int], TrialTime] = {}
    first: dict[tuple[str, str, str, int], Row] = {}
    left_out: Counter[tuple[str, str]] = Counter()
    for row, found in rows:
        trial = found._replace(workload=names[found.workload])
        if trial.workload not in scored:
            left_out[trial.submission, trial.workload] += 1
            continue
        key = trial[:4]
        if key in kept:
            raise row.error(
                "workload",
                f"{trial.submission} has a time on {trial.workload}, study {trial.study}, trial "
                f"{trial.trial}, at {first[key].place}, too; keep one, or number studies or trials.",
            )
        kept[key], first[key] = trial, row
    trials = TrialTimes.from_rows(
        kept.values(), submissions=sorted(submissions), workloads=tuple(dict.fromkeys(scored))
    )
    return TimeTable(trials, tuple(_left_out(left_out)))


def _known(source: str, workload: str, benchmark: Benchmark | None) -> str:
    """Returns the name under which the benchmark knows a workload."""
    if benchmark is None or workload in benchmark.workloads:
        return workload
    name, _ = workload_and_framework(workload)
    if name not in benchmark.workloads:
        error = unknown_name("workload", workload, benchmark.workloads)
        raise type(error)(f"{source}: {error} Benchmark: {benchmark.name}.")
    return name


def _left_out(counts: Mapping[tuple[str, str], int]) -> Iterator[Finding]:
    for (submission, workload), count in sorted(counts.items()):
        detail = f"{count} trial" if count == 1 else f"{count} trials"
        yield Finding("not_scored", submission, workload, f"{submission}/{workload}", detail)
