"""Help, and what is said of a wrong use."""

import pytest

from dev.stack.ports import free_port
from tests.cli.command import inside, ticketing

SERVICES = ["auth", "tickets", "orders", "payments", "expiration"]
ACTIONS = ["tail", "publish", "dead", "retry", "replay", "resync"]


def test_help_lists_every_command():
    helped = ticketing("--help", env={}).expect(0)
    for command in ("web", "worker", "alarms", "events", "accounts", "audit", "backup", "restore"):
        assert f"\n    {command}" in helped.out
    assert helped.err == ""


def test_help_on_events_lists_every_action():
    helped = inside("events", "--help", env={}).expect(0)
    for action in ACTIONS:
        assert f"\n    {action}" in helped.out


@pytest.mark.parametrize("action", ACTIONS)
def test_every_action_has_help_of_its_own(action: str):
    helped = inside("events", action, "--help", env={}).expect(0)
    assert helped.out.startswith(f"usage: ticketing events {action}")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "the following arguments are required: command"),
        (["sell"], "invalid choice: 'sell'"),
        (["web"], "the following arguments are required: app"),
        (["web", "shop"], "invalid choice: 'shop'"),
        (["worker", "shop"], "invalid choice: 'shop'"),
        (["events"], "the following arguments are required: action"),
        (["events", "invent"], "invalid choice: 'invent'"),
        (["events", "publish", "ticket.created"], "the following arguments are required: data"),
        (["events", "publish", "ticket.sold", "{}"], "invalid choice: 'ticket.sold'"),
        (["events", "publish", "user.created", "{}", "--version", "x"], "invalid int value: 'x'"),
        (["events", "retry"], "the following arguments are required: sequence"),
        (["events", "replay"], "the following arguments are required: service"),
        (["events", "tail", "--for", "ever"], "unrecognized arguments: --for ever"),
    ],
    ids=" ".join,
)
def test_a_wrong_use_is_said(words: list[str], said: str):
    refused = inside(*words, env={}).expect(2)
    assert said in refused.err
    assert refused.err.startswith("usage: ticketing")
    assert refused.out == ""


@pytest.mark.parametrize("action", ["resync", "replay"])
def test_an_unknown_service_is_named_with_those_that_there_are(action: str):
    refused = inside("events", action, "shop", env={})
    assert refused.code != 0
    assert "shop" in refused.err
    for service in SERVICES:
        assert service in refused.err


@pytest.mark.parametrize("action", ["tail", "dead"])
def test_without_an_address_of_nats_the_setting_is_named(action: str):
    refused = inside("events", action, env={})
    assert refused.code != 0
    assert refused.err.startswith("setting NATS_URL: missing")


def test_a_nats_that_does_not_answer_is_said():
    url = f"nats://127.0.0.1:{free_port()}"
    refused = inside("events", "dead", env={"NATS_URL": url})
    assert refused.code != 0
    assert f"NATS does not answer at {url}" in refused.err


@pytest.mark.parametrize("process", [("worker", "orders"), ("events", "resync", "orders")])
def test_missing_settings_are_named(process: tuple[str, ...]):
    refused = inside(*process, env={}).expect(2)
    for name in ("NATS_URL", "SECRET_KEY", "AUTH_URL", "PUBLIC_URL", "MONGO_URI"):
        assert f"setting {name}: " in refused.err


def test_upkeep_without_nats_says_so():
    env = {
        "NATS_URL": f"nats://127.0.0.1:{free_port()}",
        "MONGO_URI": f"mongodb://127.0.0.1:{free_port()}",
        "SECRET_KEY": "a secret of the tests",
        "AUTH_URL": "http://auth:3000",
        "PUBLIC_URL": "http://localhost:8000",
    }
    refused = ticketing("events", "replay", "orders", env=env).expect(1)
    assert "a server does not answer as it should: " in refused.err
