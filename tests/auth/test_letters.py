"""Links in mails: what they do, and that they do it once, in time, for their own purpose."""

import re
import time
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace

import jwt
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from apps.auth import letters
from apps.auth.letters import GOOD_FOR, NEW_EMAIL, RESET, VERIFICATION

from .conftest import PASSWORD, World, current, errors_of, post, token_of

Build = Callable[..., World]
ADA = "ada@example.com"
NEW = "a new password"
SPENT = "This link was used, replaced or has expired; ask for a new one"


@pytest.fixture
def strict(build: Build) -> World:
    """Where addresses are confirmed."""
    return build(verify_email=True)


def confirm(world: World, token: str) -> TestResponse:
    return post(world.client(), "verification/confirm", token=token)


def spent(answer: TestResponse) -> bool:
    return answer.status_code == 400 and errors_of(answer) == [("token", SPENT)]


def after(patch: pytest.MonkeyPatch, age: timedelta) -> None:
    """Links are judged by a clock that is a little more than so much later."""
    late = time.time() + age.total_seconds() + 2
    patch.setattr("itsdangerous.timed.time", SimpleNamespace(time=lambda: late))


# --- the address ----------------------------------------------------------------------------------


def test_a_new_account_is_asked_to_confirm_its_address(strict: World) -> None:
    strict.sign_up()
    assert confirm(strict, strict.link_token()).json["email"] == ADA
    assert strict.account().verified


def test_the_link_works_once(strict: World) -> None:
    strict.sign_up()
    token = strict.link_token()
    assert confirm(strict, token).status_code == 200
    assert spent(confirm(strict, token))


def test_nobody_is_asked_where_addresses_need_no_confirmation(world: World) -> None:
    client = world.sign_up()
    assert world.mails() == []
    answer = post(client, "verification")
    assert errors_of(answer) == [(None, "Your address is confirmed already")]


def test_the_link_can_be_asked_for_again_and_the_newer_kills_no_older(strict: World) -> None:
    client = strict.sign_up()
    first = strict.link_token()
    assert post(client, "verification").status_code == 202
    second = strict.link_token()
    assert confirm(strict, second).status_code == 200
    assert spent(confirm(strict, first))


def test_the_session_learns_of_it_at_the_next_look(strict: World) -> None:
    client = strict.sign_up()
    before = token_of(client)
    client.get("/account")
    assert token_of(client) == before
    confirm(strict, strict.link_token())
    client.get("/account")
    assert token_of(client) != before
    again = token_of(client)
    client.get("/account")
    assert token_of(client) == again


def sign_up_by_form(world: World, going_to: str) -> FlaskClient:
    client = world.client()
    form = {"email": ADA, "password": PASSWORD, "next": going_to}
    assert client.post("/account/signup", data=form).status_code == 303
    return client


def open_and_confirm(client: FlaskClient, link: str) -> TestResponse:
    """As a browser does: look at the page of the link, and send its form."""
    page = client.get(link).text
    return client.post("/account/verify", data=dict(re.findall(HIDDEN, page)))


HIDDEN = re.compile(r'type="hidden" name="(\w+)" value="([^"]*)"')


@pytest.mark.parametrize("same_browser", [True, False])
def test_the_link_leads_back_to_where_somebody_was_going(strict: World, same_browser: bool) -> None:
    client = sign_up_by_form(strict, "/tickets/new?from=here")
    here = client if same_browser else strict.client()
    done = open_and_confirm(here, strict.link())
    assert (done.status_code, done.headers["Location"]) == (303, "/tickets/new?from=here")
    assert strict.account().verified
    if same_browser:  # whose cookie must say so already, or the form is refused there
        renewed = jwt.decode(token_of(client), options={"verify_signature": False})
        assert renewed["verified"]
    else:
        assert current(here) is None


@pytest.mark.parametrize(
    "going_to", ["/", "//evil.example", "https://evil.example", "/" + "x" * 200]
)
def test_without_a_way_back_the_link_leads_to_the_account(strict: World, going_to: str) -> None:
    client = sign_up_by_form(strict, going_to)
    link = strict.link()
    assert "next" not in link
    assert open_and_confirm(client, link).headers["Location"] == "/account"


def test_a_link_leads_to_no_other_site(strict: World) -> None:
    strict.sign_up()
    link = f"{strict.link()}&next=//evil.example/"
    assert open_and_confirm(strict.client(), link).headers["Location"] == "/account"


def test_asking_for_the_link_again_keeps_the_way_back(strict: World) -> None:
    client = strict.sign_up()
    strict.mails()
    page = client.get("/account?next=/tickets/new").text
    client.post("/account/verification", data=dict(re.findall(HIDDEN, page)))
    assert open_and_confirm(client, strict.link()).headers["Location"] == "/tickets/new"


@pytest.mark.parametrize("token", ["x", "a.b.c", "", {"$gt": ""}, None, ["x"], "é" * 2_001])
def test_what_is_no_link_is_a_field_error(strict: World, token: object) -> None:
    answer = post(strict.client(), "verification/confirm", token=token)
    assert answer.status_code == 400
    assert errors_of(answer)[0][0] == "token"


