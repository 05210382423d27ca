import base64
import dataclasses
import hashlib
import html
import json
import math
import re
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from algoperf_scoring import (
    Benchmark,
    OutputError,
    TrialTime,
    TrialTimes,
    performance_profile,
    score_logs,
    score_times,
)
from algoperf_scoring.analysis import analyse
from algoperf_scoring.findings import KINDS
from algoperf_scoring.plausibility import Suspicion
from algoperf_scoring.report import render_report, write_report
from algoperf_scoring.report.chart_data import (
    best_of_study,
    budget_s,
    hyperparameter_numbers,
    thinned,
    workload_data,
)
from algoperf_scoring.report.document import data_block
from algoperf_scoring.report.formats import (
    counted,
    listed,
    percent,
    plain,
    score,
    seconds,
    seconds_between,
    tenths,
    times_fastest,
)
from algoperf_scoring.report.headline import lead
from algoperf_scoring.report.markup import breakable, code_block, element, escaped, joined, table
from algoperf_scoring.report.routes import workload_anchor, workload_route
from algoperf_scoring.report.time_facts import time_facts, workload_order

HOSTILE = ("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "</script>")
SEPARATORS = "a\u2028b\u2029c"


class Page(HTMLParser):
    """What a browser would see: elements, their text and the scripts' content."""

    VOID = frozenset({"br", "col", "input", "meta", "wbr"})

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.elements, self.texts, self.scripts = [], [], [], []
        self.problems = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append([dict(attrs), ""])
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.problems.append(tag)

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts[-1][1] += data
        elif self.open and self.open[-1] != "style":
            self.texts.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    def data(self, name):
        (text,) = [text for attributes, text in self.scripts if attributes.get("id") == name]
        return json.loads(text)

    @property
    def text(self):
        return "".join(self.texts)


def times_of(rows):
    return TrialTimes.from_rows(
        TrialTime(name, workload, "study_0", 1, value)
        for name, times in rows.items()
        for workload, value in times.items()
    )


def analysed(trials, benchmark, **options):
    return analyse(score_times(trials, benchmark), resamples=200, **options)


@pytest.fixture
def logged(tree, benchmark_held_out):
    for number, seconds_used in enumerate((20, 30, 90)):
        name = f"sub_{number}"
        for study in ("study_0", "study_1"):
            for trial in (1, 2):
                last = seconds_used + 3 * trial
                rows = [(0, 0.1), (last - 5, 0.5), (last, 0.95), (last + 5, 0.96)]
                where = f"{name}/{study}/{{}}_jax/trial_{trial}"
                path = tree.trial(where.format("digits"), rows)
                path.with_name("hparams.json").write_text('{"learning_rate": 0.125, "kind": "x"}')
                tree.trial(where.format("digits_noisy"), rows)
                if number < 2:
                    tree.trial(where.format("wine"), [(5, 0.9), (seconds_used, 0.4)])
    return analyse(score_logs(tree.root, benchmark_held_out), resamples=200, speedup_over="sub_1")


@pytest.fixture
def hostile(benchmark_small):
    rows = {name: {"digits": 10.0 + 9 * k, "wine": 7.0} for k, name in enumerate(HOSTILE)}
    return analysed(times_of(rows), benchmark_small)


def test_every_element_is_closed_and_every_id_is_there_once(logged):
    page = Page(render_report(logged))
    assert page.problems == []
    assert page.open == []
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_every_link_leads_to_a_place_in_the_page(logged):
    page = Page(render_report(logged))
    ids = {attributes.get("id") for _, attributes in page.elements}
    for link in page.all("a"):
        assert link["href"].startswith("#")
        assert link["href"][1:] in ids


def test_headings_are_in_order_and_cells_of_headings_have_a_scope(logged):
    page = Page(render_report(logged))
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later <= earlier + 1 for earlier, later in pairwise(levels))
    assert all(attributes.get("scope") in ("row", "col") for attributes in page.all("th"))


def test_the_page_names_no_place_outside_itself(logged):
    text = render_report(logged)
    page = Page(text)
    assert not [a for _, a in page.elements if "src" in a or "srcset" in a or "action" in a]
    assert not page.all("link") + page.all("iframe") + page.all("img")
    addresses = set(re.findall(r"https?://[^\s\"'<>]+", text))
    assert addresses == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"@import|url\((?!#)", text)


