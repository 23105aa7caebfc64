"""The pages: what people see, with and without JavaScript."""

import re

import pytest
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


def test_scrolling_on_asks_for_the_next_cards_alone(seller: FlaskClient) -> None:
    for number in range(3):
        sell(seller, title=f"Concert {number}")
    first = seller.get("/tickets?limit=2&q=concert").text
    more = re.search(r'<li class="more" id="more" hx-get="([^"]+)"', first)
    assert more is not None
    cards = seller.get(more[1].replace("&amp;", "&"), headers=HTMX | {"HX-Target": "more"}).text
    assert cards.strip().startswith("<li")
    assert ("Concert 0" in cards, "Concert 1" in cards, 'rel="next"' in cards) == (
        True,
        False,
        False,
    )


def test_filters_narrow_the_list_and_are_shown_again(seller: FlaskClient) -> None:
    sell(seller, title="Early", startsAt="2027-05-01T20:00", price="10")
    sell(seller, title="Late", startsAt="2027-05-03T23:59", price="30")
    sell(seller, title="Undated", price="20")
    shown = seller.get("/tickets?from=2027-05-02&to=2027-05-03&min=&max=&q=&sort=date").text
    assert ("Late" in shown, "Early" in shown, "Undated" in shown) == (True, False, False)
    assert 'name="from" type="date" value="2027-05-02"' in shown
    cheap = seller.get("/tickets?max=20,00").text
    assert ("Late" in cheap, "Early" in cheap, "Undated" in cheap) == (False, True, True)
    assert "Nothing on sale fits these filters" in seller.get("/tickets?min=31").text


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("from=2027-05-02&to=2027-05-01", "Until must not be before 2027-05-02."),
        ("min=10&max=9.99", "Highest price must not be below 10."),
        ("min=free", "Lowest price must be a number."),
        ("from=1st+of+May", "From must be a date such as 2027-05-01."),
        ("to=2027-02-30", "Until must be a date such as 2027-05-01."),
        ("from=9999-12-31&to=9999-12-31", "From must be in the years 2000 to 2199."),
    ],
)
def test_a_wrong_filter_is_named_and_kept(visitor: FlaskClient, query: str, problem: str) -> None:
    page = visitor.get(f"/tickets?{query}")
    assert page.status_code == 400
    assert problem in page.text
    for name, value in (pair.split("=") for pair in query.split("&")):
        typed = value.replace("+", " ")
        assert re.search(rf'name="{name}" type="\w+" value="{re.escape(typed)}"', page.text)
    fragment = visitor.get(f"/tickets?{query}", headers=HTMX)
    assert fragment.status_code == 400
    assert problem in fragment.text


def test_a_card_follows_availability(
    seller: FlaskClient, visitor: FlaskClient, service: Tickets
) -> None:
    page = sell(seller)
    assert visitor.get(f"{page}/stub?seen=0-0", headers=HTMX).status_code == 204
    service.restock(page.rpartition("/")[2], Stock(0, 1, 3, 1))
    changed = visitor.get(f"{page}/stub?seen=0-0", headers=HTMX).text
    assert "Last one" in changed
    assert "<html" not in changed
    assert visitor.get(f"{page}/stub").headers["Location"] == page


def test_what_has_begun_says_so_and_is_not_offered(
    seller: FlaskClient, stranger: FlaskClient
) -> None:
    page = sell(seller, startsAt="2020-05-01T20:00")
    shown = stranger.get(page).text
    assert "Has begun" in shown
    assert 'action="/orders"' not in shown
    assert "Opera" not in stranger.get("/").text


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


@pytest.mark.parametrize(
    ("field", "values", "problem"),
    [
        ("price", {"price": "0.1"}, "Price of one must be at least 0.50 USD."),
        (
            "price",
            {"price": "1.5", "currency": "jpy"},
            "Price of one must have no decimals in JPY.",
        ),
        ("price", {"price": "12"}, ""),
        ("title", {"price": "12"}, "Title is required."),
        ("quantity", {"quantity": "-3"}, "How many must be at least 1."),
        ("startsAt", {"startsAt": "soon"}, "Starts at must be"),
        ("limitPerPerson", {"limitPerPerson": "101"}, "At most per person must be at most 100."),
        ("limitPerPerson", {"limitPerPerson": ""}, ""),
    ],
)
def test_one_field_is_checked_while_others_are_empty(
    seller: FlaskClient, field: str, values: dict[str, str], problem: str
) -> None:
    answer = seller.post(f"/tickets/check?field={field}", data=values, headers=HTMX)
    assert answer.status_code == 200
    found = re.fullmatch(
        rf'<p class="error" id="{field}-error" [^>]*>(.*)</p>', answer.text.strip()
    )
    assert found is not None
    assert found[1].startswith(problem)
    assert bool(found[1]) == bool(problem)


def test_a_field_that_is_none_is_not_checked(seller: FlaskClient) -> None:
    assert seller.post("/tickets/check?field=<b>", data=FORM, headers=HTMX).status_code == 400


