"""How often somebody may try."""

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from .conftest import PASSWORD, World, errors_of, post

Build = Callable[..., World]


def attempt(
    client: FlaskClient, email: str = "ada@example.com", ip: str = "192.0.2.1", **headers: str
) -> TestResponse:
    return client.post(
        "/api/users/signin",
        json={"email": email, "password": "wrong password"},
        headers={"X-Forwarded-For": ip, **headers},
    )


def statuses(answers: list[TestResponse]) -> list[int]:
    return [answer.status_code for answer in answers]


WAIT = "Too many attempts to sign in; wait before you try again"


def test_five_attempts_a_minute_on_one_account(build: Build) -> None:
    client = build(rate_limits=True).client()
    answers = [attempt(client) for _ in range(7)]
    assert statuses(answers) == [400] * 5 + [429] * 2
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 61
    assert errors_of(answers[-1]) == [(None, WAIT)]


def test_the_right_password_is_no_guess(build: Build) -> None:
    world = build(rate_limits=True)
    world.sign_up()
    for _ in range(12):
        right = post(world.client(), "signin", email="ada@example.com", password=PASSWORD)
        assert right.status_code == 200
    guesses = [
        post(world.client(), "signin", email="ada@example.com", password="wrong password")
        for _ in range(6)
    ]
    assert statuses(guesses) == [400] * 5 + [429]


def test_writing_the_address_in_another_way_gives_no_more_attempts(build: Build) -> None:
    client = build(rate_limits=True).client()
    for _ in range(5):
        attempt(client)
    assert attempt(client, " ADA@EXAMPLE.COM ").status_code == 429


def test_the_page_and_the_api_count_together(build: Build) -> None:
    client = build(rate_limits=True).client()
    form = {"email": "ada@example.com", "password": "wrong password"}
    forwarded = {"X-Forwarded-For": "192.0.2.1"}
    for _ in range(3):
        attempt(client)
        client.post("/account/signin", data=form, headers=forwarded)
    answer = client.post("/account/signin", data=form, headers=forwarded)
    assert answer.status_code == 429
    assert "Too many attempts" in answer.text
    assert answer.headers["Retry-After"]


def test_somebody_else_is_not_held_up(build: Build) -> None:
    client = build(rate_limits=True).client()
    for _ in range(11):
        attempt(client)
    assert attempt(client, ip="192.0.2.2").status_code == 400
    assert attempt(client, "bob@example.com").status_code == 400


def test_sixty_attempts_a_minute_on_any_accounts(build: Build) -> None:
    client = build(rate_limits=True).client()
    answers = [attempt(client, f"user{number}@example.com") for number in range(61)]
    assert statuses(answers) == [400] * 60 + [429]


def test_the_addresses_of_one_ipv6_network_count_as_one(build: Build) -> None:
    client = build(rate_limits=True).client()
    answers = [attempt(client, ip=f"2001:db8:1:2::{number:x}") for number in range(6)]
    assert statuses(answers)[-1] == 429
    assert attempt(client, ip="2001:db8:1:3::1").status_code == 400


def test_twenty_accounts_an_hour(build: Build) -> None:
    client = build(rate_limits=True).client()
    answers = [
        client.post(
            "/api/users/signup", json={"email": f"u{number}@example.com", "password": PASSWORD}
        )
        for number in range(21)
    ]
    assert statuses(answers) == [201] * 20 + [429]


def test_limits_can_be_off(build: Build) -> None:
    client = build(rate_limits=False).client()
    assert statuses([attempt(client) for _ in range(15)]) == [400] * 15


@pytest.mark.parametrize("closed", ["redis://127.0.0.1:1/0"])
def test_limits_hold_while_redis_is_away(build: Build, closed: str) -> None:
    client = build(rate_limits=True, redis_url=closed).client()
    assert statuses([attempt(client) for _ in range(6)]) == [400] * 5 + [429]


def forgotten(client: FlaskClient, ip: str, email: str = "ada@example.com") -> TestResponse:
    return client.post(
        "/api/users/password/forgotten", json={"email": email}, headers={"X-Forwarded-For": ip}
    )


def test_a_stranger_can_not_use_up_the_mails_of_an_owner(build: Build) -> None:
    world = build(rate_limits=True)
    owner = world.sign_up()
    stranger = [forgotten(world.client(), "6.6.6.6") for _ in range(8)]
    assert statuses(stranger) == [202] * 5 + [429] * 3
    assert len(world.mails()) == 5
    assert forgotten(owner, "192.0.2.1").status_code == 202
    assert len(world.mails()) == 1


def test_many_strangers_do_not_fill_a_mailbox(build: Build) -> None:
    world = build(rate_limits=True)
    world.sign_up()
    crowd = [forgotten(world.client(), f"6.6.6.{n % 8}") for n in range(40)]
    assert statuses(crowd).count(202) == len(world.mails()) == 20


def test_mails_asked_for_when_signed_in_count_the_same(build: Build) -> None:
    world = build(rate_limits=True, verify_email=True)
    client = world.sign_up()
    asked = [client.post("/api/users/verification") for _ in range(6)]
    assert statuses(asked) == [202] * 5 + [429]
    assert forgotten(client, "192.0.2.9").status_code == 202
