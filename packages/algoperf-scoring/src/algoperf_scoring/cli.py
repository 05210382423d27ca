"""The command ``algoperf-score``: logs or times in, a leaderboard out."""

import argparse
import io
import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from algoperf_scoring import __version__
from algoperf_scoring.benchmark import Benchmark
from algoperf_scoring.errors import AlgoperfError, RuleViolationError
from algoperf_scoring.facts import Method, StudyTime
from algoperf_scoring.files import write_text_atomic
from algoperf_scoring.findings import Finding, summarise
from algoperf_scoring.layout import LAYOUT
from algoperf_scoring.leaderboard import Leaderboard
from algoperf_scoring.sources import chosen_benchmark, score_logs
from algoperf_scoring.text_tables import Table, printable, to_latex, to_markdown, to_text

if TYPE_CHECKING:
    from algoperf_scoring.analysis import Analysis

EXIT_VIOLATIONS = 1
EXIT_UNUSABLE = 2
LIST_COMMAND = "benchmarks"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
      argv: Arguments without the program's name; None for those of the process.

    Returns:
      Exit status: 0; 1 if rules are broken and scoring is strict; 2 for input that cannot be used,
      with the reason on standard error.
    """
    given = sys.argv[1:] if argv is None else list(argv)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal without Unicode shows question marks for dashes, which beats an error.
        sys.stdout.reconfigure(errors="replace")
    try:
        if given[:1] == [LIST_COMMAND]:
            return _list(_list_parser().parse_args(given[1:]))
        _score(_parser().parse_args(given))
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader hung up, which is its right; the flush at exit must not complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except AlgoperfError as error:
        # Only a list of violations has several lines; a name may hold a line break, too.
        violations = isinstance(error, RuleViolationError)
        lines = str(error).split("\n") if violations else [str(error)]
        message = "\n".join(map(printable, lines))
        sys.stderr.write(f"algoperf-score: error: {message}\n")
        return EXIT_VIOLATIONS if isinstance(error, RuleViolationError) else EXIT_UNUSABLE
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="algoperf-score",
        description="Score training algorithms from their logs, or from tables of times.",
        epilog=f"Layout of logs: {LAYOUT}. A table is a CSV file with the columns submission, "
        "workload, study, trial, time, or with a row for each submission and a column for each "
        f"workload. 'algoperf-score {LIST_COMMAND}' lists what there is to score by.",
    )
    parser.add_argument(
        "sources", metavar="LOGS|CSV", nargs="+", help="folder of submissions or of one, or table"
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    _add_rules(parser.add_argument_group("what is scored, and how"))
    _add_trust(parser.add_argument_group("how far to trust it"))
    _add_outputs(parser.add_argument_group("what is written"))
    return parser


def _add_rules(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--benchmark",
        metavar="NAME|FILE",
        help="an installed benchmark or a .toml file; default: the benchmark.toml in the logs",
    )
    group.add_argument(
        "--ruleset", default="external", help="tuning ruleset: external (default), self, or own"
    )
    group.add_argument(
        "--method", choices=get_args(Method), help="how to integrate; default: the benchmark's"
    )
    group.add_argument(
        "--study-time", choices=get_args(StudyTime), help="which trial's time a study has"
    )
    group.add_argument("--max-ratio", type=float, metavar="R", help="largest ratio that counts")
    group.add_argument(
        "--reference", metavar="NAME", help="divide by this submission's times, not the fastest"
    )
    group.add_argument(
        "--against",
        metavar="published[:BENCHMARK]",
        help="score together with the published submissions",
    )
    for option, what in (("--include", "score only"), ("--exclude", "leave out")):
        group.add_argument(
            option, action="append", default=[], metavar="NAME", help=f"{what} this submission"
        )
    for option, what in (("--workload", "score only"), ("--without-workload", "leave out")):
        group.add_argument(
            option, action="append", default=[], metavar="NAME", help=f"{what} this workload"
        )


def _add_trust(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--uncertainty",
        action="store_true",
        help="bootstrap intervals, ranks, best of k trials, sensitivity to the rules",
    )
    group.add_argument("--resamples", type=int, default=10_000, help="default: 10000")
    group.add_argument("--seed", type=int, default=0, help="of the bootstrap; default: 0")
    group.add_argument("--confidence", type=float, default=0.95, help="default: 0.95")
    group.add_argument(
        "--levels",
        choices=("studies_and_trials", "studies"),
        default="studies_and_trials",
        help="what the bootstrap resamples",
    )
    group.add_argument("--speedup", metavar="NAME", help="speedups over this submission")
    group.add_argument(
        "--speedup-direction",
        choices=("rules", "published"),
        default="rules",
        help="above 1 is faster (rules, default), or below 1 (published)",
    )
    group.add_argument(
        "--absent",
        choices=("refuse", "missed"),
        default="refuse",
        help="speedups over workloads without measurements: none (default), or as if missed",
    )
    group.add_argument("--audit", action="store_true", help="every trial, verdict and finding")
    group.add_argument("--strict", action="store_true", help="fail if a rule is broken (status 1)")
    group.add_argument("--quiet-notes", action="store_true", help="do not print findings")


def _add_outputs(group: argparse._ArgumentGroup) -> None:
    for option, what in (
        ("--json", "write all results; - for standard output"),
        ("--csv", "write the time of every trial as a table"),
        ("--markdown", "write tables for a web page"),
        ("--latex", "write tables for a paper (booktabs)"),
        ("--plot", "draw performance profiles (.png, .pdf, .svg)"),
        ("--report", "write everything as one interactive web page"),
    ):
        group.add_argument(option, metavar="FILE", help=what)
    group.add_argument(
        "--figures", metavar="FOLDER", help="draw all figures, one for each workload among them"
    )
    group.add_argument(
        "--figure-format",
        action="append",
        metavar="FORMAT",
        help="of --figures: png (default), pdf, svg; may be repeated",
    )


def _list_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"algoperf-score {LIST_COMMAND}",
        description="List benchmarks and check their definitions.",
    )
    parser.add_argument(
        "names", metavar="NAME|FILE", nargs="*", help="show these in full; default: list all"
    )
    parser.add_argument("--toml", action="store_true", help="write the complete definitions")
    return parser


def _list(arguments: argparse.Namespace) -> int:
    from algoperf_scoring.benchmark import load_benchmark
    from algoperf_scoring.listing import benchmark_table, describe

    if arguments.names:
        for name in arguments.names:
            benchmark = load_benchmark(name)
            sys.stdout.write(benchmark.to_toml() if arguments.toml else describe(benchmark))
        return 0
    table, valid = benchmark_table()
    sys.stdout.write(to_text(table, _width()))
    return 0 if valid else EXIT_UNUSABLE


def _score(arguments: argparse.Namespace) -> None:
    benchmark = _benchmark(arguments)
    leaderboard = score_logs(
        arguments.sources,
        benchmark,
        arguments.ruleset,
        arguments.method,
        against=arguments.against,
        include=arguments.include,
        exclude=arguments.exclude,
        reference=arguments.reference,
        metadata=bool(arguments.audit or arguments.report),
        strict=arguments.strict,
    )
    analysis = _analysis(arguments, leaderboard)
    # Files first: a reader of standard output may hang up early.
    written = list(_written(arguments, leaderboard, analysis))
    if arguments.json == "-":
        if isinstance(sys.stdout, io.TextIOWrapper):
            # What cannot be encoded is written as JSON would escape it.
            sys.stdout.reconfigure(errors="backslashreplace")
        sys.stdout.write(_json(leaderboard, analysis))
        return
    _print(arguments, leaderboard, analysis)
    for path in written:
        sys.stdout.write(f"Wrote {path}\n")


def _benchmark(arguments: argparse.Namespace) -> Benchmark:
    benchmark = chosen_benchmark(arguments.sources, arguments.benchmark)
    if arguments.workload or arguments.without_workload:
        benchmark = benchmark.subset(include=arguments.workload, exclude=arguments.without_workload)
    changes = {
        field: getattr(arguments, field)
        for field in ("study_time", "max_ratio")
        if getattr(arguments, field) is not None
    }
    return benchmark.with_scoring(**changes) if changes else benchmark


def _analysis(arguments: argparse.Namespace, leaderboard: Leaderboard) -> "Analysis | None":
    wanted = (arguments.uncertainty, arguments.speedup, arguments.report, arguments.figures)
    if not any(wanted):
        return None
    from algoperf_scoring.analysis import analyse

    return analyse(
        leaderboard,
        resamples=arguments.resamples,
        seed=arguments.seed,
        confidence=arguments.confidence,
        levels=arguments.levels,
        speedup_over=arguments.speedup,
        direction=arguments.speedup_direction,
        absent=arguments.absent,
    )


def _written(
    arguments: argparse.Namespace, leaderboard: Leaderboard, analysis: "Analysis | None"
) -> Iterator[str | Path]:
    """Writes the files that were asked for, and yields their names."""
    if arguments.json not in (None, "-"):
        write_text_atomic(arguments.json, _json(leaderboard, analysis))
        yield arguments.json
    if arguments.csv is not None:
        from algoperf_scoring.time_tables import write_long_table

        write_long_table(leaderboard.trials, arguments.csv)
        yield arguments.csv
    for path, render in ((arguments.markdown, to_markdown), (arguments.latex, to_latex)):
        if path is not None:
            tables = _tables(arguments, leaderboard, analysis)
            write_text_atomic(path, "\n".join(map(render, tables)))
            yield path
    if arguments.plot is not None:
        from algoperf_scoring.plots import plot_performance_profiles

        plot_performance_profiles(leaderboard, arguments.plot)
        yield arguments.plot
    if analysis is not None:
        yield from _analysis_written(arguments, analysis)


def _analysis_written(arguments: argparse.Namespace, analysis: "Analysis") -> Iterator[str | Path]:
    if arguments.figures is not None:
        from algoperf_scoring.plots import save_figures

        if sys.stderr.isatty():
            sys.stderr.write("Drawing all figures takes about half a second each.\n")
        formats = tuple(arguments.figure_format or ("png",))
        yield from save_figures(analysis, arguments.figures, formats=formats)
    if arguments.report is not None:
        from algoperf_scoring.report import write_report

        write_report(analysis, arguments.report)
        yield arguments.report


def _json(leaderboard: Leaderboard, analysis: "Analysis | None") -> str:
    results = analysis.to_dict() if analysis is not None else leaderboard.to_dict()
    return json.dumps(results, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def _tables(
    arguments: argparse.Namespace,
    leaderboard: Leaderboard,
    analysis: "Analysis | None",
    width: int | None = None,
) -> Iterator[Table]:
    from algoperf_scoring.tables import audit_table, leaderboard_tables

    yield from leaderboard_tables(leaderboard, analysis, width=width)
    if arguments.audit:
        yield audit_table(leaderboard)


def _print(
    arguments: argparse.Namespace, leaderboard: Leaderboard, analysis: "Analysis | None"
) -> None:
    from algoperf_scoring.tables import heading

    width = _width()
    sys.stdout.write(f"{heading(leaderboard)}\n")
    for table in _tables(arguments, leaderboard, analysis, width):
        sys.stdout.write(f"{to_text(table, width)}\n")
    findings = analysis.findings if analysis is not None else leaderboard.findings
    if findings and not arguments.quiet_notes:
        sys.stdout.write(_told(findings, in_full=arguments.audit))


def _told(findings: Sequence[Finding], *, in_full: bool) -> str:
    if in_full:
        title = "Findings"
        lines = [f"{finding.severity}: {finding.message}" for finding in findings]
    else:
        title, lines = "Findings (all of them with --audit)", list(summarise(findings))
    return "\n".join([f"{title}:", *(f"  {printable(line)}" for line in lines)]) + "\n"


def _width() -> int:
    return shutil.get_terminal_size((100, 24)).columns
