"""What was left out, looked odd or broke a rule, and what became of every workload's trials."""

from algoperf_scoring.analysis import Analysis
from algoperf_scoring.audit import AuditRow
from algoperf_scoring.findings import KINDS, Finding, summarise
from algoperf_scoring.leaderboard import Leaderboard
from algoperf_scoring.report.formats import counted
from algoperf_scoring.report.markup import (
    Html,
    breakable,
    cell,
    element,
    fold,
    head_cell,
    paragraph,
    section,
    table,
)


def audit_section(analysis: Analysis) -> Html:
    """Returns the summary of findings, the audit by submission and workload, and all findings."""
    findings = analysis.findings
    lines = [element("li", line) for line in summarise(findings)]
    summary = element("ul", *lines) if lines else paragraph("Nothing irregular was found.")
    return section(
        "audit", "Audit", summary, _audit_fold(analysis.leaderboard), _findings_fold(findings)
    )


def _audit_fold(board: Leaderboard) -> Html:
    names = ("submission", "workload", "studies", "trials", "at target", "findings", "verdict")
    number = ("studies", "trials", "at target")
    head = [head_cell(name, class_="number" if name in number else None) for name in names]
    rows = [_audit_cells(row) for row in board.audit]
    return fold(
        "Studies, trials and verdicts by submission and workload",
        table("What became of the trials of every submission and workload", head, rows),
    )


def _audit_cells(row: AuditRow) -> list[Html]:
    kinds = "; ".join(
        counted(number, KINDS[kind].one, KINDS[kind].many) for kind, number in row.findings.items()
    )
    odd_studies = "warn" if row.studies != row.studies_expected else ""
    odd_trials = "warn" if row.trials != row.trials_expected else ""
    return [
        head_cell(breakable(row.submission), row=True),
        cell(breakable(row.workload)),
        cell(f"{row.studies} of {row.studies_expected}", class_=f"number nowrap {odd_studies}"),
        cell(f"{row.trials} of {row.trials_expected}", class_=f"number nowrap {odd_trials}"),
        cell(row.trials_reached, class_="number"),
        cell(kinds),
        cell(row.verdict),
    ]


def _findings_fold(findings: tuple[Finding, ...]) -> Html:
    if not findings:
        return Html("")
    head = [head_cell(name) for name in ("severity", "what", "submission", "where", "detail")]
    rows = [_finding_cells(finding) for finding in findings]
    return fold(
        f"All {counted(len(findings), 'finding', 'findings')}",
        _filters(findings),
        table("All findings", head, rows, "findings"),
        id="findings",
    )


def _finding_cells(finding: Finding) -> list[Html]:
    return [
        cell(finding.severity),
        cell(KINDS[finding.kind].one),
        cell(finding.submission),
        cell(finding.place),
        cell(finding.detail),
    ]


def _filters(findings: tuple[Finding, ...]) -> Html:
    """Returns controls that the script shows and serves."""
    kinds = dict.fromkeys(KINDS[finding.kind].one for finding in findings)
    submissions = dict.fromkeys(finding.submission for finding in findings)
    return element(
        "div",
        _chooser("what", "Kind", kinds),
        _chooser("submission", "Submission", submissions),
        element("label", "Text ", element("input", type="search", data_filter="text")),
        element("output", counted(len(findings), "finding", "findings"), aria_live="polite"),
        class_="filters",
        hidden=True,
    )


def _chooser(column: str, label: str, names: dict[str, None]) -> Html:
    options = [element("option", "all", value=""), *(element("option", name) for name in names)]
    return element("label", f"{label} ", element("select", *options, data_filter=column))
