"""From any source to a leaderboard: log trees, tables of times, the published field, or all of them."""

import os
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path

from algoperf_scoring.audit import log_findings, metadata_findings
from algoperf_scoring.benchmark import Benchmark, load_benchmark
from algoperf_scoring.definitions import available_benchmarks
from algoperf_scoring.errors import AlgoperfError, LogError
from algoperf_scoring.facts import Method
from algoperf_scoring.findings import Finding
from algoperf_scoring.layout import LAYOUT, check_folder
from algoperf_scoring.leaderboard import Leaderboard, refuse_violations, score_times
from algoperf_scoring.logs import (
    Logs,
    Roots,
    chosen_names,
    read_benchmark,
    read_logs,
    submissions_in,
)
from algoperf_scoring.trial_times import TrialTimes, read_trial_times

PUBLISHED = "published"


def score_logs(
    sources: Roots,
    benchmark: Benchmark | str | Path | None = None,
    ruleset: str = "external",
    method: Method | None = None,
    *,
    against: str | None = None,
    include: Collection[str] = (),
    exclude: Collection[str] = (),
    reference: str | None = None,
    metadata: bool = False,
    strict: bool = False,
) -> Leaderboard:
    """Scores the submissions in logs, or in tables of times, against each other.

    Args:
      sources: One or several of: a folder of submissions, the folder of one submission, an archive
        with a folder for each ruleset, a CSV file of times (`read_times`).
      benchmark: The definition, its name or its path; None for the copy that run directories
        carry. Tables alone need none: then every workload in them counts.
      ruleset: Name of the tuning ruleset; see `score_times`.
      method: How to integrate profiles; None for `benchmark.scoring.method`.
      against: ``"published"`` adds the published submissions of the benchmark,
        ``"published:<name>"`` those of another; None adds none.
      include: Submissions to score; empty for all.
      exclude: Submissions to leave out; the others are then scored without them.
      reference: A submission whose times are the unit of the ratios, in place of the fastest.
      metadata: Whether to compare the targets and budgets that trials logged with the benchmark's.
      strict: Whether to refuse what breaks a rule of the benchmark; compares metadata, too. The
        published field is not judged.

    Raises:
      AlgoperfError: If logs, benchmark or names cannot be used; the message says what to do.
      RuleViolationError: If `strict`, and a rule is broken; lists all violations.
    """
    chosen = chosen_benchmark(sources, benchmark)
    chosen.ruleset(ruleset)
    folders, files = _split(sources)
    field = _published(against, chosen, ruleset)
    tables, findings = _read_tables(files, chosen)
    names = _distinct(folders, files, ruleset, tables, field)
    wanted = chosen_names(names, include, exclude)
    logs = _read_folders(folders, chosen, ruleset, wanted)
    findings += _log_findings(logs, chosen, ruleset, metadata=metadata or strict)
    trials = _joined(logs, [*tables, *field], wanted, chosen)
    if not trials.submissions:
        raise LogError(f"{', '.join(wanted)}: no trials found; the expected layout is {LAYOUT}.")
    leaderboard = score_times(
        trials,
        chosen,
        ruleset,
        method,
        reference=reference,
        findings=[finding for finding in findings if finding.submission in ("", *wanted)],
    )
    known = {name for times in field for name in times.submissions}
    judged = tuple(found for found in leaderboard.findings if found.submission not in known)
    if strict:
        refuse_violations(judged)
    return replace(leaderboard, logs=logs, findings=judged)


def chosen_benchmark(sources: Roots, benchmark: Benchmark | str | Path | None = None) -> Benchmark:
    """Returns the benchmark that is given or named, or else the one that the sources carry.

    Args:
      sources: See `score_logs`.
      benchmark: The definition, its name or its path; None for the copy in the logs, or for tables
        alone the benchmark of all their workloads.

    Raises:
      AlgoperfError: If none is given and the logs carry none, or different ones.
    """
    if isinstance(benchmark, Benchmark):
        return benchmark
    if benchmark is not None:
        return load_benchmark(benchmark)
    folders, files = _split(sources)
    if not folders:
        return _benchmark_of(files)
    found = read_benchmark(folders)
    if found is None:
        known = ", ".join(available_benchmarks())
        raise AlgoperfError(
            f"{', '.join(map(str, folders))}: these logs carry no benchmark.toml; say which "
            f"benchmark they belong to (--benchmark). Available: {known}, or the path of a .toml "
            "file."
        )
    return found


