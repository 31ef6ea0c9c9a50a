"""A headless Chromium, and axe-core to look for barriers."""

import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

AXE = Path(sys.prefix) / "axe-core" / "package" / "axe.min.js"
"""Fetched from npm by `make install-test`."""

RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
"""Groups of axe's rules that a page is held to."""

# Runs before all else in a page, so that no violation is missed.
WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) =>
  window.violations.push(`${event.violatedDirective}: ${event.blockedURI}`));
"""


@dataclass
class Noise:
    """What a page asks for and complains of.

    Attributes:
        requests: addresses beside its own; pictures within it do not count.
        messages: what it prints, errors above all.
    """

    requests: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)

    def heard(self, page: Page) -> "Noise":
        page.on("request", self._asked)
        page.on("console", self._printed)
        page.on("pageerror", lambda error: self.messages.append(str(error)))
        return self

    def _asked(self, request: Request) -> None:
        if not request.url.startswith(("data:", "file:")):
            self.requests.append(request.url)

    def _printed(self, message: ConsoleMessage) -> None:
        self.messages.append(message.text)


@contextmanager
def chromium() -> Iterator[Browser]:
    """The system's Chromium; without it tests are skipped, but not in CI."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None or not AXE.exists():
        told = "needs Chromium (apt-get install chromium) and axe-core (make install-test)"
        pytest.fail(told) if os.environ.get("CI") else pytest.skip(told)
    sandbox = [] if os.getuid() else ["--no-sandbox"]  # Chromium refuses it to root
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found, args=[*sandbox, "--disable-gpu", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()


@contextmanager
def opened(
    browser: Browser, path: Path, *, width: int = 1280, scheme: str = "light", scripts: bool = True
) -> Iterator[tuple[Page, Noise]]:
    """A page in a context of its own, and what it asked for."""
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if scheme == "dark" else "light",
        java_script_enabled=scripts,
    )
    try:
        page = context.new_page()
        noise = Noise().heard(page)
        page.add_init_script(WATCH)
        page.goto(path.as_uri())
        yield page, noise
    finally:
        context.close()


def until(page: Page, claim: str, seconds: float = 10) -> None:
    """Waits until a page makes a claim true; its policy forbids Playwright's own way of waiting."""
    deadline = time.monotonic() + seconds
    while not page.evaluate(claim):
        assert time.monotonic() < deadline, f"not true within {seconds} s: {claim}"


def barriers(page: Page) -> list[str]:
    """What axe-core finds wrong, by all of its rules: rule, help and the first element."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found: dict[str, Any] = page.evaluate(
        "(tags) => axe.run(document, {resultTypes: ['violations'], runOnly: tags})", list(RULES)
    )
    return [
        f"{one['id']}: {one['help']}: {one['nodes'][0]['html'][:200]}"
        for one in found["violations"]
    ]