def test_a_preview_stores_nothing_and_leads_back_and_on(seller: FlaskClient) -> None:
    typed = FORM | {"venue": "Hall", "description": "One\n\nTwo <b>"}
    page = seller.post("/tickets", data=typed | {"step": "preview"})
    assert page.status_code == 200
    for text in ("Opera", "20.50 USD", "Hall", "Two &lt;b&gt;"):
        assert text in page.text
    assert "Opera" not in seller.get("/").text
    form = typed | {"idempotencyKey": hidden(page.text, "idempotencyKey")}
    back = seller.post("/tickets", data=form | {"step": "edit"}).text
    assert 'value="20,50"' in back
    assert hidden(back, "idempotencyKey") == form["idempotencyKey"]
    first, second = (seller.post("/tickets", data=form) for _ in range(2))
    assert first.status_code == 303
    assert first.headers["Location"] == second.headers["Location"]


def test_a_preview_of_an_edit_changes_nothing(seller: FlaskClient) -> None:
    page = sell(seller)
    shown = seller.post(page, data=FORM | {"title": "New", "version": "0", "step": "preview"}).text
    assert "New" in shown
    assert f'action="{page}"' in shown
    assert "Opera" in seller.get(page).text


def test_a_wrong_preview_is_the_form_again(seller: FlaskClient) -> None:
    page = seller.post("/tickets", data=FORM | {"price": "x", "step": "preview"})
    assert page.status_code == 400
    assert "Price of one must be a number" in page.text


def test_the_quantity_is_changed_by_itself(seller: FlaskClient, service: Tickets) -> None:
    page = sell(seller)
    changed = seller.post(f"{page}/quantity", data={"quantity": "7", "version": "0"})
    assert (changed.status_code, changed.headers["Location"]) == (303, page)
    assert "7 left" in seller.get(page).text
    service.restock(page.rpartition("/")[2], Stock(0, 1, 7, 3))
    refused = seller.post(f"{page}/quantity", data={"quantity": "3", "version": "1"})
    assert refused.status_code == 400
    assert "How many must be at least 4" in refused.text
    assert 'value="3"' in refused.text


def test_a_limit_per_person_is_shown_and_bounds_what_one_can_ask_for(
    seller: FlaskClient, stranger: FlaskClient
) -> None:
    page = sell(seller, quantity="50", limitPerPerson="4")
    shown = stranger.get(page).text
    assert "At most 4 per person" in shown
    assert 'min="1" max="4"' in shown
    assert 'value="4"' in seller.get(f"{page}/edit").text
    assert seller.post(page, data=FORM | {"limitPerPerson": "", "version": "0"}).status_code == 303
    assert "per person" not in stranger.get(page).text


def test_a_limit_that_stops_nobody_is_not_mentioned(
    seller: FlaskClient, stranger: FlaskClient
) -> None:
    page = sell(seller, quantity="3", limitPerPerson="3")
    assert "per person" not in stranger.get(page).text
    only = sell(seller, quantity="50", limitPerPerson="1")
    shown = stranger.get(only).text
    assert "At most 1 per person" in shown
    assert 'name="quantity" value="1"' in shown


def test_a_preview_shows_the_limit_per_person(seller: FlaskClient) -> None:
    page = seller.post("/tickets", data=FORM | {"limitPerPerson": "2", "step": "preview"}).text
    assert "At most 2 per person" in page
    assert hidden(page, "limitPerPerson") == "2"


def test_of_two_limits_one_is_chosen(seller: FlaskClient) -> None:
    page = sell(seller, quantity="50")
    assert seller.post(page, data=FORM | {"limitPerPerson": "2", "version": "0"}).status_code == 303
    stale = seller.post(page, data=FORM | {"limitPerPerson": "", "version": "0"})
    assert stale.status_code == 409
    assert re.search("At most per person.*Stored now.*2.*Yours.*Nothing", stale.text, re.DOTALL)
    form = hidden_fields(stale.text) | {"keep-limitPerPerson": "stored"}
    assert seller.post(page, data=form).status_code == 303
    assert "At most 2 per person" in seller.get(page).text


def test_a_stale_quantity_is_chosen_between_too(seller: FlaskClient) -> None:
    page = sell(seller)
    assert seller.post(page, data=FORM | {"quantity": "5", "version": "0"}).status_code == 303
    stale = seller.post(f"{page}/quantity", data={"quantity": "9", "version": "0"})
    assert stale.status_code == 409
    form = hidden_fields(stale.text) | {"keep-quantity": "mine"}
    assert seller.post(page, data=form).status_code == 303
    assert "9 left" in seller.get(page).text


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
    assert stranger.get(f"{page}/withdraw").status_code == 403
    assert stranger.post(f"{page}/withdraw").status_code == 403
    assert stranger.post(f"{page}/quantity", data={"quantity": 1, "version": 0}).status_code == 403
    assert "Opera" in stranger.get("/").text


def test_a_withdrawn_ticket_stays_readable(seller: FlaskClient, visitor: FlaskClient) -> None:
    page = sell(seller)
    asked = seller.get(f"{page}/withdraw").text
    assert f'action="{page}/withdraw" method="post"' in asked
    assert "Opera" in visitor.get("/").text
    assert seller.post(f"{page}/withdraw").status_code == 303
    assert seller.get(f"{page}/withdraw").headers["Location"] == page
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