def test_an_expired_link_is_refused(strict: World, monkeypatch: pytest.MonkeyPatch) -> None:
    strict.sign_up()
    token = strict.link_token()
    with monkeypatch.context() as patch:
        after(patch, GOOD_FOR[VERIFICATION])
        assert spent(confirm(strict, token))
    assert confirm(strict, token).status_code == 200


def test_a_link_is_for_one_purpose(strict: World) -> None:
    strict.sign_up()
    token = strict.link_token()
    assert spent(post(strict.client(), "password/reset", token=token, password="another one"))
    assert spent(post(strict.client(), "email/confirm", token=token))
    assert not strict.account().verified


def test_a_link_signed_with_the_key_that_all_services_know_is_refused(strict: World) -> None:
    """A service that is broken into can't confirm addresses or reset passwords."""
    strict.sign_up()
    account = strict.account()
    forger = letters.Links(strict.settings.secret_key)
    for purpose, path in ((VERIFICATION, "verification/confirm"), (RESET, "password/reset")):
        token = forger.sign(purpose, account.id, account.generation, account.email)
        assert spent(post(strict.client(), path, token=token, password="another one"))


def test_links_survive_a_change_of_the_key(build: Build) -> None:
    old = build(verify_email=True)
    old.sign_up()
    token = old.link_token()
    new_key = "another secret of the tests, long enough"
    stranger = build(verify_email=True, jwt_key=new_key)
    assert spent(confirm(stranger, token))
    rotated = build(verify_email=True, jwt_key=new_key, jwt_key_previous=old.settings.jwt_key)
    assert confirm(rotated, token).status_code == 200


def test_looking_at_a_link_does_nothing(strict: World) -> None:
    """Mail programs fetch links to look at them."""
    strict.sign_up()
    link = strict.link()
    page = strict.client().get(link)
    assert page.status_code == 200
    assert ADA in page.text
    assert not strict.account().verified
    token = link.partition("token=")[2]
    done = strict.client().post("/account/verify", data={"token": token})
    assert (done.status_code, done.headers["Location"]) == (303, "/account")
    assert strict.account().verified
    again = strict.client().get(link)
    assert again.status_code == 400
    assert SPENT in again.text
    assert "<button" not in again.text.partition("<main")[2]


def test_the_account_page_tells_what_is_missing(strict: World) -> None:
    client = strict.sign_up()
    strict.mails()
    assert "not confirmed" in client.get("/account").text
    answer = client.post("/account/verification")
    assert answer.status_code == 303
    assert "on its way" in client.get("/account").text
    confirm(strict, strict.link_token())
    assert "not confirmed" not in client.get("/account").text
    client.post("/account/verification")
    assert "confirmed already" in client.get("/account").text


def test_a_mailbox_is_not_filled_by_asking(build: Build) -> None:
    world = build(verify_email=True, rate_limits=True)
    client = world.sign_up()
    answers = [post(client, "verification").status_code for _ in range(6)]
    assert answers == [202] * 5 + [429]


# --- the password ---------------------------------------------------------------------------------


def forget(world: World, email: str = ADA) -> TestResponse:
    return post(world.client(), "password/forgotten", email=email)


def reset(world: World, token: str, password: str = NEW) -> TestResponse:
    return post(world.client(), "password/reset", token=token, password=password)


def signs_in(world: World, password: str) -> bool:
    return post(world.client(), "signin", email=ADA, password=password).status_code == 200


def test_a_forgotten_password_is_set_anew_by_link(world: World) -> None:
    client = world.sign_up()
    assert forget(world).status_code == 202
    assert reset(world, world.link_token()).status_code == 200
    assert signs_in(world, "a new password")
    assert not signs_in(world, PASSWORD)
    assert current(client) is None, "whoever was signed in is not any more"


def test_the_answer_is_the_same_for_an_unknown_address(world: World) -> None:
    world.sign_up()
    known, unknown = forget(world), forget(world, "nobody@example.com")
    assert (known.status_code, known.data) == (unknown.status_code, unknown.data)
    pages = [
        world.client().post("/account/forgotten", data={"email": email}).text.partition("<main")[2]
        for email in (ADA, "nobody@example.com")
    ]
    assert pages[0] == pages[1].replace("nobody@example.com", ADA)
    assert [mail["To"] for mail in world.mails()] == [ADA, ADA]


def test_a_reset_works_once(world: World) -> None:
    world.sign_up()
    forget(world)
    token = world.link_token()
    assert reset(world, token).status_code == 200
    assert spent(reset(world, token, "yet another one"))
    assert signs_in(world, "a new password")


def test_a_reset_dies_when_the_password_changes(world: World) -> None:
    client = world.sign_up()
    forget(world)
    token = world.link_token()
    change = {"old": PASSWORD, "password": "changed by hand"}
    assert client.put("/api/users/password", json=change).status_code == 200
    assert spent(reset(world, token))
    assert signs_in(world, "changed by hand")


