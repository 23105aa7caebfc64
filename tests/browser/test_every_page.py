"""Every page as a picture, and as people who can't see or can't use a mouse meet it.

The pictures are written to `screenshots/`, in both themes and at two widths, to be looked at.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from dev.seed import ADMIN, BUYER, SELLER
from dev.seed import PASSWORD as DEMO_PASSWORD
from dev.stack import Stack
from tests.browser.visitor import Visitor
from tests.system.world import Json, Person, World

PICTURES = Path(__file__).parents[2] / "screenshots"
WIDTHS = (390, 1280)  # a phone, a desk
THEMES = ("light", "dark")


@dataclass(frozen=True)
class Scene:
    """What has happened, so that no page is empty."""

    ticket: Json
    sold_out: Json
    paid: Json
    cancelled: Json


def demo(stack: Stack, email: str) -> Person:
    person = Person(stack.url, email=email)
    credentials = {"email": email, "password": DEMO_PASSWORD}
    person.id = person.post("/api/users/signin", credentials).expect(200).json["id"]
    return person


@pytest.fixture(scope="module")
def scene(stack: Stack, world: World) -> Scene:
    seller, buyer = demo(stack, SELLER), demo(stack, BUYER)
    ticket = seller.sells(
        title="Harbour Lights: a very long evening of six bands on two stages",
        price=64.5,
        quantity=40,
        venue="Pier 9",
        startsAt="2031-07-12T17:00:00Z",
        description="Food from the market next door.\n\nBring a raincoat.",
    )
    sold_out = seller.sells(title="One seat", price=12)
    other = world.person()
    other.pays(other.reserves(sold_out))
    cancelled = buyer.reserves(ticket, 1)
    buyer.cancels(cancelled).expect(204)
    paid = buyer.reserves(ticket, 2)
    buyer.pays(paid)
    buyer.sees_order(paid, status="complete")
    return Scene(ticket, sold_out, paid, cancelled)


# The name of each page, who looks at it, and its address in the words of the scene.
PAGES = [
    ("browse", None, "/"),
    ("browse-search", None, "/tickets?q=harbour&sort=price"),
    ("browse-nothing", None, "/tickets?q=nothing+like+this"),
    ("ticket", BUYER, "/tickets/{ticket}"),
    ("ticket-signed-out", None, "/tickets/{ticket}"),
    ("ticket-sold-out", BUYER, "/tickets/{sold_out}"),
    ("ticket-own", SELLER, "/tickets/{ticket}"),
    ("sell", SELLER, "/tickets/new"),
    ("edit", SELLER, "/tickets/{ticket}/edit"),
    ("withdraw", SELLER, "/tickets/{ticket}/withdraw"),
    ("on-sale-by-me", SELLER, "/tickets/mine"),
    ("order", BUYER, "/orders/{held}"),
    ("pay", BUYER, "/payments/new?order={held}"),
    ("order-paid", BUYER, "/orders/{paid}"),
    ("order-cancelled", BUYER, "/orders/{cancelled}"),
    ("my-tickets", BUYER, "/orders"),
    ("my-orders", BUYER, "/orders?show=all"),
    ("tickets-to-show", BUYER, "/orders/{paid}/tickets"),
    ("receipt", BUYER, "/orders/{paid}/receipt"),
    ("selling", SELLER, "/orders/sales"),
    ("buyers", SELLER, "/orders/sales/{ticket}"),
    ("sign-in", None, "/account/signin"),
    ("sign-up", None, "/account/signup"),
    ("forgotten", None, "/account/forgotten"),
    ("account", BUYER, "/account"),
    ("password", BUYER, "/account/password"),
    ("email", BUYER, "/account/email"),
    ("second-factor", BUYER, "/account/second-factor"),
    ("tokens", BUYER, "/account/tokens"),
    ("delete", BUYER, "/account/delete"),
    ("admin", ADMIN, "/account/admin"),
    ("admin-found", ADMIN, "/account/admin?q={paid}"),
    ("admin-log", ADMIN, "/account/admin/log"),
    ("api", None, "/api/docs"),
    ("not-found", None, "/tickets/000000000000000000000000"),
    ("forbidden", SELLER, "/orders/{paid}"),
]


@pytest.fixture(scope="module")
def page(chromium: Browser, stack: Stack) -> Iterator[Page]:
    """One page for all looks; who is signed in is changed by the cookie alone."""
    context = chromium.new_context(base_url=stack.url, reduced_motion="reduce")
    yield context.new_page()
    context.close()


@pytest.fixture(scope="module")
def cookies(chromium: Browser, stack: Stack) -> dict[str, list[object]]:
    """The cookies of each person, after one sign-in by the form."""
    found: dict[str, list[object]] = {}
    for email in (BUYER, SELLER, ADMIN):
        context = chromium.new_context(base_url=stack.url)
        Visitor(context.new_page()).signs_in(Person(stack.url, email=email), DEMO_PASSWORD)
        found[email] = list(context.cookies())
        context.close()
    return found


@pytest.mark.parametrize(("name", "who", "path"), PAGES, ids=[name for name, _, _ in PAGES])
def test_page(
    page: Page,
    stack: Stack,
    scene: Scene,
    cookies: dict[str, list[object]],
    name: str,
    who: str | None,
    path: str,
):
    page.context.clear_cookies()
    if who:
        page.context.add_cookies(cookies[who])  # type: ignore[arg-type]
    ids = {key: value["id"] for key, value in vars(scene).items()}
    if "{held}" in path:  # anew for each look, as time runs out
        ids["held"] = demo(stack, BUYER).reserves(scene.ticket)["id"]
    page.goto(path.format(**ids))
    PICTURES.mkdir(exist_ok=True)
    for theme in THEMES:
        page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (
                "scrolls sideways"
            )
            page.screenshot(path=PICTURES / f"{name}-{width}-{theme}.png", full_page=True)
        results = Axe().run(page)
        assert results.violations_count == 0, f"{theme}: {results.generate_report()}"
