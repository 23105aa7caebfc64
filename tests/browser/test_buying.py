"""Buying, as people see it."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import HOLD, PATIENCE, Visits
from tests.browser.visitor import Visitor
from tests.system.world import PASSWORD, World

SCRIPTS = pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])


def at_an_order(visits: Visits, world: World, *, scripts: bool = True) -> Visitor:
    """A buyer who has just reserved a ticket."""
    ticket = world.person().sells(title="A night at the opera", venue="The old theatre")
    visitor = visits.by(world.person(), java_script_enabled=scripts)
    visitor.reserves(ticket["id"])
    visitor.sees_heading("Yours for")
    if not scripts:
        visitor.follows("Pay by card")
    return visitor


@SCRIPTS
def test_somebody_finds_buys_and_keeps_a_ticket(visits: Visits, world: World, scripts: bool):
    title = f"The {'first' if scripts else 'second'} night of the proms"
    world.person().sells(title=title, price=20.5, quantity=3)
    buyer = visits.by(world.person(), java_script_enabled=scripts)
    buyer.opens("/")
    buyer.page.get_by_role("searchbox").fill(title)
    if not scripts:
        buyer.presses("Search")
    buyer.follows(title)
    buyer.presses("Reserve")
    buyer.sees_heading("Yours for")
    if not scripts:
        buyer.follows("Pay by card")
    buyer.presses("Pay 20.50 USD")
    buyer.sees_heading("Paid. See you there!")
    buyer.follows("Show my ticket")
    expect(buyer.main.locator("svg[role=img], img").first).to_be_visible()
    buyer.opens("/orders")
    buyer.sees(title)


@SCRIPTS
def test_a_declined_card_says_why_and_another_one_pays(visits: Visits, world: World, scripts: bool):
    buyer = at_an_order(visits, world, scripts=scripts)
    buyer.presses("Insufficient funds")
    buyer.sees("insufficient funds")
    buyer.presses("Pay 20.00 USD")
    buyer.sees_heading("Paid. See you there!")


@SCRIPTS
@pytest.mark.parametrize(
    ("answer", "then"),
    [("Complete", "Paid. See you there!"), ("Fail", "Pay by card")],
)
def test_the_bank_asks(visits: Visits, world: World, scripts: bool, answer: str, then: str):
    buyer = at_an_order(visits, world, scripts=scripts)
    buyer.presses("Asks your bank")
    buyer.page.get_by_role("button", name=answer, exact=True).click()
    buyer.sees(then)


def test_time_runs_out_while_somebody_looks(visits: Visits, world: World):
    buyer = at_an_order(visits, world)
    buyer.sees_heading("Time is up", HOLD + 15)
    buyer.presses("Try again")
    buyer.sees_heading("Yours for")
    buyer.presses("Pay 20.00 USD")
    buyer.sees_heading("Paid. See you there!")


def test_a_page_without_a_connection_says_so_until_there_is_one(visits: Visits, world: World):
    buyer, person = visits.by(), world.person()
    buyer.signs_in(person)
    ticket = world.person().sells(title="A night in the tunnel")
    buyer.reserves(ticket["id"])
    buyer.sees_heading("Yours for")
    said = buyer.page.get_by_role("status").filter(has_text="No connection right now")
    expect(said).to_have_count(0)
    buyer.page.context.set_offline(True)
    expect(said).to_be_visible()
    person.pays({"id": buyer.page.url.rpartition("/")[2]})
    expect(said).to_be_visible()
    buyer.page.context.set_offline(False)
    buyer.sees_heading("Paid. See you there!")
    expect(said).to_have_count(0)


def test_a_page_that_nobody_answers_says_so_until_somebody_does(visits: Visits, world: World):
    buyer = at_an_order(visits, world)
    said = buyer.page.get_by_role("status").filter(has_text="No connection right now")
    news = re.compile(r"/live\?|/orders/\w+\?version")
    buyer.page.route(news, lambda route: route.fulfill(status=503))
    buyer.page.reload()
    expect(said).to_be_visible(timeout=PATIENCE)  # once the page has looked by itself
    buyer.page.unroute(news)
    expect(said).to_have_count(0, timeout=PATIENCE)


def test_a_service_that_is_down_takes_only_its_part(visits: Visits, world: World):
    ticket = world.person().sells(title="A night without payments")
    buyer = visits.by(world.person())
    buyer.page.route("**/payments/new?*", lambda route: route.fulfill(status=502))
    buyer.reserves(ticket["id"])
    buyer.sees_heading("Yours for")
    buyer.sees("This part of the site does not answer right now")
    buyer.page.unroute("**/payments/new?*")
    buyer.presses("Try again")
    buyer.sees("Or try another card")


def test_cards_that_came_while_scrolling_are_live_too(visits: Visits, world: World):
    seller, visitor = world.person(), visits.by()
    oldest, *_ = [seller.sells(title=f"Row {row} of {seller.id}") for row in range(4)]
    visitor.opens(f"/tickets?q={seller.id}&limit=2")
    wider = re.compile(f"/live.*{oldest['id']}")
    with visitor.page.expect_response(wider):
        visitor.main.get_by_role("link", name="Next page").scroll_into_view_if_needed()
    card = visitor.main.get_by_role("listitem").filter(has_text="Row 0")
    expect(card).to_contain_text("The only one")
    world.person().reserves(oldest)
    expect(card).to_contain_text("Reserved")


def test_two_people_look_at_one_ticket(visits: Visits, world: World):
    ticket = world.person().sells(title="One seat")
    ada, bob = visits.by(world.person()), visits.by(world.person())
    bob.opens(f"/tickets/{ticket['id']}")
    expect(bob.main.get_by_role("button", name="Reserve")).to_be_visible()
    ada.reserves(ticket["id"])
    # Nobody touches this page: it hears of the reservation, and later of its end.
    bob.sees("Somebody has reserved it")
    ada.presses("Cancel this reservation")
    expect(bob.main.get_by_role("button", name="Reserve")).to_be_visible()


def test_back_and_reload_buy_nothing_twice(visits: Visits, world: World):
    buyer = at_an_order(visits, world)
    order = buyer.page.url
    buyer.presses("Pay 20.00 USD")
    buyer.sees_heading("Paid. See you there!")
    buyer.page.go_back()
    buyer.page.reload()
    buyer.opens("/orders")
    links = buyer.main.locator("a[href^='/orders/']").evaluate_all(
        "links => links.map(link => link.getAttribute('href'))"
    )
    orders = {link for link in links if re.fullmatch(r"/orders/[0-9a-f]{24}", link)}
    assert {order.partition("//")[2].partition("/")[2]} == {path.lstrip("/") for path in orders}


def test_everything_works_by_keyboard(visits: Visits, world: World):
    ticket = world.person().sells(title="Keys only")
    buyer = visits.by(world.person())
    buyer.opens(f"/tickets/{ticket['id']}")
    buyer.page.keyboard.press("Tab")
    expect(buyer.page.get_by_role("link", name="Skip to the content")).to_be_focused()
    buyer.page.keyboard.press("Enter")
    for _ in range(10):
        buyer.page.keyboard.press("Tab")
        if buyer.page.evaluate("document.activeElement.textContent.trim()") == "Reserve":
            break
    buyer.page.keyboard.press("Enter")
    buyer.sees_heading("Yours for")
    buyer.main.get_by_role("button", name="Declined").focus()
    buyer.page.keyboard.press("Enter")
    # The form came anew, and the focus is at its beginning instead of the page's.
    expect(buyer.main.get_by_role("heading", name="Pay by card")).to_be_focused()
    buyer.page.keyboard.press("Tab")
    expect(buyer.main.get_by_role("button", name="Pay 20.00 USD")).to_be_focused()
    buyer.page.keyboard.press("Enter")
    buyer.sees_heading("Paid. See you there!")
    expect(buyer.main.get_by_role("heading", name="Paid. See you there!")).to_be_focused()


def test_back_from_a_sign_in_leads_to_the_form_that_was_refused(visits: Visits, world: World):
    person, visitor = world.person(), visits.by()
    visitor.opens("/account/signin")
    visitor.types("E-mail address", person.email)
    visitor.types("Password", "not the password")
    visitor.presses("Sign in")
    visitor.sees("password")
    visitor.types("Password", PASSWORD)
    visitor.presses("Sign in")
    visitor.page.wait_for_url(re.compile(r"/$"))
    visitor.page.go_back()
    expect(visitor.main.get_by_label("E-mail address")).to_have_value(person.email)
    expect(visitor.main.get_by_label("Password", exact=True)).to_have_value("")
