"""People with a real browser in front of a real stack."""

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from dev.stack import Stack
from tests.browser.visitor import Visitor
from tests.system.world import Person, World

HOLD = 12  # seconds that a reservation lasts here: enough to pay, short enough to wait for
PATIENCE = 15_000  # milliseconds within which a page must show what is expected

# Sandboxes and updates that a test machine has no use for.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def program() -> str:
    """Chromium of this machine. Without one these tests are skipped; in CI they fail."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        message = "Chromium is not installed (Debian and Ubuntu: apt install chromium)"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return found


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One for each module: while it is open, its event loop keeps others from running here."""
    path = program()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    program()  # a stack is not worth its start where there is no browser
    env = {"HOLD_SECONDS": str(HOLD), "SEED": "1", "RATE_LIMITS": "0", "VERIFY_EMAIL": "0"}
    with Stack(tmp_path_factory.mktemp("browser") / "data", env) as stack:
        yield stack


@pytest.fixture(scope="session")
def world(stack: Stack) -> World:
    return World(stack)


@pytest.fixture
def visits(chromium: Browser, stack: Stack) -> Iterator["Visits"]:
    visits = Visits(chromium, stack)
    yield visits
    visits.end()


class Visits:
    """Opens browsers, one for each person, and ends them after the test."""

    def __init__(self, chromium: Browser, stack: Stack) -> None:
        self._chromium, self._stack = chromium, stack
        self._contexts: list[BrowserContext] = []
        self.problems: list[str] = []

    def by(self, person: "Person | None" = None, **options: object) -> Visitor:
        """A browser in which this person is signed in; without one, a stranger's."""
        context = self._chromium.new_context(base_url=self._stack.url, **options)  # type: ignore[arg-type]
        context.set_default_timeout(PATIENCE)
        self._contexts.append(context)
        page = context.new_page()
        page.on("console", self._listen)
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        visitor = Visitor(page)
        if person:
            visitor.signs_in(person)
        return visitor

    def _listen(self, message: object) -> None:
        """A page that breaks its own security policy says so in the console."""
        text = str(getattr(message, "text", ""))
        if "Content Security Policy" in text:
            self.problems.append(text)

    def end(self) -> None:
        for context in self._contexts:
            context.close()
        assert not self.problems
