"""The second factor: a code each time, each code once."""

import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from flask.testing import FlaskClient
from pyotp.totp import TOTP
from werkzeug.test import TestResponse

from apps.auth import factors
from apps.auth.auditing import Search

from .conftest import PASSWORD, World, current, errors_of, post

Build = Callable[..., World]
ADA = "ada@example.com"
WRONG = "That code is wrong or was used before; wait for the next one"
NEEDED = "code is required: the six digits that your app shows, or a recovery code"


class App:
    """Somebody's phone, and the clock that it shares with the service."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now = float(int(time.time()) // 30 * 30)
        self.secret = ""
        patch.setattr(factors, "time", SimpleNamespace(time=lambda: self.now))

    def code(self, steps: int = 0) -> str:
        return TOTP(self.secret).at(int(self.now) + 30 * steps)

    def wait(self, seconds: int = 30) -> None:
        self.now += seconds


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> App:
    return App(monkeypatch)


def turn_on(client: FlaskClient, app: App) -> list[str]:
    setup = post(client, "factor/setup").json
    app.secret = setup["secret"]
    assert setup["secret"] in setup["uri"]
    body = {"setup": setup["setup"], "code": app.code(), "password": PASSWORD}
    answer = client.put("/api/users/factor", json=body)
    assert answer.status_code == 200, answer.text
    app.wait()
    return answer.json["recoveryCodes"]


def enter(world: World, code: str | None = None) -> TestResponse:
    body = {"email": ADA, "password": PASSWORD} | ({"code": code} if code else {})
    return post(world.client(), "signin", **body)


def test_the_password_alone_opens_nothing(world: World, app: App) -> None:
    turn_on(world.sign_up(), app)
    answer = enter(world)
    assert (answer.status_code, errors_of(answer)) == (400, [("code", NEEDED)])
    assert "Set-Cookie" not in answer.headers
    assert enter(world, app.code()).status_code == 200


def test_a_wrong_password_does_not_tell_of_the_factor(world: World, app: App) -> None:
    turn_on(world.sign_up(), app)
    answer = post(world.client(), "signin", email=ADA, password="wrong one", code=app.code())
    assert errors_of(answer) == [(None, "Invalid credentials")]


def test_a_code_is_good_once(world: World, app: App) -> None:
    turn_on(world.sign_up(), app)
    code = app.code()
    assert enter(world, code).status_code == 200
    assert errors_of(enter(world, code)) == [("code", WRONG)]
    app.wait()
    assert enter(world, app.code(-1)).status_code == 400, "an older one is spent with it"
    assert enter(world, app.code()).status_code == 200


def test_the_code_that_turned_it_on_is_spent(world: World, app: App) -> None:
    turn_on(world.sign_up(), app)
    assert enter(world, app.code(-1)).status_code == 400


@pytest.mark.parametrize(("steps", "status"), [(-2, 400), (1, 200), (2, 400)])
def test_clocks_may_differ_by_one_step(world: World, app: App, steps: int, status: int) -> None:
    turn_on(world.sign_up(), app)
    app.wait(300)
    assert enter(world, app.code(steps)).status_code == status


@pytest.mark.parametrize("code", ["000000x", "", " ", "١٢٣٤٥٦", "null", "-" * 40, "x" * 41])
def test_what_is_no_code_is_a_field_error(world: World, app: App, code: str) -> None:
    turn_on(world.sign_up(), app)
    answer = post(world.client(), "signin", email=ADA, password=PASSWORD, code=code)
    assert answer.status_code == 400
    assert errors_of(answer)[0][0] == "code"


def test_spaces_in_a_code_do_not_matter(world: World, app: App) -> None:
    turn_on(world.sign_up(), app)
    code = app.code()
    assert enter(world, f" {code[:3]} {code[3:]} ").status_code == 200


def test_a_recovery_code_lets_in_once(world: World, app: App) -> None:
    codes = turn_on(world.sign_up(), app)
    assert len(set(codes)) == 10
    assert enter(world, codes[0].upper()).status_code == 200
    assert enter(world, codes[0]).status_code == 400
    assert enter(world, codes[1].replace("-", "")).status_code == 200


def test_recovery_codes_are_kept_as_hashes(world: World, app: App) -> None:
    codes = turn_on(world.sign_up(), app)
    stored = repr(world.service.accounts.aggregates.collection.find_one())
    assert not [code for code in codes if code in stored or code.replace("-", "") in stored]


def test_codes_are_limited_for_all_clients_together(build: Build, app: App) -> None:
    world = build(rate_limits=True)
    turn_on(world.sign_up(), app)
    statuses = [
        world.client()
        .post(
            "/api/users/signin",
            json={"email": ADA, "password": PASSWORD, "code": "000000"},
            headers={"X-Forwarded-For": f"192.0.2.{number}"},
        )
        .status_code
        for number in range(6)
    ]
    assert statuses == [400] * 5 + [429]


def test_turning_it_on_needs_a_code_and_the_password(world: World, app: App) -> None:
    client = world.sign_up()
    setup = post(client, "factor/setup").json
    app.secret = setup["secret"]

    def attempt(**changes: str) -> list[tuple[str | None, str]]:
        good = {"setup": setup["setup"], "code": app.code(), "password": PASSWORD}
        return errors_of(client.put("/api/users/factor", json={**good, **changes}))

    assert attempt(code="000000") == [("code", WRONG)]
    assert attempt(password="wrong one") == [("password", "That is not your password")]
    assert attempt(setup="forged")[0][0] == "setup"
    assert world.account().factor is None


def test_a_setup_is_of_one_account(world: World, app: App) -> None:
    eve = post(world.sign_up("eve@example.com"), "factor/setup").json
    app.secret = eve["secret"]
    body = {"setup": eve["setup"], "code": app.code(), "password": PASSWORD}
    answer = world.sign_up().put("/api/users/factor", json=body)
    assert errors_of(answer)[0][0] == "setup"


def test_it_is_not_replaced_while_it_is_on(world: World, app: App) -> None:
    client = world.sign_up()
    turn_on(client, app)
    assert post(client, "factor/setup").status_code == 400


def test_turning_it_off_needs_the_password(world: World, app: App) -> None:
    client = world.sign_up()
    turn_on(client, app)
    wrong = client.delete("/api/users/factor", json={"password": "wrong one"})
    assert wrong.status_code == 400
    assert enter(world).status_code == 400
    assert client.delete("/api/users/factor", json={"password": PASSWORD}).status_code == 204
    assert enter(world).status_code == 200


def test_an_operator_helps_who_lost_the_app_and_the_codes(world: World, app: App) -> None:
    turn_on(world.sign_up(), app)
    assert enter(world).status_code == 400
    world.service.drop_factor(world.account(ADA).id)
    assert enter(world).status_code == 200
    noted, _ = world.service.audit.log.page(Search(kind="factor.off"), None, 10)
    assert [(each.actor, each.target) for each in noted] == [("", f"user:{world.account(ADA).id}")]


def test_a_reset_of_the_password_leaves_it_on(world: World, app: App) -> None:
    """Who can read the mails is not in yet."""
    turn_on(world.sign_up(), app)
    post(world.client(), "password/forgotten", email=ADA)
    body = {"token": world.link_token(), "password": "a new password"}
    assert post(world.client(), "password/reset", **body).status_code == 200
    answer = post(world.client(), "signin", email=ADA, password="a new password")
    assert errors_of(answer) == [("code", NEEDED)]


# --- the pages ------------------------------------------------------------------------------------


def hidden(page: str, name: str) -> str:
    return page.partition(f'name="{name}" value="')[2].partition('"')[0]


def first_step(client: FlaskClient, **form: str) -> str:
    page = client.post("/account/signin", data={"email": ADA, "password": PASSWORD, **form})
    assert page.status_code == 200
    assert "One more step" in page.text
    assert PASSWORD not in page.text
    return hidden(page.text, "step")


def test_signing_in_in_two_steps(world: World, app: App) -> None:
    turn_on(world.sign_up(), app)
    client = world.client()
    form = {"step": first_step(client, next="/orders"), "next": "/orders"}
    assert current(client) is None
    wrong = client.post("/account/signin/code", data={**form, "code": "000000"})
    assert wrong.status_code == 400
    assert hidden(wrong.text, "step") == form["step"]
    assert wrong.headers["Cache-Control"] == "no-store"
    done = client.post("/account/signin/code", data={**form, "code": app.code()})
    assert (done.status_code, done.headers["Location"]) == (303, "/orders")
    assert current(client) is not None


def test_the_first_step_is_forgotten_when_the_password_changes(world: World, app: App) -> None:
    here = world.sign_up()
    turn_on(here, app)
    client = world.client()
    step = first_step(client)
    here.put("/api/users/password", json={"old": PASSWORD, "password": "a new password"})
    answer = client.post("/account/signin/code", data={"step": step, "code": app.code()})
    assert answer.status_code == 400
    assert "sign in again" in answer.text
    assert current(client) is None


@pytest.mark.parametrize("step", ["", "forged", "a.b.c"])
def test_the_first_step_can_not_be_skipped(world: World, app: App, step: str) -> None:
    turn_on(world.sign_up(), app)
    client = world.client()
    client.post("/account/signin/code", data={"step": step, "code": app.code()})
    assert current(client) is None


def test_turning_it_on_by_form_keeps_the_secret_after_a_typo(world: World, app: App) -> None:
    client = world.sign_up()
    page = client.get("/account/second-factor").text
    assert 'src="data:image/svg+xml' in page
    form = {"setup": hidden(page, "setup"), "password": PASSWORD}
    app.secret = factors.Factors(world.service, world.services.factors.links)._secret(
        world.account(), form["setup"]
    )
    again = client.post("/account/second-factor", data={**form, "code": "000000"})
    assert again.status_code == 400
    assert app.secret[:4] in again.text
    assert again.headers["Cache-Control"] == "no-store"
    done = client.post("/account/second-factor", data={**form, "code": app.code()})
    assert done.status_code == 200
    assert done.text.count("<li><code>") == 10
    assert done.headers["Cache-Control"] == "no-store"
    assert "10 recovery codes left" in client.get("/account/second-factor").text
    off = client.post("/account/second-factor/off", data={"password": PASSWORD})
    assert off.status_code == 303
    assert world.account().factor is None
