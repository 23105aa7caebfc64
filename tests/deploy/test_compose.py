"""compose.yaml: confined, closed to the outside, and the same settings as the embedded stack."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from dev.deploy.commands import ROOT
from dev.stack.parts import APPS, ROUTED, WORKING, Plan, build, port_names
from dev.stack.settings import read

Service = dict[str, Any]
ONCE = ("prepare", "seed")
# Only the embedded stack may be lax, and only there ports differ from container to container.
EMBEDDED_ONLY = {"EMBEDDED", "RATE_LIMITS", "VERIFY_EMAIL", "OPS_HOST", "OPS_PORT", "HOST", "PORT"}
EMBEDDED_ONLY |= {"STATE_DIR"}
# A real mail server is for containers; logs are told to both.
COMPOSE_ONLY = {"LOG_LEVEL", "LOG_FORMAT", "MAIL_FROM", "SMTP_URL"}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "compose.yaml").read_text())


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, Service]:
    return compose["services"]


def test_every_container_is_confined(services: dict[str, Service]):
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        limits = service["deploy"]["resources"]["limits"]
        assert limits.keys() == {"cpus", "memory", "pids"}, name


def test_only_the_one_that_prepares_volumes_is_root_and_it_is_alone(services: dict[str, Service]):
    roots = [name for name, s in services.items() if s["user"].startswith("0:")]
    assert roots == ["prepare"]
    assert services["prepare"]["network_mode"] == "none"
    assert [name for name, s in services.items() if "cap_add" in s] == ["prepare"]


def test_everything_that_stays_is_asked_for_its_health_and_comes_back(
    services: dict[str, Service],
):
    for name, service in services.items():
        if name in ONCE:
            continue
        assert service["healthcheck"]["test"][0] == "CMD", name
        assert service["restart"] == "unless-stopped", name


def test_every_image_is_a_variable_with_a_version(services: dict[str, Service]):
    for name, service in services.items():
        image = re.fullmatch(r"\$\{[A-Z_]+_IMAGE:-([^}]+)\}", service["image"])
        assert image, name
        assert image[1].partition(":")[2] not in ("", "latest"), name


def test_ports_are_published_on_this_machine_only(services: dict[str, Service]):
    published = {name: s["ports"] for name, s in services.items() if "ports" in s}
    assert published.keys() == {"gateway", "stripe"}
    for name, ports in published.items():
        for port in ports:
            assert port.startswith(("127.0.0.1:", "${BIND:-127.0.0.1}:")), name


def test_servers_and_most_services_are_inside_only(
    compose: dict[str, Any], services: dict[str, Service]
):
    assert compose["networks"]["inside"] == {"internal": True}
    outside = {name for name, s in services.items() if "outside" in s.get("networks", [])}
    assert outside == {"gateway", "auth-worker", "payments", "payments-worker", "stripe"}


def test_no_secret_is_in_clear(services: dict[str, Service]):
    secret = {"JWT_KEY", "SECRET_KEY", "SMTP_URL", "STRIPE_KEY", "STRIPE_WEBHOOK_SECRET"}
    for name, service in services.items():
        given = service.get("environment", {})
        for key in secret & given.keys():
            assert (name, given[key]) == ("prepare", f"${{{key}:-}}")


def test_each_service_sees_its_own_keys_only(services: dict[str, Service]):
    for app in APPS:
        roles = [app] + ([f"{app}-worker"] if app in WORKING else [])
        roles += ["alarms"] if app == "expiration" else []
        for role in roles:
            mounted = [name for name in services[role]["volumes"] if name != "mails:/mails"]
            assert mounted == [f"{app}-keys:/run/secrets:ro"]


def test_every_process_of_the_embedded_stack_is_there(services: dict[str, Service]):
    ours = {
        tuple(s["command"]) for n, s in services.items() if s["image"].startswith("${TICKETING_I")
    }
    parts = build(embedded())
    theirs = {part.command[3:] for part in parts if "ticketing" in part.command}
    assert ours == theirs


def test_services_are_told_the_same_as_in_the_embedded_stack(
    services: dict[str, Service], keys: dict[str, dict[str, str]]
):
    for part in build(embedded()):
        if "ticketing" not in part.command:
            continue
        *_, app = ("expiration",) if part.name == "alarms" else part.command
        service = services[part.name.removesuffix("-web")]
        told = service["environment"].keys() | {key.upper() for key in keys[app]}
        # Redis is named to those who use it; here the others are not told of it.
        unused = set() if app in ("auth", "expiration") else {"REDIS_URL"}
        assert set(part.env) - EMBEDDED_ONLY - unused <= told, part.name
        assert told - set(part.env) <= COMPOSE_ONLY, part.name


def test_defaults_are_those_of_the_embedded_stack(services: dict[str, Service]):
    settings = read({})
    for app in ROUTED:
        told = services[app]["environment"]
        assert told["HOLD_SECONDS"] == f"${{HOLD_SECONDS:-{settings.hold_seconds}}}"
        assert told["PUBLIC_URL"] == f"${{PUBLIC_URL:-{settings.url}}}"


def test_nats_is_configured_as_in_the_embedded_stack():
    (nats,) = [part for part in build(embedded()) if part.name == "nats"]
    (theirs,) = nats.files.values()
    ours = (ROOT / "compose" / "nats.conf").read_text()
    for name in ("max_payload", "max_memory_store", "max_file_store", "sync_interval"):
        pattern = rf"{name}: (\S+)"
        assert re.findall(pattern, ours) == re.findall(pattern, theirs), name


def test_keys_are_made_once_and_stripes_follow_the_environment(
    prepared: Callable[[], dict[str, dict[str, str]]], monkeypatch: pytest.MonkeyPatch
):
    first = prepared()
    assert first["payments"]["stripe_api_base"] == "http://stripe:12111"
    assert len({first[app]["secret_key"] for app in APPS}) == 1
    assert [app for app in APPS if "jwt_key" in first[app]] == ["auth"]
    monkeypatch.setenv("STRIPE_KEY", "sk_test_mine")
    with pytest.raises(SystemExit, match="STRIPE_WEBHOOK_SECRET"):
        prepared()
    monkeypatch.setenv("STRIPE_WEBHOOK_SECRET", "whsec_mine")
    second = prepared()
    assert second["auth"] == first["auth"]
    assert second["payments"]["stripe_key"] == "sk_test_mine"
    assert second["payments"]["stripe_api_base"] == ""
    assert second["payments"]["stripe_webhook_secret"] == "whsec_mine"
    assert second["stripe"] == first["stripe"]


def test_the_development_stripe_stands_aside_for_the_real_one(services: dict[str, Service]):
    # Without a key the profile has no name, and such a one is always on; see `make check-deploy`.
    assert services["stripe"]["profiles"] == ["${STRIPE_KEY:+development-stripe}"]
    assert [name for name, service in services.items() if "profiles" in service] == ["stripe"]
    needing = [n for n, s in services.items() if "stripe" in s.get("depends_on", {})]
    assert needing == []


def embedded() -> Plan:
    ports = {name: 20000 + number for number, name in enumerate(port_names())}
    secrets = dict.fromkeys(("JWT_KEY", "SECRET_KEY", "STRIPE_WEBHOOK_SECRET"), "made up")
    return Plan(read({"DATA": "/nowhere"}), ports, secrets)
