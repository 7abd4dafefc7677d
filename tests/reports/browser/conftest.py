"""A real headless Chromium and a whole made-up demo for the tests that look at the page as a reader does.

It knows how a browser is started, and nothing of what the page says.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

from reports.page import render
from tests.reports.synthetic import DEMO, write_run

WIDTH, HEIGHT = 1200, 1000
_FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"),
    *("--no-first-run", "--disable-extensions", f"--window-size={WIDTH},{HEIGHT}"),
)


def parts() -> tuple[str, str]:
    """Chromium and its driver; where one is missing the test fails in CI and is skipped, with the reason, elsewhere."""
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if browser and driver:
        return browser, driver
    reason = "no browser to look at the page with: install Debian's `chromium` and `chromium-driver`"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    browser, driver = parts()
    options = Options()
    options.binary_location = browser
    for flag in (*_FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = webdriver.Chrome(options=options, service=Service(driver))
    chrome.set_script_timeout(60)
    yield chrome
    chrome.quit()


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    render(write_run(folder / "evidence.jsonl", DEMO), folder / "report.html")
    return folder / "report.html"
