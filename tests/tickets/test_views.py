"""The pages: what people see, with and without JavaScript."""

import re

from flask.testing import FlaskClient

from apps.tickets.models import Stock
from apps.tickets.service import Tickets

FORM = {"title": "Opera", "price": "20,50", "currency": "usd", "quantity": "3"}
HTMX = {"HX-Request": "true"}


def sell(seller: FlaskClient, **changes: str) -> str:
    """The address of a new ticket's page."""
    response = seller.post("/tickets", data=FORM | changes)
    assert response.status_code == 303, response.text
    return response.headers["Location"]


def hidden(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found is not None
    return found[1]


def hidden_fields(page: str) -> dict[str, str]:
    return dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page))


def test_a_sold_thing_is_found_by_browsing(seller: FlaskClient, visitor: FlaskClient) -> None:
    page = sell(seller, venue="Hall", startsAt="2027-05-01T20:00")
    for address in ("/", "/tickets"):
        shown = visitor.get(address).text
        assert "Opera" in shown
        assert page in shown
        assert "20.50 USD" in shown
        assert "Sat 1 May 2027, 20:00 UTC" in shown


def test_browsing_pages_by_links(seller: FlaskClient, visitor: FlaskClient) -> None:
    for number in range(25):
        sell(seller, title=f"Concert {number}")
    first = visitor.get("/tickets").text
    link = re.search(r'href="([^"]+)" rel="next"', first)
    assert link is not None
    second = visitor.get(link[1].replace("&amp;", "&")).text
    assert ("Concert 24" in first, "Concert 0<" in first) == (True, False)
    assert ("Concert 24" in second, "Concert 0<" in second) == (False, True)


def test_searching_swaps_the_results_only(seller: FlaskClient, visitor: FlaskClient) -> None:
    sell(seller)
    fragment = visitor.get("/tickets?q=oper", headers=HTMX)
    assert "Opera" in fragment.text
    assert "<html" not in fragment.text
    assert "HX-Request" in fragment.headers["Vary"]
    assert "Nothing on sale matches “zzz”" in visitor.get("/tickets?q=zzz").text


def test_an_empty_shop_says_so(visitor: FlaskClient) -> None:
    assert "Nothing is on sale right now" in visitor.get("/").text


def test_titles_are_text_not_markup(seller: FlaskClient, visitor: FlaskClient) -> None:
    page = sell(seller, title="<script>alert(1)</script>", description="<b>bold</b>")
    for address in ("/", page):
        assert "<script>alert" not in visitor.get(address).text
    assert "<b>bold" not in visitor.get(page).text


def test_a_visitor_is_asked_to_sign_in_and_comes_back(seller: FlaskClient, visitor) -> None:
    page = sell(seller)
    assert f"/account/signin?next={page}" in visitor.get(page).text
    response = visitor.get("/tickets/new")
    assert response.status_code == 303
    assert response.headers["Location"] == "/account/signin?next=/tickets/new"


def test_a_buyer_reserves_with_a_plain_form(seller: FlaskClient, stranger: FlaskClient) -> None:
    page = sell(seller)
    shown = stranger.get(page).text
    assert '<form class="form" action="/orders" method="post">' in shown
    assert hidden(shown, "ticketId") == page.rpartition("/")[2]
    assert hidden(shown, "idempotencyKey") != hidden(stranger.get(page).text, "idempotencyKey")
    assert f"{page}/edit" not in shown


def test_the_offer_follows_availability(
    seller: FlaskClient, stranger: FlaskClient, service: Tickets
) -> None:
    page = sell(seller)
    ticket_id = page.rpartition("/")[2]
    assert stranger.get(f"{page}?seen=0-0", headers=HTMX).status_code == 204
    service.restock(ticket_id, Stock(0, 1, 3, 0))
    changed = stranger.get(f"{page}?seen=0-0", headers=HTMX)
    assert changed.status_code == 200
    assert "None left" in changed.text
    assert 'action="/orders"' not in changed.text
    assert "<html" not in changed.text


def test_a_refused_form_keeps_the_input(seller: FlaskClient) -> None:
    response = seller.post("/tickets", data=FORM | {"price": "0.10", "venue": "My Hall"})
    assert response.status_code == 400
    assert "Price of one must be at least 0.50 USD" in response.text
    assert 'value="My Hall"' in response.text
    assert 'value="0.10"' in response.text


def test_a_double_click_sells_once(seller: FlaskClient) -> None:
    key = hidden(seller.get("/tickets/new").text, "idempotencyKey")
    assert sell(seller, idempotencyKey=key) == sell(seller, idempotencyKey=key)
    changed = seller.post("/tickets", data=FORM | {"idempotencyKey": key, "title": "Another"})
    assert changed.status_code == 422
    assert hidden(changed.text, "idempotencyKey") != key
    assert 'value="Another"' in changed.text


