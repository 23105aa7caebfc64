"""Selling, as people see it."""

from playwright.sync_api import expect

from tests.browser.conftest import Visits
from tests.system.world import World


def test_somebody_puts_a_ticket_on_sale_and_is_told_what_is_wrong(visits: Visits, world: World):
    seller = visits.by(world.person())
    seller.opens("/tickets/new")
    seller.types("Title", "A tiny concert")
    price = seller.main.get_by_label("Price")
    price.fill("nothing")
    price.blur()
    seller.sees("must be a number")
    price.fill("12.50")
    seller.presses("Preview")
    seller.sees("A tiny concert")
    seller.presses("Put on sale")
    seller.sees_heading("You sell this")
    seller.sees("12.50 USD")


def test_back_leads_to_the_form_with_what_was_typed(visits: Visits, world: World):
    seller = visits.by(world.person())
    title, price = seller.main.get_by_label("Title"), seller.main.get_by_label("Price")
    seller.opens("/tickets/new")
    title.fill("A tiny concert")
    price.fill("nothing")
    seller.presses("Preview")
    seller.sees("must be a number")
    price.fill("12.50")
    seller.presses("Preview")
    seller.sees("This is a preview")
    seller.presses("Put on sale")
    seller.sees_heading("You sell this")
    seller.page.go_back()
    seller.sees("This is a preview")
    seller.page.go_back()
    seller.sees("must be a number")  # the refused form, with what was put right in it
    expect(price).to_have_value("12.50")
    seller.page.go_back()
    expect(title).to_have_value("A tiny concert")
    expect(price).to_have_value("nothing")


def test_two_edits_meet_and_the_person_chooses(visits: Visits, world: World):
    person = world.person()
    ticket = person.sells(title="Old title", venue="Old venue")
    first, second = visits.by(person), visits.by(person)
    for visitor in (first, second):
        visitor.opens(f"/tickets/{ticket['id']}/edit")
    first.types("Title", "First title")
    first.presses("Save")
    first.sees_heading("First title")
    second.types("Title", "Second title")
    second.presses("Save")
    second.sees_heading("This changed in the meantime")
    second.main.get_by_role("radio", name="Second title").check()
    second.presses("Save what I chose")
    second.sees_heading("Second title")


def test_a_sale_shows_on_the_sellers_page_by_itself(visits: Visits, world: World):
    seller, buyer = world.person(), world.person()
    ticket = seller.sells(title="Watched", price=30, quantity=5)
    visitor = visits.by(seller)
    visitor.opens(f"/orders/sales/{ticket['id']}")
    buyer.pays(buyer.reserves(ticket, 2))
    visitor.sees(buyer.email)
    visitor.sees("60.00 USD")


def test_a_ticket_is_taken_off_sale(visits: Visits, world: World):
    person = world.person()
    ticket = person.sells(title="Not any more")
    visitor = visits.by(person)
    visitor.opens(f"/tickets/{ticket['id']}")
    visitor.follows("Take off sale")
    visitor.presses("Take off sale")
    visitor.sees_heading("You took this off sale")
    stranger = visits.by()
    stranger.opens(f"/tickets/{ticket['id']}")
    stranger.sees("The seller took this off sale")
    expect(stranger.main.get_by_role("button", name="Reserve")).to_have_count(0)