def test_the_policy_permits_the_script_and_the_style_by_their_hashes_alone(logged):
    text = render_report(logged)
    page = Page(text)
    (policy,) = [m["content"] for m in page.all("meta") if "http-equiv" in m]
    script = re.findall(r"<script>(.*?)</script>", text, re.S)
    style = re.findall(r"<style>(.*?)</style>", text, re.S)
    for kind, found in (("script", script), ("style", style)):
        (content,) = found
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not [a for _, a in page.elements if "style" in a or any(k.startswith("on") for k in a)]


def test_the_script_makes_no_markup_from_text(logged):
    script = Page(render_report(logged)).scripts[-1][1]
    banned = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|Function\(|fetch\(|XMLHttp"
    )
    assert not re.search(banned, script)


def test_equal_analyses_give_equal_bytes(tree, benchmark_small):
    for name in ("b", "a"):
        tree.trial(f"{name}/study_0/digits_jax/trial_1", [(5, 0.1), (9, 0.95)])
    texts = {
        render_report(analyse(score_logs(tree.root, benchmark_small), resamples=50, seed=3))
        for _ in range(2)
    }
    assert len(texts) == 1


def test_the_report_replaces_the_file(logged, tmp_path):
    path = tmp_path / "report.html"
    path.write_text("old")
    write_report(logged, path)
    assert path.read_text("utf-8") == render_report(logged)
    assert [each.name for each in tmp_path.glob("*report*")] == ["report.html"]


def test_a_missing_folder_is_named(logged, tmp_path):
    with pytest.raises(OutputError, match="nowhere"):
        write_report(logged, tmp_path / "nowhere" / "report.html")


def test_hostile_names_are_text(hostile):
    text = render_report(hostile)
    page = Page(text)
    assert page.problems == []
    assert not page.all("img")
    assert [a for a in page.all("script") if not a] == [{}]
    for name in HOSTILE:
        assert name in page.text
        assert name in page.data("overview-data")["submissions"]


def test_hostile_workload_names_are_text_and_addresses():
    definition = """
        name = "<b>&"
        base = ["a b</script>"]
        [rulesets.external]
        search_space = true
        studies = 1
        trials = 1
        budget_factor = 1.0
        [workloads."a b</script>"]
        metric = "loss"
        validation_target = 0.5
    """
    benchmark = Benchmark.from_toml(definition)
    trials = times_of({"x": {"a b</script>": 3.0}})
    page = Page(render_report(analysed(trials, benchmark)))
    assert page.problems == []
    assert {"href": "#workload=a%20b%3C%2Fscript%3E"} in page.all("a")


def test_control_characters_are_spelled_out(benchmark_small):
    times = {"digits": 5.0, "wine": 6.0}
    rows = {"a\x1b[31mb": times, "c\u202ed\ne": times}
    text = render_report(analysed(times_of(rows), benchmark_small))
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert r"a\x1b[31mb" in text
    assert r"c\u202ed\ne" in text


@given(st.text(), st.text())
def test_any_text_comes_back_from_markup(content, value):
    page = Page(element("p", content, title=value))
    assert page.text == html.unescape(escaped(content))
    assert page.elements == [("p", {"title": html.unescape(escaped(value))})]


@given(
    st.recursive(st.none() | st.booleans() | st.text(), st.lists)
    | st.floats(allow_nan=False, allow_infinity=False)
)
def test_any_data_comes_back_from_its_block(data):
    block = data_block("x", data)
    page = Page(block)
    assert page.problems == []
    assert page.data("x") == data


def test_data_holds_no_sign_that_ends_an_element_or_a_line():
    block = data_block("x", [*HOSTILE, "<!--", "]]>", SEPARATORS])
    inside = block.removeprefix('<script type="application/json" id="x">').removesuffix("</script>")
    assert not set(inside) & set("<>&\u2028\u2029")


def test_data_without_a_number_for_json_is_an_error():
    with pytest.raises(ValueError, match="JSON"):
        data_block("x", math.nan)


def test_the_leaderboard_stands_in_the_page_as_it_is(logged):
    board, page = logged.leaderboard, Page(render_report(logged))
    places = [page.text.index(f"{name}{score(own)}") for name, own in _standings(board)]
    assert places == sorted(places)
    low, high = logged.bootstrap.score_intervals(0.95)[0]
    assert f"{low:.4f} to {high:.4f}" in page.text
    assert "95 % interval" in page.text
    assert "200 resamples with seed 0" in page.text
    assert "relative to this group" in page.text


def _standings(board):
    return zip(board.submissions, board.scores.tolist(), strict=True)


def test_the_profile_table_is_the_profile(logged):
    board, page = logged.leaderboard, Page(render_report(logged))
    row = performance_profile(board.ratios, [1.0, 1.1, 1.25, 1.5, 2.0, 3.0, 4.0])[1]
    assert board.submissions[1] + "".join(map(tenths, row.tolist())) in page.text
    data = page.data("overview-data")
    assert data["scores"] == board.scores.tolist()
    assert [len(ratios) for ratios in data["ratios"]] == np.isfinite(board.ratios).sum(1).tolist()


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ({"a": {"digits": 5.0}}, "a is the only submission"),
        ({"a": {"digits": 5.0}, "b": {"digits": 5.0}}, "a and b share the first rank"),
        ({"a": {"digits": math.inf}, "b": {}}, "No submission has a score above 0."),
        ({"a": {"digits": 5.0}, "b": {"digits": 9.0}}, "a leads with a score of 0.5"),
    ],
)
def test_the_lead_is_told_in_a_sentence(benchmark_small, rows, expected):
    trials = TrialTimes.from_rows(times_of(rows).rows(), submissions=list(rows))
    trials = TrialTimes.from_rows(
        trials.rows(), submissions=list(rows), workloads=["digits", "wine"]
    )
    assert lead(analysed(trials, benchmark_small)).startswith(expected)


