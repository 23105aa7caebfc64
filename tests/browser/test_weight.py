"""What a first visit costs, and whether anything moves while a page is still coming."""

from collections import defaultdict
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import Visits
from tests.browser.visitor import Visitor
from tests.system.world import World

MOST = 60 * 1024  # bytes over the wire, images aside
HARDLY = 0.05  # of the page moved: half of what counts as good
MOVED = """
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) window.moved = (window.moved ?? 0) + entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""
# Nothing more has been asked for since the last look.
QUIET = """() => {
  const before = window.asked;
  window.asked = performance.getEntriesByType("resource").length;
  return document.readyState === "complete" && window.asked === before;
}"""


class Wire:
    """What comes over the wire for a page, by kind."""

    def __init__(self, page: Page) -> None:
        self.bytes: dict[str, int] = defaultdict(int)
        self._kinds: dict[str, str] = {}
        session = page.context.new_cdp_session(page)
        session.on("Network.responseReceived", self._begins)
        session.on("Network.loadingFinished", self._ends)
        session.send("Network.enable")

    def _begins(self, event: dict[str, Any]) -> None:
        self._kinds[event["requestId"]] = event["type"]

    def _ends(self, event: dict[str, Any]) -> None:
        kind = self._kinds.get(event["requestId"], "")
        self.bytes[kind] += event["encodedDataLength"]


@pytest.mark.parametrize(
    ("path", "then"),
    [
        ("/", "A night at the opera"),
        ("/orders/{order}", "Or try another card"),
        ("/orders/sales", "Selling"),
        ("/api/docs", "OpenAPI document"),
    ],
)
def test_a_first_visit_is_small_and_nothing_moves(
    visits: Visits, world: World, path: str, then: str
):
    person = world.person()
    order = person.reserves(world.person().sells(title="A night at the opera", quantity=9))
    visitor = _who_has_kept_nothing(visits, visits.by(person))
    wire = Wire(visitor.page)
    visitor.opens(path.format(order=order["id"]))
    visitor.sees(then)
    visitor.page.wait_for_function(QUIET, polling=500)
    assert sum(size for kind, size in wire.bytes.items() if kind != "Image") < MOST, wire.bytes
    assert visitor.page.evaluate("window.moved ?? 0") < HARDLY
    wire.bytes.clear()
    visitor.page.reload()
    visitor.sees(then)
    visitor.page.wait_for_function(QUIET, polling=500)
    assert sum(wire.bytes.values()) < 12_000, wire.bytes  # the page itself: all else is kept


def _who_has_kept_nothing(visits: Visits, visitor: Visitor) -> Visitor:
    """The same person in a new browser, which knows nothing yet but who they are."""
    fresh = visits.by()
    fresh.page.context.add_cookies(visitor.page.context.cookies())  # type: ignore[arg-type]
    fresh.page.add_init_script(MOVED)
    return fresh
