"""The page as a reader has it: in both themes, by keyboard, on a narrow screen and on paper, without a console error.

These tests drive a real browser; they know what a reader may expect and no template.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support import expected_conditions as ec
from selenium.webdriver.support.ui import WebDriverWait

from reports.page import LIMIT
from tests.reports.browser.conftest import HEIGHT, WIDTH, parts
from tests.reports.synthetic import DEMO

pytestmark = pytest.mark.browser

SECTIONS = {
    *("Numbers", "What happened, on one clock", "Where the milliseconds went", "Three maps", "How long, for whom"),
    *(
        "Every flow",
        "Connections",
        "Limits",
        "New requests",
        "Load by Locust, raw beside corrected",
        "Event log",
        "Can you trust it?",
        "Do it again",
    ),
}
DEADLINE_S = 60


def look(chrome: Chrome, page: Path, theme: str = "light", width: int = WIDTH, fragment: str = "") -> None:
    chrome.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": theme}]}
    )
    chrome.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": False},
    )
    chrome.get("about:blank")
    console(chrome)
    chrome.get(page.as_uri() + fragment)


def until(chrome: Chrome, what: Callable[[Chrome], Any], missing: str) -> Any:
    return WebDriverWait(chrome, DEADLINE_S, poll_frequency=0.05).until(what, missing)


def drawn(chrome: Chrome, scenario: str) -> WebElement:
    """The raster of a scenario, scrolled into view, once it was unpacked and drawn."""
    box = chrome.find_element(By.CSS_SELECTOR, f"#s-{scenario} .raster")
    chrome.execute_script("arguments[0].scrollIntoView({block: 'center'})", box)
    until(chrome, lambda _: box.get_attribute("data-drawn"), f"the raster of {scenario} was not drawn")
    return box


def console(chrome: Chrome) -> list[dict[str, Any]]:
    """What the console said since it was last asked."""
    said: list[dict[str, Any]] = chrome.get_log("browser")  # type: ignore[no-untyped-call]
    return said


def texts(panel: WebElement) -> list[list[str]]:
    """The cells of a table's body."""
    return [
        [cell.text for cell in row.find_elements(By.TAG_NAME, "td")]
        for row in panel.find_elements(By.CSS_SELECTOR, "tbody tr")
    ]


def no_error(chrome: Chrome) -> None:
    assert console(chrome) == []


def ink(chrome: Chrome, box: WebElement) -> int:
    """How many pixels of the raster have the colour of a loss."""
    return int(
        chrome.execute_script(
            """const canvas = arguments[0].querySelector("canvas");
            const colour = getComputedStyle(document.documentElement).getPropertyValue("--lost").trim();
            const want = [1, 3, 5].map((n) => parseInt(colour.slice(n, n + 2), 16));
            const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
            let found = 0;
            for (let n = 0; n < data.length; n += 4) found += want.every((part, m) => Math.abs(data[n + m] - part) < 3);
            return found;""",
            box,
        )
    )


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_section_is_there_in_both_themes(chromium: Chrome, report: Path, theme: str) -> None:
    look(chromium, report, theme)
    paper = chromium.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") == (theme == "light")
    for plan in DEMO:
        section = chromium.find_element(By.ID, f"s-{plan.scenario}")
        headings = {one.get_attribute("textContent") for one in section.find_elements(By.TAG_NAME, "h3")}
        assert headings == SECTIONS, plan.scenario
    assert ink(chromium, drawn(chromium, "kill-l4")) > 1000, "a black hole is ink"
    no_error(chromium)


def test_what_passed_is_folded_and_what_did_not_is_open(chromium: Chrome, report: Path) -> None:
    look(chromium, report)
    for plan in DEMO:
        fold = chromium.find_element(By.CSS_SELECTOR, f"#s-{plan.scenario} > details")
        assert bool(fold.get_attribute("open")) == (plan.verdict != "pass")
        assert plan.headline in fold.find_element(By.TAG_NAME, "summary").text.replace("\u00a0", " ")