def _split(sources: Roots) -> tuple[list[Path], list[Path]]:
    """Returns the folders and the files among the sources."""
    paths = [Path(sources)] if isinstance(sources, Path | str) else [Path(path) for path in sources]
    if not paths:
        raise AlgoperfError("nothing to score: give a folder of logs or a table of times.")
    files = [path for path in paths if os.path.isfile(path)]
    folders = [path for path in paths if path not in files]
    for folder in folders:
        check_folder(folder)
    return folders, files


def _benchmark_of(files: list[Path]) -> Benchmark:
    from algoperf_scoring.time_tables import benchmark_of_times, read_times

    return benchmark_of_times([read_times(path).trials for path in files])


def _published(against: str | None, benchmark: Benchmark, ruleset: str) -> list[TrialTimes]:
    if against is None:
        return []
    from algoperf_scoring.published import published_times

    kind, _, name = against.partition(":")
    if kind != PUBLISHED:
        raise AlgoperfError(
            f"against: {against!r} is not known; give 'published' or 'published:<benchmark>'."
        )
    return [published_times(name or benchmark.name, ruleset, benchmark=benchmark)]


def _read_tables(files: list[Path], benchmark: Benchmark) -> tuple[list[TrialTimes], list[Finding]]:
    if not files:
        return [], []
    from algoperf_scoring.time_tables import read_times

    read = [read_times(path, benchmark=benchmark) for path in files]
    return [table.trials for table in read], [f for table in read for f in table.findings]


def _distinct(
    folders: list[Path],
    files: list[Path],
    ruleset: str,
    tables: list[TrialTimes],
    field: list[TrialTimes],
) -> list[str]:
    """Returns all submissions, sorted; refuses a name that two sources have."""
    labels = [*map(str, files), *("the published field" for _ in field)]
    held = list(zip(labels, [times.submissions for times in (*tables, *field)], strict=True))
    if folders:
        held.insert(0, (", ".join(map(str, folders)), submissions_in(folders, ruleset)))
    seen: dict[str, str] = {}
    for label, names in held:
        for name in names:
            if name in seen:
                raise LogError(
                    f"{label} and {seen[name]} both have a submission {name!r}; rename one of them."
                )
            seen[name] = label
    return sorted(seen)


def _read_folders(
    folders: list[Path], benchmark: Benchmark, ruleset: str, wanted: Collection[str]
) -> Logs | None:
    names = [
        name for name in (submissions_in(folders, ruleset) if folders else ()) if name in wanted
    ]
    return read_logs(folders, benchmark, ruleset=ruleset, include=names) if names else None


def _log_findings(
    logs: Logs | None, benchmark: Benchmark, ruleset: str, *, metadata: bool
) -> Iterator[Finding]:
    if logs is None:
        return
    rules = benchmark.ruleset(ruleset)
    yield from logs.findings
    yield from log_findings(logs, benchmark, rules)
    if metadata:
        yield from metadata_findings(logs, benchmark, rules)


def _joined(
    logs: Logs | None,
    tables: Iterable[TrialTimes],
    wanted: Collection[str],
    benchmark: Benchmark,
) -> TrialTimes:
    read = [read_trial_times(logs, benchmark)] if logs is not None else []
    parts = [*read, *tables]
    if len(parts) == 1 and set(parts[0].submissions) <= set(wanted):
        return parts[0]
    return TrialTimes.from_rows(
        (
            row
            for row in chain.from_iterable(part.rows() for part in parts)
            if row.submission in wanted
        ),
        submissions=[name for part in parts for name in part.submissions if name in wanted],
        workloads=benchmark.scored,
    )
