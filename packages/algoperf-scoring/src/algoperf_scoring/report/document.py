"""Puts the report together: one HTML document that asks nothing of the network.

Its content security policy permits the one script and the one style sheet that it contains, by
their hashes, and no connection at all.
"""

import base64
import hashlib
import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

from algoperf_scoring.analysis import Analysis
from algoperf_scoring.files import write_text_atomic
from algoperf_scoring.report.audit_section import audit_section
from algoperf_scoring.report.chart_data import overview_data, workload_data
from algoperf_scoring.report.headline import header
from algoperf_scoring.report.markup import Html, element, joined
from algoperf_scoring.report.method_section import method_section
from algoperf_scoring.report.robustness import robustness_section
from algoperf_scoring.report.standings import leaderboard_section, profiles_section
from algoperf_scoring.report.time_facts import TimeFacts, time_facts
from algoperf_scoring.report.times_section import times_section
from algoperf_scoring.report.workload_sections import workloads_section

_PARTS = {
    "leaderboard": "Leaderboard",
    "profiles": "Profiles",
    "times": "Times",
    "robustness": "Trust",
    "workloads": "Workloads",
    "audit": "Audit",
    "method": "Method",
}
# What would end the element, open another or, in older JavaScript, end the line.
_JSON_ESCAPES = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"}


def render_report(analysis: Analysis) -> str:
    """Returns the report as one HTML document; equal analyses give equal text.

    Args:
      analysis: Of `analyse`.
    """
    style, script = _resource("report.css"), _resource("report.js")
    facts = time_facts(analysis.leaderboard)
    title = f"{analysis.leaderboard.benchmark.name} leaderboard"
    head = [
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_policy(style, script)),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        element("style", Html(style)),
    ]
    body = [
        element("a", "Skip to the leaderboard", href="#leaderboard", class_="skip"),
        _navigation(),
        element("main", header(analysis), *_sections(analysis, facts)),
        element("div", id="tip", role="status", aria_live="polite", hidden=True),
        *_data(analysis, facts),
        element("script", Html(script)),
    ]
    page = element("html", element("head", *head), element("body", joined(body, "\n")), lang="en")
    return f"<!doctype html>\n{page}\n"


def write_report(analysis: Analysis, path: Path | str) -> None:
    """Writes the report; a reader finds the old file or the new one, never a part.

    Args:
      analysis: Of `analyse`.
      path: The file, for example ``report.html``; its folder must exist.

    Raises:
      OutputError: If the file cannot be written.
    """
    write_text_atomic(path, render_report(analysis))


def data_block(name: str, data: Any) -> Html:
    """Returns data for the script, in which no text can be taken for markup."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False).translate(_JSON_ESCAPES)
    return element("script", Html(text), type="application/json", id=name)


def _sections(analysis: Analysis, facts: TimeFacts) -> Iterator[Html]:
    yield leaderboard_section(analysis)
    yield profiles_section(analysis)
    yield times_section(analysis.leaderboard, facts)
    yield robustness_section(analysis)
    yield workloads_section(analysis, facts)
    yield audit_section(analysis)
    yield method_section(analysis)


def _data(analysis: Analysis, facts: TimeFacts) -> Iterator[Html]:
    yield data_block("overview-data", overview_data(analysis.leaderboard))
    for index, name in enumerate(facts.order):
        yield data_block(f"workload-data-{index}", workload_data(analysis, name))


def _navigation() -> Html:
    links = [element("a", title, href=f"#{anchor}") for anchor, title in _PARTS.items()]
    toggle = element(
        "button", "◐", type="button", id="theme", aria_label="Switch light and dark", hidden=True
    )
    return element("nav", element("div", *links), toggle, id="contents", aria_label="Contents")


def _policy(style: str, script: str) -> str:
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src '{_hash(script)}'",
            f"style-src '{_hash(style)}'",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"


def _resource(name: str) -> str:
    return files(__package__).joinpath(name).read_text("utf-8")