def test_a_link_to_a_folded_scenario_opens_it(chromium: Chrome, report: Path) -> None:
    look(chromium, report)
    chromium.find_element(By.CSS_SELECTOR, 'nav.contents a[href="#s-kill-region"]').click()
    fold = chromium.find_element(By.CSS_SELECTOR, "#s-kill-region > details")
    until(chromium, lambda _: fold.get_attribute("open"), "still folded")
    look(chromium, report, fragment="#s-cut-link-maps")
    heading = chromium.find_element(By.ID, "s-cut-link-maps")
    until(chromium, lambda _: heading.is_displayed(), "a deep link leads into a closed fold")


def test_the_drill_down_works_by_keyboard_alone(chromium: Chrome, report: Path) -> None:
    look(chromium, report)
    box = drawn(chromium, "kill-l4")
    canvas = box.find_element(By.TAG_NAME, "canvas")
    readout, panel = box.find_element(By.CLASS_NAME, "readout"), box.find_element(By.CLASS_NAME, "packets")
    chromium.execute_script("arguments[0].focus()", canvas)
    canvas.send_keys(Keys.ARROW_DOWN)
    assert "eu-client → echo · udp v4 · flow 50 · 10.1.2.7:40000 → 203.0.113.20:7" in readout.text
    assert "41 lost of 2000, black hole 410 ms · crossed the element" in readout.text
    canvas.send_keys(Keys.ENTER)
    assert panel.is_displayed()
    rows = texts(panel)
    assert len(rows) == 17
    assert (rows[3][0], rows[3][5], rows[4][0], rows[4][5]) == ("4599", "answered", "4600", "lost")
    assert rows[4][3:5] == ["–", "–"], "a lost probe was sent and has no answer"
    assert rows[8][0] == "…"
    assert rows[8][5] == "33 more, 33 of them lost"
    assert rows[-4][0] == "4641"
    assert rows[-4][5] == "answered"
    assert rows[3][6:] == ["eu-transit › eu-l4-1 › eu-l7-1", "eu-l7-2", "60"]
    assert rows[4][6:] == ["–", "–", "–"]
    assert rows[-4][6] == "eu-transit › eu-l4-2 › eu-l7-2", "the way after the fault"
    canvas.send_keys(Keys.ARROW_DOWN)
    assert "flow 50 " not in readout.text
    assert rows != texts(panel)
    canvas.send_keys(Keys.ESCAPE)
    assert not panel.is_displayed()
    no_error(chromium)


def test_a_flow_without_kernel_stamps_still_says_what_it_lost(chromium: Chrome, report: Path) -> None:
    look(chromium, report)
    box = drawn(chromium, "withdraw-l4")
    canvas = box.find_element(By.TAG_NAME, "canvas")
    canvas.send_keys(Keys.ARROW_DOWN + Keys.ENTER)
    assert "10 not sent" in box.find_element(By.CLASS_NAME, "packets").text


def test_the_log_and_the_broken_connections_unfold(chromium: Chrome, report: Path) -> None:
    look(chromium, report)
    for table, rows, word in (("log", 12, "BFD"), ("ended", 3, "other backend")):
        box = chromium.find_element(By.CSS_SELECTOR, f'#s-kill-l4 details[data-table="{table}"]')
        assert box.find_elements(By.TAG_NAME, "tr") == []
        summary = box.find_element(By.TAG_NAME, "summary")
        chromium.execute_script("arguments[0].focus()", summary)
        summary.send_keys(Keys.ENTER)
        lines = f'#s-kill-l4 details[data-table="{table}"] tbody tr'
        until(chromium, ec.presence_of_element_located((By.CSS_SELECTOR, lines)), f"{table} stayed empty")
        assert len(chromium.find_elements(By.CSS_SELECTOR, lines)) == rows
        assert word.lower() in box.text.lower()
    no_error(chromium)