def test_a_lead_that_every_resample_confirms_is_clear(logged):
    text = lead(logged)
    assert "That is clear: it ranks first in 100 % of 200 resamples" in text
    assert "95 % intervals do not overlap" in text


def test_violations_and_suspicions_are_announced_at_the_top(logged):
    suspicion = Suspicion("sub_0", "wine", 5.0, 20.0, 2.0)
    page = Page(render_report(dataclasses.replace(logged, suspicions=(suspicion,))))
    top = page.text[: page.text.index("Intervals and probabilities")]
    assert "rule violations" in top
    assert suspicion.message in top


def test_without_violations_there_is_no_warning(tree, benchmark_small):
    for workload in ("digits", "wine"):
        rows = [(1, 0.4 if workload == "wine" else 0.95)]
        tree.trial(f"a/study_0/{workload}_jax/trial_1", rows)
    page = Page(render_report(analyse(score_logs(tree.root, benchmark_small), resamples=20)))
    assert not [a for a in page.all("div") if "banner" in a.get("class", "")]


def test_times_that_do_not_count_say_why_and_where(logged):
    facts = time_facts(logged.leaderboard)
    row = logged.leaderboard.submissions.index("sub_2")
    assert [mark.sign for mark in facts.marks["wine"][row]] == ["none"]
    assert [mark.sign for mark in facts.marks["digits"][row]] == ["*"]
    assert "more than 4" in facts.marks["digits"][row][0].reason
    text = render_report(logged)
    why = [a["data-why"] for a in Page(text).all("button") if "data-why" in a]
    assert any(each.startswith("sub_2, digits: not counted: ") for each in why)
    assert "signs in words" in text


def test_ratios_of_a_variant_are_over_those_that_reached_its_base(benchmark_held_out):
    rows = {
        "base_missed": {"digits": math.inf, "digits_noisy": 1.0, "wine": 5.0},
        "both": {"digits": 10.0, "digits_noisy": 10.0, "wine": 5.0},
    }
    board = score_times(times_of(rows), benchmark_held_out)
    facts = time_facts(board)
    row = board.submissions.index("base_missed")
    assert facts.ratios["digits_noisy"][row] == pytest.approx(0.1)
    assert facts.marks["digits_noisy"][row][0].reason == "not counted: digits was missed"


def test_ratios_of_counted_times_are_those_of_the_leaderboard(logged):
    board, facts = logged.leaderboard, time_facts(logged.leaderboard)
    for column, name in enumerate(board.benchmark.base):
        scored = board.ratios[:, column]
        known = np.isfinite(scored)
        assert facts.ratios[name][known].tolist() == scored[known].tolist()


