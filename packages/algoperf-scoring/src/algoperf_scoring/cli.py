"""The command ``algoperf-score``: a log tree in, a leaderboard out."""

import argparse
import io
import json
import sys
from collections.abc import Sequence
from typing import get_args

from algoperf_scoring import __version__
from algoperf_scoring.errors import AlgoperfError
from algoperf_scoring.facts import Method
from algoperf_scoring.files import write_text_atomic
from algoperf_scoring.layout import LAYOUT
from algoperf_scoring.leaderboard import Leaderboard, score_logs
from algoperf_scoring.notes import summarise_notes


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
      argv: Arguments without the program's name; None for those of the process.

    Returns:
      Exit status: 0, or 2 for input that cannot be used, with the reason on standard error.
    """
    arguments = _parser().parse_args(argv)
    try:
        _run(arguments)
    except AlgoperfError as error:
        sys.stderr.write(f"algoperf-score: error: {error}\n")
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="algoperf-score",
        description="Score training algorithms from their logs.",
        epilog=f"Layout of the logs: {LAYOUT}",
    )
    parser.add_argument("logs", metavar="LOGS", help="folder of submissions, or of one submission")
    parser.add_argument(
        "--benchmark",
        metavar="NAME|FILE",
        help="an installed benchmark or a .toml file; default: the benchmark.toml in the logs",
    )
    parser.add_argument(
        "--ruleset", default="external", help="tuning ruleset: external (default) or self"
    )
    parser.add_argument(
        "--method", choices=get_args(Method), help="how to integrate; default: the benchmark's"
    )
    for option, effect in (("--include", "score only"), ("--exclude", "leave out")):
        parser.add_argument(
            option, action="append", default=[], metavar="NAME", help=f"{effect} this submission"
        )
    parser.add_argument("--json", metavar="FILE", help="write all results; - for standard output")
    parser.add_argument("--plot", metavar="FILE", help="draw performance profiles (.png, .pdf, …)")
    parser.add_argument("--quiet-notes", action="store_true", help="do not print notes")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    return parser


def _run(arguments: argparse.Namespace) -> None:
    leaderboard = score_logs(
        arguments.logs,
        arguments.benchmark,
        arguments.ruleset,
        arguments.method,
        include=arguments.include,
        exclude=arguments.exclude,
    )
    # Files first: a reader of standard output may hang up early.
    if arguments.json not in (None, "-"):
        write_text_atomic(arguments.json, _json(leaderboard))
    if arguments.plot is not None:
        from algoperf_scoring.plots import plot_performance_profiles

        plot_performance_profiles(leaderboard, arguments.plot)
    if arguments.json == "-":
        sys.stdout.write(_json(leaderboard))
    else:
        _print(leaderboard, with_notes=not arguments.quiet_notes)
        for path in filter(None, (arguments.json, arguments.plot)):
            sys.stdout.write(f"Wrote {path}\n")


def _json(leaderboard: Leaderboard) -> str:
    return json.dumps(leaderboard.to_dict(), indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def _print(leaderboard: Leaderboard, *, with_notes: bool) -> None:
    from algoperf_scoring.tables import print_leaderboard

    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal without Unicode shows question marks for dashes, which beats an error.
        sys.stdout.reconfigure(errors="replace")
    print_leaderboard(leaderboard)
    if with_notes and leaderboard.notes:
        lines = "\n".join(f"  {line}" for line in summarise_notes(leaderboard.notes))
        sys.stdout.write(f"Notes (all of them with --json):\n{lines}\n")
