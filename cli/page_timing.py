"""How fast a report opens in this host's own Chromium. It knows a page's address and nothing of what is on it."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

ROUNDS = 5


class BrowserMissing(Exception):
    """There is no Chromium with its driver on this host."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Medians over a few fresh loads, ms from the start of navigation (W3C Navigation and Paint Timing)."""

    painted_ms: float
    whole_ms: float


def page_timing(page: Path) -> Timing:
    """Opens the page a few times, the first one not counted. Raises BrowserMissing."""
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not browser or not driver:
        raise BrowserMissing
    with tempfile.TemporaryDirectory() as profile:
        options = Options()
        options.binary_location = browser
        for flag in (
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            f"--user-data-dir={profile}",
        ):
            options.add_argument(flag)
        chrome = webdriver.Chrome(options=options, service=Service(driver))
        try:
            found = [_once(chrome, page) for _ in range(ROUNDS + 1)][1:]
        finally:
            chrome.quit()
    painted, whole = (sorted(values)[ROUNDS // 2] for values in zip(*found, strict=True))
    return Timing(painted, whole)


def _once(chrome: webdriver.Chrome, page: Path) -> tuple[float, float]:
    chrome.get("about:blank")
    chrome.get(page.as_uri())
    painted, whole = chrome.execute_async_script(
        """
        const done = arguments[0], first = 'first-contentful-paint';
        const tell = () => setTimeout(() => done([
          performance.getEntriesByName(first)[0]?.startTime ?? NaN,
          performance.getEntriesByType('navigation')[0].loadEventEnd]), 0);
        const wait = () => performance.getEntriesByName(first).length ? tell() : requestAnimationFrame(wait);
        document.readyState === 'complete' ? wait() : addEventListener('load', wait);
        """
    )
    return float(painted), float(whole)
