"""The report in a real browser, without a network; skipped where there is none."""

import math
import os
import re
import shutil

import numpy as np
import pytest

from algoperf_scoring import TrialTime, TrialTimes, score_logs, score_times
from algoperf_scoring.analysis import analyse
from algoperf_scoring.report import write_report

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
HOSTILE = ("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "</script>")
PHONE = {"width": 360, "height": 740}
DESKTOP = {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def browser():
    """Starts an installed browser; nothing is downloaded."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = [path for path in map(shutil.which, BROWSERS) if path]
    if not found:
        # Where a browser is promised, a skipped test would pass unseen.
        give_up = pytest.fail if "ALGOPERF_TEST_BROWSER" in os.environ else pytest.skip
        give_up(f"none of the browsers {', '.join(BROWSERS)} is installed")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found[0], args=list(FLAGS))
        yield started
        started.close()


class Visit:
    """A report opened from disk; collects whatever a clean page does not do."""

    def __init__(self, browser, path, hash_="", **options):
        self.context = browser.new_context(offline=True, **{"viewport": DESKTOP, **options})
        self.page, self.troubles, self.requests = self.context.new_page(), [], []
        self.page.on("console", lambda message: self._console(message))
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.troubles.append("dialog"), dialog.dismiss()))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.url = path.as_uri()
        self.page.goto(self.url + hash_)

    def _console(self, message):
        if message.type in ("error", "warning"):
            self.troubles.append(message.text)

    def run(self, script, argument=None):
        return self.page.evaluate(script, argument)

    def widths(self):
        return self.run("[document.documentElement.scrollWidth, innerWidth]")


@pytest.fixture
def visit(browser):
    visits = []

    def opened(path, hash_="", **options):
        visits.append(Visit(browser, path, hash_, **options))
        return visits[-1]

    yield opened
    for each in visits:
        assert each.troubles == []
        assert set(each.requests) == {each.url}
        each.context.close()


def _log(tree, submissions):
    for number, name in enumerate(submissions):
        for study in ("study_0", "study_1"):
            for trial in (1, 2):
                last = 20 + 7 * number + 3 * trial
                rows = [(0, 0.1), (last - 4, 0.5), (last, 0.95 if trial == 1 else 0.8)]
                path = tree.trial(f"{name}/{study}/digits_jax/trial_{trial}", rows)
                rate = 0.001 * 4**trial
                text = f'{{"learning_rate": {rate}, "batch": {32 * trial + number}}}'
                path.with_name("hparams.json").write_text(text)
                if number != 2:
                    tree.trial(
                        f"{name}/{study}/wine_jax/trial_{trial}", [(9, 0.9), (30 - number, 0.4)]
                    )


@pytest.fixture
def analysis(tree, benchmark_small):
    _log(tree, [f"submission_{number}" for number in range(4)])
    return analyse(
        score_logs(tree.root, benchmark_small), resamples=100, speedup_over="submission_1"
    )


@pytest.fixture
def report(analysis, tmp_path):
    path = tmp_path / "report.html"
    write_report(analysis, path)
    return path


@pytest.fixture
def hostile_report(benchmark_small, tmp_path):
    rows = [
        TrialTime(name, workload, "study_0", 1, 10.0 + 9 * number)
        for number, name in enumerate(HOSTILE)
        for workload in ("digits", "wine")
    ]
    board = score_times(TrialTimes.from_rows(rows), benchmark_small)
    path = tmp_path / "hostile.html"
    write_report(analyse(board, resamples=50), path)
    return path


def test_charts_are_drawn_without_errors_or_requests(visit, report):
    page = visit(report).page
    assert page.locator("#profiles svg path.line").count() >= 4
    for kind in ("curves", "tuning", "scatter"):
        assert page.locator(f"[id='workload=digits'] [data-chart={kind}] .canvas svg").is_visible()


@pytest.mark.parametrize("width", [320, 360, 768])
def test_the_page_never_scrolls_sideways(visit, report, width):
    seen = visit(report, viewport={"width": width, "height": 700})
    assert seen.widths() == [width, width]
    for details in seen.page.locator("summary").all():
        details.click()
    seen.run("location.hash = 'workload=wine'")
    assert seen.widths() == [width, width]


def test_wide_tables_scroll_in_their_own_box(visit, report):
    seen = visit(report, viewport=PHONE)
    box = seen.page.locator("#leaderboard .scroll")
    assert box.evaluate("box => box.scrollWidth > box.clientWidth")
    box.focus()
    assert box.evaluate("box => document.activeElement === box")


def test_a_chart_follows_the_width_of_the_page(visit, report):
    seen = visit(report)
    chart = seen.page.locator("[data-chart=profile-chart] .canvas svg")
    before = chart.bounding_box()["width"]
    seen.page.set_viewport_size(PHONE)
    seen.page.wait_for_function(
        "before => document.querySelector('.canvas svg').clientWidth < before", arg=before
    )
    assert chart.bounding_box()["width"] <= PHONE["width"]


def _luminance(colour):
    channels = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def _contrast(first, second):
    dark, light = sorted((_luminance(first), _luminance(second)))
    return (light + 0.05) / (dark + 0.05)


COLOURS = """selector => {
  const style = getComputedStyle(document.querySelector(selector));
  return [style.color, getComputedStyle(document.body).backgroundColor];
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("selector", ["#lead", ".note", "#contents a", "thead th", ".time small"])
def test_text_can_be_read_in_both_schemes(visit, report, scheme, selector):
    text, background = visit(report, color_scheme=scheme).run(COLOURS, selector)
    assert _contrast(text, background) >= 4.5
    assert (_luminance(background) > 0.5) == (scheme == "light")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_button_changes_the_scheme_and_back(visit, report, scheme):
    seen = visit(report, color_scheme=scheme)
    grounds = []
    for _ in range(3):
        grounds.append(seen.run(COLOURS, "body")[1])
        seen.page.get_by_role("button", name="Switch light and dark").click()
    assert grounds[0] == grounds[2] != grounds[1]


def test_the_legend_hides_a_line_and_brings_it_back(visit, report, analysis):
    page = visit(report).page
    name = analysis.leaderboard.submissions[1]
    button = page.locator("#profiles .legend").get_by_role("button", name=name)
    line = page.locator("#profiles path[data-row='1']")
    assert button.get_attribute("aria-pressed") == "true"
    button.click()
    assert line.count() == 0
    assert button.get_attribute("aria-pressed") == "false"
    button.focus()
    page.keyboard.press("Enter")
    assert line.count() == 1


def test_all_and_none_choose_every_line(visit, report):
    legend = (page := visit(report).page).locator("#profiles .legend")
    legend.get_by_role("button", name="none").click()
    assert page.locator("#profiles path.line[data-row]").count() == 0
    legend.get_by_role("button", name="all", exact=True).click()
    assert page.locator("#profiles path.line[data-row]").count() == 4


def test_hovering_shows_the_share_of_workloads(visit, report, analysis):
    page = visit(report).page
    chart = page.locator("#profiles .canvas svg")
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    page.mouse.move(box["x"] + box["width"] - 20, box["y"] + 80)
    output = page.locator("#profiles output").inner_text()
    tau = float(re.search(r"τ = ([\d.]+)", output).group(1))
    values = page.locator("#profiles .legend .value").all_inner_texts()
    shares = (analysis.leaderboard.ratios <= tau).mean(axis=1).tolist()
    assert values == [f"{100 * share:g} %" for share in shares]


def test_arrow_keys_walk_through_the_profile(visit, report):
    page = visit(report).page
    page.locator("#profiles .canvas svg").focus()
    page.keyboard.press("End")
    assert "τ = 4.00" in page.locator("#profiles output").inner_text()
    page.keyboard.press("ArrowLeft")
    assert "τ = 3.89" in page.locator("#profiles output").inner_text()


def test_a_curve_tells_its_trial_and_time_to_target(visit, report, analysis):
    page = visit(report).page
    chart = page.locator("[id='workload=digits'] [data-chart=curves]")
    chart.locator(".canvas svg").focus()
    for key in ("ArrowDown", "ArrowUp", *["ArrowRight"] * 3):
        page.keyboard.press(key)
    told = chart.locator("output").inner_text()
    board = analysis.leaderboard
    name, trial = re.match(r"(\w+), study_\d, trial (\d)", told).groups()
    row, column = board.submissions.index(name), board.trials.workloads.index("digits")
    reached = board.trials.seconds[row, column, 0, int(trial) - 1]
    ending = f"at the target after {reached:g} s" if math.isfinite(reached) else "missed the target"
    assert told.endswith(ending)
    assert chart.locator("path.focus").count() == 1


def test_hovering_over_the_scatter_tells_the_hyperparameter(visit, report):
    page = visit(report).page
    chart = page.locator("[id='workload=digits'] [data-chart=scatter]")
    chart.locator("select").select_option("learning_rate")
    chart.locator("circle").first.hover(force=True)
    assert re.search(r"learning_rate 0\.\d+, ", chart.locator("output").inner_text())


def test_hyperparameters_that_cannot_be_read_are_counted(visit, tree, benchmark_small, tmp_path):
    _log(tree, ["submission"])
    for path in sorted(tree.root.rglob("digits_jax/trial_1/hparams.json")):
        path.write_text("{")
    path = tmp_path / "report.html"
    write_report(analyse(score_logs(tree.root, benchmark_small), resamples=20), path)
    chart = visit(path).page.locator("[id='workload=digits'] [data-chart=scatter]")
    assert "cannot be read: 2." in chart.inner_text()
    assert chart.locator("circle").count() == 2


def test_zooming_moves_the_target_line(visit, report):
    page = visit(report).page
    chart = page.locator("[id='workload=digits'] [data-chart=curves]")
    before = chart.locator("line.rule").first.get_attribute("y1")
    chart.get_by_role("button", name="zoom to the target").click()
    assert chart.locator("line.rule").first.get_attribute("y1") != before


def test_an_address_opens_its_workload(visit, report):
    seen = visit(report, "#workload=wine")
    assert seen.page.locator("[id='workload=wine']").is_visible()
    assert not seen.page.locator("[id='workload=digits']").is_visible()
    seen.page.locator("#times").get_by_role("link", name="digits").click()
    seen.page.locator("[id='workload=digits']").wait_for(state="visible")
    assert not seen.page.locator("[id='workload=wine']").is_visible()
    current = seen.page.locator("#workloads .tabs a[aria-current]")
    assert current.all_inner_texts() == ["digits"]


def test_a_tap_on_a_sign_tells_its_reason(visit, report):
    seen = visit(report, viewport=PHONE, has_touch=True, is_mobile=True)
    sign = seen.page.locator("#times .why").first
    sign.tap()
    tip = seen.page.locator("#tip")
    assert tip.inner_text() == sign.get_attribute("data-why")
    seen.page.keyboard.press("Escape")
    assert not tip.is_visible()


def test_findings_are_filtered_by_kind_submission_and_text(visit, report, analysis):
    page = visit(report).page
    page.locator("#findings summary").click()
    rows = page.locator("#findings tbody tr:visible")
    assert rows.count() == len(analysis.findings)
    name = analysis.findings[0].submission
    page.locator("[data-filter=submission]").select_option(name)
    expected = [finding for finding in analysis.findings if finding.submission == name]
    assert rows.count() == len(expected)
    page.locator("[data-filter=text]").fill("wine")
    expected = [finding for finding in expected if "wine" in finding.place]
    assert rows.count() == len(expected)
    counts = f"{len(expected)} of {len(analysis.findings)} findings"
    assert page.locator("#findings output").inner_text() == counts


def test_hostile_names_are_text_and_run_nothing(visit, hostile_report):
    seen = visit(hostile_report)
    for name in HOSTILE:
        assert seen.page.locator("#leaderboard").get_by_text(name, exact=True).count() == 1
        assert name in seen.page.locator("#profiles .legend .name").all_inner_texts()
    assert seen.page.locator("img").count() == 0
    for sign in seen.page.locator("#times .why").all():
        sign.click()


def test_the_policy_stops_a_script_that_is_not_the_reports(visit, report):
    seen = visit(report)
    seen.run(
        """() => {
          const script = document.createElement("script");
          script.textContent = "window.ran = true";
          document.body.append(script);
        }"""
    )
    assert seen.run("window.ran") is None
    assert any("Content Security Policy" in trouble for trouble in seen.troubles)
    seen.troubles.clear()


def test_without_javascript_everything_that_matters_is_there(visit, report, analysis):
    seen = visit(report, java_script_enabled=False)
    for name, own in zip(
        analysis.leaderboard.submissions, analysis.leaderboard.scores.tolist(), strict=True
    ):
        row = seen.page.locator("#leaderboard tbody tr", has_text=name)
        assert f"{own:.4f}" in row.inner_text()
    for workload in ("digits", "wine"):
        assert seen.page.locator(f"[id='workload={workload}'] table").first.is_visible()
    assert seen.page.get_by_text("This chart needs JavaScript").first.is_visible()
    assert not seen.page.locator(".filters").is_visible()


def test_everything_is_printed(visit, report):
    seen = visit(report)
    seen.page.emulate_media(media="print")
    seen.run("dispatchEvent(new Event('beforeprint'))")
    for workload in ("digits", "wine"):
        chart = f"[id='workload={workload}'] [data-chart=curves] .canvas svg"
        assert seen.page.locator(chart).is_visible()
    assert not seen.page.locator("#contents").is_visible()
    seen.run("dispatchEvent(new Event('afterprint'))")
    assert not seen.page.locator("[id='workload=wine']").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_published_field_fits_a_phone(visit, published_logs, tmp_path, scheme):
    board = score_logs(published_logs("algoperf-v0.5"), "algoperf-v0.5")
    path = tmp_path / "published.html"
    write_report(analyse(board, resamples=100), path)
    seen = visit(path, "#workload=ogbg", viewport=PHONE, color_scheme=scheme)
    assert seen.widths() == [PHONE["width"]] * 2
    assert seen.page.locator("[id='workload=ogbg'] [data-chart=curves] path.line").count() > 50
