"""The settings of the embedded stack are checked before anything starts."""

import subprocess
import sys
from pathlib import Path

import pytest
from granian.http import HTTP1Settings

from dev.stack.parts import Plan, build, port_names, static_configuration
from dev.stack.settings import ROOT, Settings, SettingsError, read

SECRETS = {"JWT_KEY": "jwt", "SECRET_KEY": "secret", "STRIPE_WEBHOOK_SECRET": "whsec"}


def plan(**environ: str) -> Plan:
    ports = {name: 20000 + number for number, name in enumerate(port_names())}
    return Plan(read({"DATA": "/nowhere", **environ}), ports, SECRETS)


def envs(plan: Plan) -> dict[str, dict[str, str]]:
    return {part.name: dict(part.env) for part in build(plan)}


def test_defaults_are_those_of_the_readme():
    settings = read({})
    assert settings.port == 8000
    assert settings.data == ROOT / ".data"
    assert settings.hold_seconds == 900
    assert settings.seed
    assert settings.rate_limits
    assert settings.verify_email
    assert settings.emulates_stripe


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "http"),
        ("PORT", "0"),
        ("PORT", "65536"),
        ("PORT", "-1"),
        ("PORT", "٣٣٣٣"),
        ("HOLD_SECONDS", "0"),
        ("HOLD_SECONDS", "1.5"),
        ("SEED", "no"),
        ("RATE_LIMITS", "false"),
        ("VERIFY_EMAIL", "2"),
        ("MONGO_URI", "localhost:27017"),
        ("NATS_URL", "http://localhost"),
        ("REDIS_URL", "localhost"),
        ("STRIPE_API_BASE", "localhost:12111"),
    ],
)
def test_a_bad_value_is_refused_by_its_name(name: str, value: str):
    with pytest.raises(SettingsError, match=name):
        read({name: value})


def test_all_faults_are_told_at_once():
    with pytest.raises(SettingsError) as refusal:
        read({"PORT": "x", "SEED": "y"})
    assert "PORT" in str(refusal.value)
    assert "SEED" in str(refusal.value)


def test_a_refused_address_is_not_repeated_because_it_may_hold_a_password():
    with pytest.raises(SettingsError) as refusal:
        read({"REDIS_URL": "user:hunter2@host"})
    assert "hunter2" not in str(refusal.value)


def test_an_empty_variable_counts_as_not_set():
    settings: Settings = read({"PORT": "", "STRIPE_KEY": " "})
    assert settings.port == 8000
    assert settings.emulates_stripe


def test_only_auth_gets_the_signing_key_and_only_payments_the_keys_of_stripe():
    for name, env in envs(plan()).items():
        assert ("JWT_KEY" in env) == name.startswith("auth-") * (name != "auth-db")
        assert ("STRIPE_KEY" in env) == (name in ("payments-web", "payments-worker"))


def test_each_service_gets_its_own_database_and_the_alarms_none():
    found = envs(plan())
    uris = {found[f"{app}-web"]["MONGO_URI"] for app in ("auth", "tickets", "orders", "payments")}
    assert len(uris) == 4
    assert "MONGO_URI" not in found["expiration-worker"]
    assert "MONGO_URI" not in found["alarms"]


def a_program(path: Path) -> str:
    path.write_text("#!/bin/sh\n")
    path.chmod(0o700)
    return str(path)


def test_another_database_server_is_started_in_the_way_that_it_understands(tmp_path: Path):
    real = a_program(tmp_path / "mongod")
    alike = a_program(tmp_path / "secantusd-rs")
    for program, option, retries in ((real, "--dbpath", True), (alike, "--storage-path", False)):
        parts = {part.name: part for part in build(plan(MONGOD=program))}
        command = parts["orders-db"].command
        assert command[0] == program
        assert option in command
        uri = parts["orders-web"].env["MONGO_URI"]
        assert ("retryWrites=false" not in uri) == retries


def test_a_database_server_that_is_not_there_is_refused_by_name():
    with pytest.raises(SettingsError, match="MONGOD"):
        read({"MONGOD": "/nowhere/mongod"})


@pytest.mark.parametrize(
    ("name", "value", "replaced"),
    [
        (
            "MONGO_URI",
            "mongodb://db.example/",
            {"auth-db", "tickets-db", "orders-db", "payments-db"},
        ),
        ("NATS_URL", "nats://nats.example:4222", {"nats"}),
        ("REDIS_URL", "rediss://redis.example/0", {"valkey"}),
        ("STRIPE_API_BASE", "http://stripe.example", {"stripe"}),
    ],
)
def test_a_server_whose_address_is_given_is_used_and_not_started(
    name: str, value: str, replaced: set[str]
):
    everything = envs(plan())
    found = envs(plan(**{name: value}))
    assert set(everything) - set(found) == replaced
    assert found["payments-web"][name] == value


def test_a_real_stripe_key_means_the_real_stripe():
    env = envs(plan(STRIPE_KEY="sk_test_mine", STRIPE_WEBHOOK_SECRET="whsec_mine"))
    assert "stripe" not in env
    assert env["payments-web"]["STRIPE_KEY"] == "sk_test_mine"
    assert env["payments-web"]["STRIPE_API_BASE"] == ""
    assert env["payments-web"]["STRIPE_WEBHOOK_SECRET"] == "whsec_mine"


def test_the_emulator_signs_with_the_secret_that_payments_checks():
    found = envs(plan())
    assert found["stripe"]["STRIPE_WEBHOOK_SECRET"] == "whsec"
    assert found["payments-web"]["STRIPE_WEBHOOK_SECRET"] == "whsec"


def test_unknown_names_of_parts_are_refused():
    with pytest.raises(SettingsError, match="tickets-wep"):
        build(plan(STACK_ONLY="nats, tickets-wep"))


def test_help_documents_every_setting():
    answer = subprocess.run(
        (sys.executable, "-m", "dev.stack", "--help"), cwd=ROOT, capture_output=True, check=True
    )
    for name in ("PORT", "DATA", "HOLD_SECONDS", "SEED", "MONGO_URI", "STRIPE_KEY"):
        assert f"  {name} " in answer.stdout.decode()


def test_the_command_refuses_bad_settings_with_an_exit_code(tmp_path: Path):
    answer = subprocess.run(
        (sys.executable, "-m", "dev.stack", "up"),
        cwd=ROOT,
        env={"PORT": "eighty", "DATA": str(tmp_path / "data")},
        capture_output=True,
        check=False,
    )
    assert answer.returncode == 2
    assert "PORT must be a number" in answer.stderr.decode()
    assert not (tmp_path / "data").exists()


def test_the_gateway_lets_an_idle_connection_go_before_the_service_does() -> None:
    """Otherwise a request now and then meets a connection that is just being closed."""
    gateway = static_configuration(ROOT / "traefik" / "static.env")
    idle = gateway["TRAEFIK_SERVERSTRANSPORT_FORWARDINGTIMEOUTS_IDLECONNTIMEOUT"]
    # Granian closes what was idle for as long as it waits for a request's head.
    assert float(idle.removesuffix("s")) < HTTP1Settings().header_read_timeout / 1000
