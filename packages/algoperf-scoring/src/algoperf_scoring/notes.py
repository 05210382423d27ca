"""Notes: what was left out or looked odd while reading logs.

A note is a string ``"<kind>: <detail>"``, so that many of them can be told in a few lines.
"""

from collections.abc import Iterable

NO_CSV = "trial without eval_measurements.csv"
NO_ROWS = "trial whose eval_measurements.csv has no complete header"
CUT_ROW = "incomplete last row left out"
UNTERMINATED = "last row without a line break kept"
STRAY_TRIAL = "trial folder outside a workload folder ignored"
NO_TRIALS = "folder without trials ignored"
NOT_SCORED = "workload ignored because the benchmark does not score it"
NO_MEASUREMENTS = "scored workload without measurements"
STUDY_COUNT = "unexpected number of studies"
TRIAL_COUNT = "unexpected number of trials in a study"
TIME_STAMPED = "time-stamped folder counted to its submission"

_PLURALS = {
    NO_CSV: "trials without eval_measurements.csv",
    NO_ROWS: "trials whose eval_measurements.csv has no complete header",
    CUT_ROW: "incomplete last rows left out",
    UNTERMINATED: "last rows without a line break kept",
    STRAY_TRIAL: "trial folders outside a workload folder ignored",
    NO_TRIALS: "folders without trials ignored",
    NOT_SCORED: "workloads ignored because the benchmark does not score them",
    NO_MEASUREMENTS: "scored workloads without measurements",
    STUDY_COUNT: "workloads with an unexpected number of studies",
    TRIAL_COUNT: "studies with an unexpected number of trials",
    TIME_STAMPED: "time-stamped folders counted to their submissions",
}


def note(kind: str, detail: str) -> str:
    """Returns a note of one of the kinds above."""
    return f"{kind}: {detail}"


def summarise_notes(notes: Iterable[str]) -> tuple[str, ...]:
    """Returns one line per kind of note, with its count, in order of first appearance.

    A kind that occurs once keeps its detail: ``"incomplete last row left out: a/b.csv"``.
    """
    by_kind: dict[str, list[str]] = {}
    for text in notes:
        by_kind.setdefault(text.partition(": ")[0], []).append(text)
    return tuple(_summary(kind, texts) for kind, texts in by_kind.items())


def _summary(kind: str, texts: list[str]) -> str:
    if len(texts) == 1:
        return texts[0]
    return f"{len(texts)} {_PLURALS.get(kind, f'times: {kind}')}"
