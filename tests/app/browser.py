"""Chromium for tests of the report: Debian's, driven by Playwright, without network."""

from __future__ import annotations

import shutil
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from tests.tools import missing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

# As root it needs --no-sandbox; the others keep it from asking the network for anything.
FLAGS: Final = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser. Without it the test is skipped, or fails where CI=true says that all must be there."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        missing("chromium is not installed")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("the Python module playwright is not installed")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, headless=True, args=list(FLAGS))
        yield browser
        browser.close()


class Watched:
    """A page, and all that it said or asked for: console messages but for plain logs, errors, dialogs, requests."""

    def __init__(self, browser: Browser, report: Path, *, fragment: str = "", **options: Any) -> None:
        self._context = browser.new_context(**({"viewport": {"width": 1400, "height": 900}} | options))
        self.page: Page = self._context.new_page()
        self.said: list[str] = []
        self.page.on("console", lambda message: self.said.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.said.append(f"error: {error}"))
        self.page.on("dialog", self._dialog)
        self.page.on("requestfinished", self._request)
        self.page.on("requestfailed", self._request)
        self.page.goto(report.as_uri() + fragment)
        self.page.wait_for_selector("#head th")

    def _dialog(self, dialog: Any) -> None:
        self.said.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _request(self, request: Any) -> None:
        # What the policy stops, never leaves.
        if request.resource_type != "document" and request.failure != "csp":
            self.said.append(f"request: {request.url}")

    def wait(self, script: str) -> None:
        """Wait until an expression is true; the page's policy lets Playwright's own wait run nothing."""
        end = time.monotonic() + 20
        while not self.page.evaluate(script):
            assert time.monotonic() < end, script
            self.page.wait_for_timeout(20)

    @property
    def shown(self) -> list[list[str]]:
        """The cells of the rows that are in the document."""
        return [row.locator("td").all_inner_texts() for row in self.page.locator("tr.row").all()]

    def column(self, number: int) -> list[str]:
        """The cells of one column."""
        return [cells[number] for cells in self.shown]

    def close(self) -> None:
        """Close the page."""
        self._context.close()