def test_variants_follow_their_base(logged):
    assert workload_order(logged.leaderboard) == ("digits", "digits_noisy", "wine")


def test_ties_are_marked_with_the_others(benchmark_small):
    rows = [
        TrialTime("a", "digits", "study_0", 1, 50.0, 40.0, 3),
        TrialTime("b", "digits", "study_0", 1, 55.0, 45.0, 3),
    ]
    trials = TrialTimes.from_rows(rows, workloads=["digits", "wine"])
    facts = time_facts(score_times(trials, benchmark_small))
    (mark,) = facts.marks["digits"][0]
    assert mark.sign == "≈"
    assert "told apart from b" in mark.reason


def test_every_workload_has_a_section_with_its_facts_and_range(logged):
    page = Page(render_report(logged))
    ids = [a["id"] for a in page.all("section") if a.get("class") == "workload"]
    assert ids == ["workload=digits", "workload=digits_noisy", "workload=wine"]
    assert "≥ 0.9" in page.text
    assert "accuracy, to maximize" in page.text
    assert "18.0 to 23.0" in page.text


def test_curves_hold_every_trial_and_what_emphasises_it(logged):
    data = workload_data(logged, "digits")
    assert len(data["trials"]) == 12
    assert data["target"] == 0.9
    assert data["budget"] == 100
    row, study, number, best, reached, times, values, numbers = data["trials"][0]
    assert (row, study, number, best) == (0, "study_0", 1, 1)
    assert reached == 23
    assert times == [0, 18, 23, 28]
    assert values == [0.1, 0.5, 0.95, 0.96]
    assert data["hyperparameters"][row] == ["learning_rate"]
    assert numbers == [0.125]
    assert sum(trial[3] for trial in data["trials"]) == 6


def test_missing_values_break_a_curve(tree, benchmark_small):
    tree.trial("a/study_0/digits_jax/trial_1", [(1, 0.1), (2, "nan"), (3, 0.3)])
    analysis = analyse(score_logs(tree.root, benchmark_small), resamples=20)
    (trial,) = workload_data(analysis, "digits")["trials"]
    assert trial[4] is None
    assert trial[6] == [0.1, None, 0.3]


def test_the_best_trial_of_a_study_that_missed_came_closest(tree, benchmark_small):
    for number, value in ((1, 0.3), (2, 0.7), (3, 0.5)):
        tree.trial(f"a/study_0/digits_jax/trial_{number}", [(1, value), (2, 0.1)])
    board = score_logs(tree.root, benchmark_small)
    trials = board.logs.studies("a", "digits")["study_0"]
    assert best_of_study(board, "digits", 0, trials).number == 2


def test_unreadable_hyperparameters_are_not_mistaken_for_none(tree, benchmark_small):
    path = tree.trial("a/study_0/digits_jax/trial_1", [(1, 0.95)])
    path.with_name("hparams.json").write_text("[1")
    board = score_logs(tree.root, benchmark_small)
    (trial,) = board.logs.studies("a", "digits")["study_0"]
    assert hyperparameter_numbers(trial) is None
    analysis = analyse(board, resamples=20)
    assert workload_data(analysis, "digits")["trials"][0][7] is None
    path.unlink()
    path.with_name("hparams.json").unlink()
    assert hyperparameter_numbers(trial) == {}


@given(st.integers(0, 400), st.integers(0, 399), st.integers(3, 60))
def test_a_thinned_curve_keeps_its_ends_and_the_target(length, keep, limit):
    keep = keep if keep < length else None
    points = thinned(length, keep, limit)
    assert points == sorted(set(points))
    assert len(points) == min(length, limit) or length > limit >= len(points)
    if length:
        assert points[0] == 0
        assert points[-1] == length - 1
    if keep is not None:
        assert keep in points


def test_a_budget_that_is_unknown_is_infinite(logged):
    assert budget_s(logged.leaderboard, "digits") == 100.0
    assert budget_s(logged.leaderboard, "wine") == math.inf


def test_times_from_tables_have_no_curves_but_say_so(hostile):
    page = Page(render_report(hostile))
    assert "without the logs of their trials" in page.text
    assert {a.get("data-chart") for a in page.all("div")} == {None, "profile-chart"}


def test_changed_ranks_are_shown_for_every_scenario(logged):
    page = Page(render_report(logged))
    for scenario in logged.sensitivity.scenarios:
        assert scenario.name in page.text
    assert page.text.count("Speedups over sub_1") == 1


