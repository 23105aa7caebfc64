"""The pages, without JavaScript."""

import re

import pytest
from flask.testing import FlaskClient
from pymongo.errors import ServerSelectionTimeoutError
from werkzeug.test import TestResponse

from .conftest import PASSWORD, World, current, post, token_of


def submit(client: FlaskClient, page: str, **form: str) -> TestResponse:
    return client.post(f"/account/{page}", data=form)


def test_signing_up_by_form(world: World) -> None:
    client = world.client()
    assert 'action="/account/signup"' in client.get("/account/signup").text
    answer = submit(client, "signup", email="Ada@example.com", password=PASSWORD)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert current(client)["email"] == "ada@example.com"


def test_signing_in_goes_on_where_somebody_was(world: World) -> None:
    world.sign_up()
    client = world.client()
    page = client.get("/account/signin?next=/orders/7%3Fa%3D1").text
    [hidden] = re.findall(r'name="next" value="([^"]+)"', page)
    answer = submit(client, "signin", email="ada@example.com", password=PASSWORD, next=hidden)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/orders/7?a=1")


ELSEWHERE = [
    "https://evil.example",
    "//evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/\t/evil.example",
    "javascript:alert(1)",
    "/\r\nSet-Cookie: x=y",
    "evil.example",
]


@pytest.mark.parametrize("elsewhere", ELSEWHERE)
@pytest.mark.parametrize("page", ["signin", "signup"])
def test_next_never_leads_to_another_site(world: World, page: str, elsewhere: str) -> None:
    known = world.sign_up()
    email = "ada@example.com" if page == "signin" else "new@example.com"
    answer = submit(world.client(), page, email=email, password=PASSWORD, next=elsewhere)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    already = known.get(f"/account/{page}", query_string={"next": elsewhere})
    assert (already.status_code, already.headers["Location"]) == (303, "/")


def test_a_refused_form_keeps_the_address_and_never_the_password(world: World) -> None:
    world.sign_up()
    answer = submit(
        world.client(), "signin", email="ada@example.com", password="wrong password", next="/orders"
    )
    assert answer.status_code == 400
    assert "Invalid credentials." in answer.text
    assert 'value="ada@example.com"' in answer.text
    assert 'value="/orders"' in answer.text
    assert "wrong password" not in answer.text
    assert answer.headers["Cache-Control"] == "private, no-cache"


def test_each_mistake_is_told_at_its_field(world: World) -> None:
    answer = submit(world.client(), "signup", email="<script>", password="short")
    assert answer.status_code == 400
    assert "<script>" not in re.sub(r"<script src=[^>]*>", "", answer.text)
    assert "E-mail address must be an e-mail address such as name@example.com." in answer.text
    assert "Password must have 8 to 128 characters." in answer.text
    assert 'aria-describedby="email-error"' in answer.text
    assert 'aria-describedby="password-hint password-error"' in answer.text
    assert "Please correct" in answer.text


def test_an_address_in_use_is_told_at_its_field(world: World) -> None:
    world.sign_up()
    answer = submit(world.client(), "signup", email="ada@example.com", password=PASSWORD)
    assert answer.status_code == 400
    assert 'id="email-error"' in answer.text
    assert "Email in use." in answer.text


def test_htmx_gets_the_form_alone_and_is_sent_on(world: World) -> None:
    htmx = {"HX-Request": "true"}
    client = world.client()
    data = {"email": "ada@example.com", "password": "short"}
    refused = client.post("/account/signup", data=data, headers=htmx)
    assert refused.status_code == 400
    assert "<html" not in refused.text
    assert "<form" in refused.text
    accepted = client.post("/account/signup", data={**data, "password": PASSWORD}, headers=htmx)
    assert accepted.headers["HX-Redirect"] == "/"


def test_the_account_page_asks_to_sign_in_and_comes_back(world: World) -> None:
    answer = world.client().get("/account")
    assert answer.status_code == 303
    assert answer.headers["Location"] == "/account/signin?next=/account"


def test_the_account_page_tells_who_and_where(world: World) -> None:
    here = world.sign_up()
    assert "Only here" in here.get("/account").text
    there = world.client()
    post(there, "signin", email="ada@example.com", password=PASSWORD)
    page = here.get("/account").text
    assert "ada@example.com" in page
    assert "1 other place" in page


def test_signing_out_everywhere_else_leaves_this_session(world: World) -> None:
    here, bystander = world.sign_up(), world.sign_up("bob@example.com")
    others = [world.client() for _ in range(2)]
    for other in others:
        post(other, "signin", email="ada@example.com", password=PASSWORD)
    answer = here.post("/account/signout-elsewhere")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/account")
    page = here.get("/account").text
    assert "Signed out in 2 other places" in page
    assert "Only here" in page
    assert [current(other) for other in others] == [None, None]
    assert current(bystander) is not None
    revoked = world.service.sessions.aggregates.collection.find({"outbox.0": {"$exists": True}})
    assert len(list(revoked)) == 2


def test_signing_out_by_form(world: World) -> None:
    client = world.sign_up()
    stolen = token_of(client)
    answer = client.post("/account/signout")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    client.set_cookie("session", stolen)
    assert current(client) is None


def test_signing_out_needs_a_post(world: World) -> None:
    client = world.sign_up()
    assert client.get("/account/signout").status_code == 405
    assert current(client) is not None


def test_pages_are_private_and_static_files_are_kept_for_ever(world: World) -> None:
    client = world.sign_up()
    page = client.get("/account")
    assert page.headers["Cache-Control"] == "no-store"
    assert "HX-Request" in page.headers["Vary"]
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "style=" not in page.text
    for path in re.findall(r'(?:href|src)="(/account/static/[^"]+)"', page.text):
        with client.get(path) as file:
            assert file.status_code == 200
            assert "immutable" in file.headers["Cache-Control"]
    assert client.get("/account/static/../../config.py").status_code == 404


# --- refusals -------------------------------------------------------------------------------------


def test_a_refused_page_says_what_and_offers_a_way_on(world: World) -> None:
    answer = world.client().get("/account/nothing-here")
    assert answer.status_code == 404
    assert "<h1>Not found</h1>" in answer.text
    assert 'href="/"' in answer.text


def test_a_refused_post_of_htmx_keeps_the_form_that_was_sent(world: World) -> None:
    headers = {"HX-Request": "true", "Sec-Fetch-Site": "cross-site"}
    answer = world.client().post("/account/signin", headers=headers)
    assert answer.status_code == 403
    assert answer.headers["HX-Retarget"] == "#notices"
    assert "<html" not in answer.text
    assert "This request came from another site" in answer.text


def test_a_part_that_is_away_offers_to_try_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = world.sign_up()
    asked = 0

    def away(*_: object, **__: object) -> None:
        nonlocal asked
        asked += 1
        raise ServerSelectionTimeoutError("no server")

    monkeypatch.setattr(world.service.sessions.aggregates.collection, "find_one", away)
    page = client.get("/account?tab=1")
    assert page.status_code == 503
    assert 'href="/account?tab=1">Try again' in page.text
    assert asked == 1, "the error page must not wait for the database once more"
    fragment = client.get("/account?tab=1", headers={"HX-Request": "true"})
    assert 'hx-get="/account?tab=1"' in fragment.text
    assert "HX-Retarget" not in fragment.headers
