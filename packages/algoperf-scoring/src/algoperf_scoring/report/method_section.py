"""The foot of the report: the rules, how to get the same numbers again, and the definition."""

from algoperf_scoring.analysis import Analysis
from algoperf_scoring.errors import DefinitionError
from algoperf_scoring.facts import ScoringRules
from algoperf_scoring.leaderboard import Leaderboard
from algoperf_scoring.report.formats import counted
from algoperf_scoring.report.markup import Html, code_block, element, fold, paragraph, section

_STUDY_TIMES = {
    "earliest_evaluation": "of the trial that is at the target at the earliest evaluation",
    "fastest_trial": "of its fastest trial",
}


def method_section(analysis: Analysis) -> Html:
    """Returns rules, recipe and definition."""
    from algoperf_scoring import __version__

    board = analysis.leaderboard
    rules = [element("li", rule) for rule in _rules(board)]
    return section(
        "method",
        "How this was computed",
        element("ul", *rules),
        paragraph(
            f"algoperf-scoring {__version__}. The same logs, definition and settings give this "
            "report again, byte for byte:"
        ),
        code_block(_recipe(analysis), "Recipe"),
        _definition(board),
    )


def _rules(board: Leaderboard) -> list[str]:
    scoring, ruleset = board.benchmark.scoring, board.benchmark.ruleset(board.ruleset)
    studies = counted(ruleset.studies, "study", "studies")
    trials = counted(ruleset.trials, "trial", "trials")
    return [
        "A trial's time to target is that of its first evaluation at the validation target.",
        f"A study has the time {_STUDY_TIMES[scoring.study_time]}; a workload has the median over "
        f"the studies that have measurements. The ruleset {ruleset.name} asks for {studies} of "
        f"{trials} and gives {ruleset.budget_factor:g} times the budget.",
        f"A time above {scoring.max_ratio:g} times the fastest does not count, nor does that of a "
        "base workload whose held-out variant does not, nor that of a variant whose base was "
        "missed.",
        f"A score is the mean height of the performance profile from 1 to {scoring.max_ratio:g}, "
        f"{_integration(board, scoring)}.",
    ]


def _integration(board: Leaderboard, scoring: ScoringRules) -> str:
    if board.method == "exact":
        return "integrated exactly"
    return f"by the trapezoid rule on {scoring.grid_points} points"


def _recipe(analysis: Analysis) -> str:
    board, drawn = analysis.leaderboard, analysis.bootstrap
    reference = f", reference={board.reference!r}" if board.reference else ""
    speedup = ""
    if analysis.speedups:
        speedup = f", speedup_over={analysis.speedups.reference!r}"
        speedup += f", direction={analysis.speedups.direction!r}"
    scored = "score_logs(LOGS, BENCHMARK" if board.logs else "score_times(TIMES, BENCHMARK"
    name = "score_logs" if board.logs else "score_times"
    return (
        f"from algoperf_scoring import {name}\n"
        "from algoperf_scoring.analysis import analyse\n"
        "from algoperf_scoring.report import write_report\n\n"
        f"# BENCHMARK: {board.benchmark.name}, the definition below\n"
        f"board = {scored}, {board.ruleset!r}, {board.method!r}{reference})\n"
        f"analysis = analyse(board, resamples={drawn.resamples}, seed={drawn.seed}, "
        f"confidence={analysis.confidence:g}, levels={drawn.levels!r}{speedup})\n"
        'write_report(analysis, "report.html")\n'
    )


def _definition(board: Leaderboard) -> Html:
    """Returns the definition; nothing for a benchmark made from times, which has none."""
    try:
        text = board.benchmark.to_toml()
    except DefinitionError:
        return Html("")
    return fold("The benchmark's definition (TOML)", code_block(text, "Definition"))
