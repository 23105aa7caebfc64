"""`ticketing accounts`, as far as it needs no database; the rest is tried on the whole system."""

import re

import pytest

from dev.stack.ports import free_port
from tests.cli.command import inside, ticketing

ACTIONS = ["verify", "grant-admin", "revoke-admin", "disable", "enable", "drop-factor"]


@pytest.mark.parametrize("action", ACTIONS)
def test_every_action_is_about_somebody(action: str):
    refused = inside("accounts", action, env={}).expect(2)
    assert "the following arguments are required: email" in refused.err


def test_a_new_key_is_long_new_each_time_and_says_what_to_do():
    made = inside("accounts", "new-key", env={}).expect(0)
    assert re.fullmatch(r"JWT_KEY=[0-9a-f]{64}\n", made.out)
    assert "JWT_KEY_PREVIOUS" in made.err
    assert inside("accounts", "new-key", env={}).out != made.out


def test_without_its_settings_it_names_them():
    refused = ticketing("accounts", "verify", "ada@example.com", env={}).expect(2)
    assert "setting MONGO_URI" in refused.err


def test_a_database_that_is_away_is_a_sentence():
    env = {
        "EMBEDDED": "1",
        "MONGO_URI": f"mongodb://127.0.0.1:{free_port()}",
        "NATS_URL": "nats://127.0.0.1:1",
        "REDIS_URL": "redis://127.0.0.1:1",
        "AUTH_URL": "http://unused",
        "PUBLIC_URL": "http://localhost",
        "SECRET_KEY": "a secret of the tests",
        "JWT_KEY": "another",
    }
    refused = ticketing("accounts", "verify", "ada@example.com", env=env).expect(1)
    assert refused.err.startswith("the database does not answer")
    assert "Traceback" not in refused.err
