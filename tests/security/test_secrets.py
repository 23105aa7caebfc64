"""Attacks on what is secret: in logs, in errors at start, in what is kept, in how long it takes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from apps.auth.passwords import Passwords
from dev.stack import Stack
from tests.auth.conftest import CountingHasher
from tests.security.forger import new_id
from tests.system.world import Json, Person, World

SETTINGS = ("JWT_KEY", "SECRET_KEY", "STRIPE_KEY", "STRIPE_WEBHOOK_SECRET")


def logs(stack: Stack) -> str:
    return "".join(path.read_text(errors="replace") for path in stack.home.path.glob("logs/*"))


def test_an_attacker_wants_to_read_secrets_in_the_logs(stack: Stack, world: World, ticket: Json):
    """Signing up and in, well and badly, and paying, well and badly, leave nothing in any log."""
    person = world.person()
    password, card, header = (f"{kind}{new_id()}" for kind in ("wrong", "tok_", "whsec_"))
    visitor = world.visitor()
    visitor.post("/api/users/signin", {"email": person.email, "password": password}).expect(400)
    visitor.post("/api/users/signup", {"email": "x", "password": password}).expect(400)
    visitor.send("POST", "/api/users/signin", f'{{"email": "{password}')
    order = person.reserves(ticket)
    person.offers_card(order, card).expect(400)
    person.offers_card(order, "tok_chargeDeclined").expect(400)
    person.pays(order)
    person.sees_order(order, status="complete")
    visitor.post("/api/payments/webhook", {}, Stripe_Signature=f"t=1,v1={header}").expect(400)
    visitor.get(f"/account/reset?token={header}")
    visitor.get("/api/orders", Authorization=f"Bearer {header}").expect(401)
    told = logs(stack)
    assert '"event"' in told
    for secret in (password, card, header, person.cookies["session"], "correct horse"):
        assert secret not in told
    for part in stack.parts.values():
        for secret in (part.env[name] for name in SETTINGS if name in part.env):
            assert secret not in told


@pytest.mark.parametrize("app", ["auth", "payments"])
def test_an_attacker_wants_to_read_secrets_where_settings_are_wrong(tmp_path: Path, app: str):
    secret = "sk_live_1234567890abcdef"
    env = dict.fromkeys((*SETTINGS, "MONGO_URI", "NATS_URL", "HOLD_SECONDS", "EMBEDDED"), secret)
    env |= {"PATH": os.environ["PATH"], "SECRETS_DIR": str(tmp_path)}
    command = (sys.executable, "-m", "ticketing", "web", app)
    ended = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    assert ended.returncode != 0
    assert "HOLD_SECONDS" in ended.stderr + ended.stdout
    assert secret not in ended.stderr + ended.stdout


@pytest.mark.parametrize("name", ["RATE_LIMITS", "VERIFY_EMAIL"])
def test_an_attacker_wants_protection_to_be_off_outside_of_development(stack: Stack, name: str):
    env = {**stack.parts["auth-web"].env, "EMBEDDED": "0", "RATE_LIMITS": "1", "VERIFY_EMAIL": "1"}
    env |= {name: "0", "PATH": os.environ["PATH"]}
    command = (sys.executable, "-m", "ticketing", "web", "auth")
    ended = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    assert ended.returncode != 0
    assert name in ended.stderr + ended.stdout


def test_an_attacker_wants_to_know_by_the_time_it_takes_who_has_an_account():
    """For an address that nobody has, the same work is done; time itself is too noisy to test."""
    hasher = CountingHasher(time_cost=1, memory_cost=8, parallelism=1)
    passwords = Passwords(hasher)
    kept = passwords.hash("correct horse")
    counts: list[int] = []
    for known in (kept, None):
        before = hasher.checked
        assert not passwords.matches(known, "wrong horse")
        counts.append(hasher.checked - before)
    assert counts == [1, 1]


def test_an_attacker_wants_passwords_out_of_an_export(victim: Person):
    text = victim.get("/api/users/export").expect(200).text
    for mark in ("argon2", "password_hash", "passwordHash", "$argon2id$", "secret"):
        assert mark not in text


def test_an_attacker_wants_keys_to_sign_with(world: World):
    text = world.visitor().get("/api/users/jwks.json").expect(200).text
    assert '"d"' not in text
    assert '"x"' in text