def test_an_edit_is_saved(seller: FlaskClient) -> None:
    page = sell(seller, startsAt="2027-05-01T20:00")
    form = seller.get(f"{page}/edit").text
    assert 'value="20.50"' in form
    assert 'value="2027-05-01T20:00"' in form
    response = seller.post(
        page, data=FORM | {"title": "Ballet", "version": hidden(form, "version")}
    )
    assert (response.status_code, response.headers["Location"]) == (303, page)
    assert "Ballet" in seller.get(page).text


def test_a_stale_edit_shows_both_versions_and_can_be_sent_again(seller: FlaskClient) -> None:
    page = sell(seller)
    assert seller.post(page, data=FORM | {"title": "First", "version": "0"}).status_code == 303
    stale = seller.post(page, data=FORM | {"title": "Second", "version": "0"})
    assert stale.status_code == 409
    assert re.search("Stored now</span>.*First.*Yours</span>.*Second", stale.text, re.DOTALL)
    assert "keep-price" not in stale.text  # only what differs is asked about
    form = hidden_fields(stale.text)
    assert seller.post(page, data=form | {"keep-title": "mine"}).status_code == 303
    assert "Second" in seller.get(page).text


def test_of_two_versions_each_field_is_chosen(seller: FlaskClient) -> None:
    page = sell(seller)
    theirs = FORM | {"title": "Theirs", "venue": "Their hall", "version": "0"}
    assert seller.post(page, data=theirs).status_code == 303
    mine = FORM | {"title": "Mine", "venue": "My hall", "price": "30", "version": "0"}
    stale = hidden_fields(seller.post(page, data=mine).text)
    choice = {"keep-title": "mine", "keep-venue": "stored", "keep-price": "mine"}
    back = seller.post(page, data=stale | choice | {"step": "edit"}).text
    assert 'value="Mine"' in back
    assert 'value="My hall"' in back
    assert seller.post(page, data=stale | choice).status_code == 303
    shown = seller.get(page).text
    assert "Mine" in shown
    assert "Their hall" in shown
    assert "30.00 USD" in shown


def test_a_choice_between_versions_counts_for_those_versions_only(seller: FlaskClient) -> None:
    page = sell(seller)
    seller.post(page, data=FORM | {"title": "First", "version": "0"})
    stale = hidden_fields(seller.post(page, data=FORM | {"title": "Mine", "version": "0"}).text)
    seller.post(page, data=FORM | {"title": "Third", "version": "1"})
    again = seller.post(page, data=stale | {"keep-title": "stored"})
    assert again.status_code == 409
    assert "Third" in again.text


def test_an_edit_of_a_reserved_ticket_says_why_not(seller: FlaskClient, service: Tickets) -> None:
    page = sell(seller, quantity="1")
    service.restock(page.rpartition("/")[2], Stock(0, 1, 1, 0))
    response = seller.post(page, data=FORM | {"version": "0"})
    assert response.status_code == 400
    assert "Ticket is reserved." in response.text
    assert "Reserved" in seller.get(page).text


def test_strangers_neither_edit_nor_withdraw(seller: FlaskClient, stranger: FlaskClient) -> None:
    page = sell(seller)
    assert stranger.get(f"{page}/edit").status_code == 403
    assert stranger.post(page, data=FORM | {"version": "0"}).status_code == 403
    assert stranger.post(f"{page}/withdraw").status_code == 403
    assert "Opera" in stranger.get("/").text


def test_a_withdrawn_ticket_stays_readable(seller: FlaskClient, visitor: FlaskClient) -> None:
    page = sell(seller)
    assert seller.post(f"{page}/withdraw").status_code == 303
    assert "No longer on sale" in visitor.get(page).text
    assert "Opera" not in visitor.get("/").text
    assert "Withdrawn" in seller.get("/tickets/mine").text


def test_a_seller_sees_what_is_taken(seller: FlaskClient, service: Tickets) -> None:
    page = sell(seller, quantity="1234")
    service.restock(page.rpartition("/")[2], Stock(0, 1, 1234, 4))
    shown = re.sub(r"\s+", " ", seller.get("/tickets/mine").text)
    for number in ("1,234", "1,230", "4"):
        assert f"<dd>{number}</dd>" in shown


def test_forms_of_other_sites_are_refused(seller: FlaskClient) -> None:
    response = seller.post("/tickets", data=FORM, headers={"Sec-Fetch-Site": "cross-site"})
    assert response.status_code == 403


def test_an_unknown_ticket_has_a_page_that_says_so(visitor: FlaskClient) -> None:
    response = visitor.get("/tickets/nonsense")
    assert response.status_code == 404
    assert "<h1>" in response.text
