"""The top of the report: what was scored, who leads and how sure that is, and what to beware of."""

from collections.abc import Iterator

from algoperf_scoring.analysis import Analysis
from algoperf_scoring.findings import summarise
from algoperf_scoring.leaderboard import Leaderboard
from algoperf_scoring.report.formats import counted, listed, percent, score
from algoperf_scoring.report.markup import Html, element, joined, paragraph


def header(analysis: Analysis) -> Html:
    """Returns title, facts, the sentence on the lead, and warnings."""
    board = analysis.leaderboard
    summary = board.benchmark.summary
    return element(
        "header",
        element("h1", board.benchmark.name, element("span", " leaderboard", class_="light")),
        paragraph(summary) if summary else "",
        paragraph(scored(board), class_="facts"),
        paragraph(element("strong", lead(analysis)), class_="lead", id="lead"),
        joined(warnings(analysis)),
    )


def scored(board: Leaderboard) -> str:
    """Returns what was scored, and by which rules, in a sentence."""
    n_base, n_held_out = len(board.benchmark.base), len(board.benchmark.held_out)
    held_out = f" and {counted(n_held_out, 'held-out variant', 'held-out variants')}"
    trials = counted(int(board.times.trials.sum()), "trial", "trials")
    unit = f"the times of {board.reference}" if board.reference else "the fastest submission"
    return (
        f"{counted(len(board.submissions), 'submission', 'submissions')}, "
        f"{counted(n_base, 'base workload', 'base workloads')}{held_out if n_held_out else ''}, "
        f"{trials}; {board.ruleset} tuning. Times are compared with {unit}, up to "
        f"{board.benchmark.scoring.max_ratio:g} times it; {board.method} integration of profiles."
    )


def lead(analysis: Analysis) -> str:
    """Returns who leads and how sure that is."""
    board = analysis.leaderboard
    if not board.submissions:
        return "There is no submission."
    best = float(board.scores[0])
    leaders = [name for name, rank in zip(board.submissions, board.ranks, strict=True) if rank == 1]
    if best == 0.0:
        return "No submission has a score above 0."
    if len(board.submissions) == 1:
        return (
            f"{leaders[0]} is the only submission; its score of {score(best)} compares it with "
            "itself."
        )
    if len(leaders) > 1:
        return f"{listed(leaders)} share the first rank with a score of {score(best)}."
    return f"{leaders[0]} leads with a score of {score(best)}. {_certainty(analysis)}"


def warnings(analysis: Analysis) -> Iterator[Html]:
    """Yields a banner each for broken rules and for times that somebody should look at."""
    findings = analysis.leaderboard.findings
    broken = [finding for finding in findings if finding.severity == "violation"]
    if broken:
        title = f"{counted(len(broken), 'rule violation', 'rule violations')}: "
        text = "as they stand, these results do not follow the rules. "
        lines = [element("li", line) for line in summarise(broken)]
        link = element("a", "See the audit.", href="#audit")
        yield _banner("bad", element("strong", title), text, link, element("ul", *lines))
    if analysis.suspicions:
        number = len(analysis.suspicions)
        title = f"{counted(number, 'time', 'times')} to target to be reviewed"
        lines = [element("li", suspicion.message) for suspicion in analysis.suspicions]
        yield _banner("odd", element("strong", title), element("ul", *lines))


def _banner(class_: str, *children: Html | str) -> Html:
    return element("div", *children, class_=f"banner {class_}", role="note")


def _certainty(analysis: Analysis) -> str:
    board, drawn = analysis.leaderboard, analysis.bootstrap
    if not analysis.repeated:
        return "Nothing was run more than once, so that nobody can tell how sure that is."
    first = float(drawn.rank_probabilities()[0, 0])
    ahead = float(drawn.better_than()[0, 1])
    (low, high), (next_low, next_high) = drawn.score_intervals(analysis.confidence)[:2].tolist()
    overlap = low <= next_high and next_low <= high
    return (
        f"{_how_sure(first)}: it ranks first in {percent(first)} of "
        f"{counted(drawn.resamples, 'resample', 'resamples')} and is ahead of the next, "
        f"{board.submissions[1]} ({score(float(board.scores[1]))}), in {percent(ahead)}; their "
        f"{percent(analysis.confidence)} intervals {'overlap' if overlap else 'do not overlap'}."
    )


def _how_sure(probability: float) -> str:
    if probability >= 0.95:
        return "That is clear"
    return "That is likely" if probability >= 0.8 else "That is not settled"
