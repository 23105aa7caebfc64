"""Settings are checked at start, and what is wrong is named."""

import importlib
import re
from pathlib import Path

import pytest

from shared.config import DatabaseSettings, Settings, load

ROOT = Path(__file__).parents[2]
GOOD = {
    "NATS_URL": "nats://127.0.0.1:4222",
    "SECRET_KEY": "a secret of the tests",
    "AUTH_URL": "http://auth:3000",
    "PUBLIC_URL": "http://localhost:8000",
    "MONGO_URI": "mongodb://127.0.0.1",
    "REDIS_URL": "redis://127.0.0.1:6379/0",
    "JWT_KEY": "x" * 32,
    "STRIPE_KEY": "sk_test_1",
    "STRIPE_WEBHOOK_SECRET": "whsec_1",
}
APPS = sorted(path.parent.name for path in ROOT.glob("apps/*/config.py"))


def settings_of(app: str) -> type[Settings]:
    return importlib.import_module(f"apps.{app}.config").Settings


def names(settings: type[Settings]) -> set[str]:
    return {name.upper() for name in settings.model_fields}


EVERY_NAME = set[str]().union(*(names(settings_of(app)) for app in APPS))


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in EVERY_NAME:
        monkeypatch.delenv(name, raising=False)
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def refusal(settings: type[Settings], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as caught:
        load(settings)
    assert caught.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "Traceback" not in printed.err
    return printed.err


@pytest.mark.parametrize("app", APPS)
def test_each_service_starts_with_what_it_needs(environment: pytest.MonkeyPatch, app: str):
    settings = load(settings_of(app))
    assert settings.hold_seconds == 900
    assert settings.rate_limits
    assert settings.verify_email
    assert not settings.embedded


@pytest.mark.parametrize("app", APPS)
def test_each_missing_setting_is_named_with_what_it_is_for(
    environment: pytest.MonkeyPatch, app: str, capsys: pytest.CaptureFixture[str]
):
    settings = settings_of(app)
    required = {name.upper() for name, f in settings.model_fields.items() if f.is_required()}
    assert required
    for name in required:
        environment.delenv(name)
    lines = refusal(settings, capsys).splitlines()
    assert {line.split()[1].rstrip(":") for line in lines} == required
    for name, field in settings.model_fields.items():
        assert field.description, f"{app}: {name} has no description"
    assert all(line.endswith(")") for line in lines)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "many"),
        ("SECRET_KEY", "short"),
        ("NATS_REPLICAS", "0"),
        ("NATS_REPLICAS", "6"),
        ("HOLD_SECONDS", "0"),
        ("HOLD_SECONDS", "soon"),
        ("THREADS", "0"),
        ("LOG_LEVEL", "loud"),
        ("LOG_FORMAT", "xml"),
        ("EMBEDDED", "perhaps"),
    ],
)
def test_a_wrong_setting_is_named(
    environment: pytest.MonkeyPatch, name: str, value: str, capsys: pytest.CaptureFixture[str]
):
    environment.setenv(name, value)
    assert refusal(DatabaseSettings, capsys).startswith(f"setting {name}: ")


def test_several_wrong_settings_are_all_named(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    environment.setenv("PORT", "x")
    environment.delenv("NATS_URL")
    printed = refusal(Settings, capsys)
    assert "setting PORT:" in printed
    assert "setting NATS_URL:" in printed


@pytest.mark.parametrize("name", ["RATE_LIMITS", "VERIFY_EMAIL"])
def test_protections_are_off_in_the_embedded_stack_only(
    environment: pytest.MonkeyPatch, name: str, capsys: pytest.CaptureFixture[str]
):
    environment.setenv(name, "0")
    assert "embedded stack only" in refusal(Settings, capsys)
    environment.setenv("EMBEDDED", "1")
    assert load(Settings).embedded


def test_a_short_signing_key_is_for_the_embedded_stack_only(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    environment.setenv("JWT_KEY", "short")
    assert "JWT_KEY must have at least 32" in refusal(settings_of("auth"), capsys)
    environment.setenv("EMBEDDED", "1")
    assert load(settings_of("auth")).embedded


def test_cookies_are_secure_where_people_use_tls(environment: pytest.MonkeyPatch):
    assert not load(Settings).secure
    environment.setenv("PUBLIC_URL", "https://tickets.example.com")
    assert load(Settings).secure


@pytest.mark.parametrize("app", APPS)
def test_no_secret_is_printed_when_another_setting_is_wrong(
    environment: pytest.MonkeyPatch, app: str, capsys: pytest.CaptureFixture[str]
):
    environment.setenv("PORT", "x")
    printed = refusal(settings_of(app), capsys)
    secrets = [GOOD[name] for name in GOOD if name.endswith(("KEY", "SECRET", "URI"))]
    assert not [secret for secret in secrets if secret in printed]


def test_the_example_file_lists_exactly_the_settings_that_there_are():
    lines = (ROOT / ".env.example").read_text().splitlines()
    found = [match[1] for line in lines if (match := re.match(r"#?\s*([A-Z][A-Z0-9_]*)=", line))]
    assert sorted(found) == sorted(EVERY_NAME)