def test_a_reset_expires_after_an_hour(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert GOOD_FOR[RESET] == timedelta(hours=1)
    world.sign_up()
    forget(world)
    token = world.link_token()
    after(monkeypatch, timedelta(hours=1))
    assert spent(reset(world, token))


def test_a_bad_new_password_keeps_the_link(world: World) -> None:
    world.sign_up()
    forget(world)
    token = world.link_token()
    assert [field for field, _ in errors_of(reset(world, token, "short"))] == ["password"]
    page = world.client().post("/account/reset", data={"token": token, "password": "short"})
    assert page.status_code == 400
    assert token in page.text
    assert page.headers["Cache-Control"] == "no-store"
    done = world.client().post("/account/reset", data={"token": token, "password": "long enough"})
    assert (done.status_code, done.headers["Location"]) == (303, "/account/signin")
    assert signs_in(world, "long enough")


def test_the_owner_is_told_of_a_reset(world: World) -> None:
    world.sign_up()
    forget(world)
    reset(world, world.link_token())
    [mail] = world.mails()
    assert (mail["To"], mail["Subject"]) == (ADA, "Your password was changed")


def test_a_disabled_account_gets_no_link(world: World) -> None:
    world.sign_up()
    forget(world)
    token = world.link_token()
    world.service.set_disabled(world.account().id, disabled=True)
    forget(world)
    assert world.mails() == []
    assert spent(reset(world, token))


def test_asking_to_reset_is_limited_for_known_and_unknown_alike(build: Build) -> None:
    world = build(rate_limits=True)
    world.sign_up()
    for email in (ADA, "nobody@example.com"):
        assert [forget(world, email).status_code for _ in range(6)] == [202] * 5 + [429]


# --- another address ------------------------------------------------------------------------------


def ask_for(client: FlaskClient, email: str, password: str = PASSWORD) -> TestResponse:
    return post(client, "email", email=email, password=password)


def test_a_new_address_counts_once_it_is_confirmed(world: World) -> None:
    client = world.sign_up()
    assert ask_for(client, "Lovelace@Example.com").status_code == 202
    assert world.account().email == ADA
    token = world.link_token()
    assert (
        post(world.client(), "email/confirm", token=token).json["email"] == "lovelace@example.com"
    )
    assert world.account("lovelace@example.com").verified
    assert world.service.accounts.by_email(ADA) is None
    [told] = world.mails()
    assert (told["To"], told["Subject"]) == (ADA, "Your e-mail address was changed")
    client.get("/account")
    assert current(client)["email"] == "lovelace@example.com"
    assert spent(post(world.client(), "email/confirm", token=token))


def test_the_letter_goes_to_the_new_address_alone(world: World) -> None:
    ask_for(world.sign_up(), "lovelace@example.com")
    assert [mail["To"] for mail in world.mails()] == ["lovelace@example.com"]


def test_a_new_address_needs_the_password(world: World) -> None:
    answer = ask_for(world.sign_up(), "lovelace@example.com", "wrong password")
    assert errors_of(answer) == [("password", "That is not your password")]
    assert world.mails() == []


def test_an_address_in_use_is_refused_when_asked_and_when_confirmed(world: World) -> None:
    client = world.sign_up()
    world.sign_up("bob@example.com")
    assert errors_of(ask_for(client, "bob@example.com")) == [("email", "Email in use")]
    ask_for(client, "eve@example.com")
    token = world.link_token()
    world.sign_up("eve@example.com")
    answer = post(world.client(), "email/confirm", token=token)
    assert errors_of(answer) == [("email", "Email in use")]
    assert world.account().email == ADA


def test_the_other_services_hear_of_the_address(world: World) -> None:
    ask_for(world.sign_up(), "lovelace@example.com")
    post(world.client(), "email/confirm", token=world.link_token())
    [document] = world.service.accounts.aggregates.collection.find()
    assert [entry["data"]["email"] for entry in document["outbox"]] == [ADA, "lovelace@example.com"]


def test_the_page_of_a_new_address(world: World) -> None:
    client = world.sign_up()
    assert ADA in client.get("/account/email").text
    wrong = client.post("/account/email", data={"email": "x@example.com", "password": "wrong one"})
    assert wrong.status_code == 400
    assert 'value="x@example.com"' in wrong.text
    form = {"email": "lovelace@example.com", "password": PASSWORD}
    assert client.post("/account/email", data=form).status_code == 303
    link = world.link()
    assert link.startswith("/account/email/confirm?")
    assert "lovelace@example.com" in world.client().get(link).text
    data = {"token": link.partition("token=")[2]}
    assert client.post("/account/email/confirm", data=data).status_code == 303
    assert world.account("lovelace@example.com")


@pytest.mark.parametrize("purpose", [VERIFICATION, RESET, NEW_EMAIL])
def test_every_link_has_a_page_that_says_when_it_is_spent(world: World, purpose: str) -> None:
    answer = world.client().get(f"{letters.PATHS[purpose]}?token=nonsense")
    assert answer.status_code == 400
    assert SPENT in answer.text