def test_without_speedups_there_is_no_table_of_them(hostile):
    assert "Speedups over" not in Page(render_report(hostile)).text


def test_all_findings_are_there_with_filters(logged):
    page = Page(render_report(logged))
    assert logged.findings
    for finding in logged.findings:
        assert f"{finding.severity}{KINDS[finding.kind].one}{finding.submission}" in page.text
    filters = [a["data-filter"] for _, a in page.elements if "data-filter" in a]
    assert filters == ["what", "submission", "text"]


def test_the_definition_and_the_recipe_close_the_report(logged):
    text = Page(render_report(logged)).text
    definition = logged.leaderboard.benchmark.to_toml()
    assert definition.strip() in text
    assert "resamples=200, seed=0, confidence=0.95" in text
    assert "speedup_over='sub_1'" in text


def test_a_benchmark_without_targets_has_no_definition(benchmark_small):
    unknown = {
        name: dataclasses.replace(workload, validation_target=math.nan)
        for name, workload in benchmark_small.workloads.items()
    }
    benchmark = dataclasses.replace(benchmark_small, workloads=unknown)
    text = Page(
        render_report(analysed(times_of({"a": {"digits": 3.0, "wine": 4.0}}), benchmark))
    ).text
    assert "definition (TOML)" not in text
    assert "targetunknown" in text


def test_a_reference_is_named_where_ratios_are_told(benchmark_small):
    rows = {"a": {"digits": 5.0, "wine": 4.0}, "b": {"digits": 9.0, "wine": 4.0}}
    board = score_times(times_of(rows), benchmark_small, reference="b")
    text = Page(render_report(analyse(board, resamples=20))).text
    assert "compared with the times of b" in text
    assert "reference='b'" in text


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (seconds(70197.4), "70,197"),
        (seconds(math.inf), "—"),
        (seconds(math.nan), ""),
        (seconds_between(200.0, 240.0), "200 to 240"),
        (seconds_between(200.0, 200.0), "200"),
        (seconds_between(200.0, math.inf), "200 to missed"),
        (seconds_between(math.inf, math.inf), "missed"),
        (seconds_between(math.nan, math.nan), ""),
        (percent(0.0), "0 %"),
        (percent(0.004), "<1 %"),
        (percent(0.996), ">99 %"),
        (percent(1.0), "100 %"),
        (tenths(0.625), "62.5 %"),
        (tenths(0.75), "75 %"),
        (times_fastest(1.519), "1.52\N{MULTIPLICATION SIGN}"),
        (plain(123456.7), 123460),
        (plain(0.123456789), 0.12346),
        (plain(0.123735, 9), 0.123735),
        (plain(-math.inf), None),
        (counted(1, "study", "studies"), "1 study"),
        (counted(1200, "study", "studies"), "1,200 studies"),
        (listed(["a"]), "a"),
        (listed(["a", "b", "c"]), "a, b and c"),
    ],
)
def test_numbers_are_written_for_readers(written, expected):
    assert written == expected


def test_markup_joins_escapes_and_breaks():
    assert joined(["<", element("br")]) == "&lt;<br>"
    assert element("a", "x", href="#", hidden=True, title=None) == '<a href="#" hidden>x</a>'
    assert breakable("a_b-c") == "a_<wbr>b-<wbr>c"
    assert code_block("a\n<b>", "Code").count("\n") == 1
    assert "a\n&lt;b&gt;" in code_block("a\n<b>", "Code")
    assert 'tabindex="0" role="region" aria-label="Numbers"' in table("Numbers", [], [])


@pytest.mark.parametrize("name", ["ogbg", "a b", "a/b?#%", "ü", "\udcff"])
def test_a_route_is_the_anchor_and_holds_no_sign_of_an_address(name):
    route = workload_route(name)
    assert route == f"#{workload_anchor(name)}"
    assert re.fullmatch(r"#workload=[\w.~%-]+", route)


def test_the_published_field_stays_small(published_logs):
    board = score_logs(published_logs("algoperf-v0.5"), "algoperf-v0.5")
    text = render_report(analyse(board, resamples=100))
    assert len(text.encode()) < 3_000_000
    page = Page(text)
    assert page.problems == []
    assert "shampoo_submission leads with a score of 0.7784" in page.text