def test_a_mark_on_the_clock_leads_to_its_line_in_the_log(chromium: Chrome, report: Path) -> None:
    look(chromium, report)
    marks = chromium.find_elements(By.CSS_SELECTOR, "#s-kill-l4 .view-near a[data-entry]")
    fib = next(one for one in marks if "■" in (one.get_attribute("textContent") or ""))
    chromium.execute_script(
        "arguments[0].dispatchEvent(new MouseEvent('click', {bubbles: true, cancelable: true}))", fib
    )
    line = until(chromium, lambda c: c.find_elements(By.CSS_SELECTOR, "#s-kill-l4 tr.here"), "no line was marked")
    assert "next hop eu-l4-2" in line[0].text


def test_the_other_view_of_the_clock_is_one_key_away(chromium: Chrome, report: Path) -> None:
    look(chromium, report)
    near, whole = (chromium.find_element(By.CSS_SELECTOR, f"#s-kill-l4 .view-{name}") for name in ("near", "whole"))
    assert (near.is_displayed(), whole.is_displayed()) == (True, False)
    chromium.find_element(By.ID, "s-kill-l4-near").send_keys(Keys.ARROW_RIGHT)
    assert (near.is_displayed(), whole.is_displayed()) == (False, True)


@pytest.mark.parametrize("width", [420, 800, 1600])
def test_only_tables_and_charts_scroll_sideways_never_the_page(chromium: Chrome, report: Path, width: int) -> None:
    look(chromium, report, width=width)
    chromium.execute_script("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    wide = chromium.execute_script("return document.documentElement.scrollWidth")
    assert wide <= width
    drawn(chromium, "kill-l4")
    no_error(chromium)


def test_it_prints_with_everything_unfolded(chromium: Chrome, report: Path) -> None:
    look(chromium, report)
    until(chromium, lambda c: c.find_element(By.TAG_NAME, "html").get_attribute("data-ready"), "not all was unpacked")
    pdf = base64.b64decode(chromium.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})["data"])
    assert pdf.startswith(b"%PDF")
    assert chromium.execute_script("return document.querySelectorAll('details:not([open])').length") == 0
    assert chromium.execute_script("return document.querySelectorAll('details.lazy tbody tr').length") > 100
    rasters = chromium.find_elements(By.CLASS_NAME, "raster")
    assert all(one.get_attribute("data-drawn") for one in rasters)
    no_error(chromium)


def test_it_says_every_verdict_and_figure_without_its_script(chromium: Chrome, report: Path) -> None:
    chromium.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        look(chromium, report)
        text = chromium.find_element(By.TAG_NAME, "main").text
    finally:
        chromium.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert "410 ± 10 ms" in text
    assert "first packet on the new path" in text
    assert "need the page's own script" in text


def test_it_asks_for_nothing_but_itself(chromium: Chrome, report: Path) -> None:
    look(chromium, report)
    drawn(chromium, "kill-l4")
    assert chromium.execute_script("return performance.getEntriesByType('resource').length") == 0


def test_how_fast_it_paints_and_loads_is_measured(
    chromium: Chrome, report: Path, record_property: Any, capsys: Any
) -> None:
    times = []
    for _ in range(3):
        look(chromium, report)
        until(chromium, lambda c: c.execute_script("return performance.getEntriesByType('paint').length"), "no paint")
        times.append(
            chromium.execute_script(
                """const load = performance.getEntriesByType("navigation")[0];
                return [performance.getEntriesByName("first-contentful-paint")[0].startTime, load.loadEventEnd];"""
            )
        )
    paint, load = (sorted(column)[1] for column in zip(*times, strict=True))
    size = report.stat().st_size
    record_property("report", json.dumps({"bytes": size, "first_contentful_paint_ms": paint, "load_ms": load}))
    with capsys.disabled():
        print(f"\nreport: {size:,} bytes, verdict painted {paint:.0f} ms, loaded {load:.0f} ms (medians of 3)")
    assert size <= LIMIT
    # A host that is busy with labs is many times slower than the numbers that are aimed at; this only finds a page that hangs.
    assert load < 20_000


def test_a_missing_browser_is_a_failure_in_ci_and_a_reason_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="chromium-driver"):
        parts()
    monkeypatch.delenv("CI")
    with pytest.raises(pytest.skip.Exception, match="chromium-driver"):
        parts()
