"""What the environment says about the stack, checked before anything starts."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# The emulator accepts any test key; these two say in every log which Stripe is meant.
EMULATOR_KEY = "sk_test_embedded"
EMULATOR_PUBLISHABLE_KEY = "pk_test_embedded"

VARIABLES = {
    "PORT": "port of the gateway, the only one people use (default 8000)",
    "DATA": "folder of all data, logs and keys (default .data in the project)",
    "HOLD_SECONDS": "how long a reservation waits for its payment (default 900)",
    "SEED": "0: no demo data",
    "RATE_LIMITS": "0: no limits on guesses, mails, reservations and cards",
    "VERIFY_EMAIL": "0: accounts are usable without a verified address",
    "MONGO_URI": "a MongoDB to use for every service instead of starting one for each",
    "MONGOD": "the database server to start: a mongod, or one that is told things as secantusd is"
    " (default: mongod if it is installed, else the one in the wheel)",
    "NATS_URL": "a NATS with JetStream to use instead of starting one",
    "REDIS_URL": "a Redis to use instead of starting Valkey",
    "STRIPE_KEY": "a secret key of Stripe: the real Stripe is used unless STRIPE_API_BASE is set",
    "STRIPE_API_BASE": "another server that speaks Stripe's API, instead of starting the emulator",
    "STRIPE_PUBLISHABLE_KEY": "the publishable key that belongs to STRIPE_KEY",
    "STRIPE_WEBHOOK_SECRET": "the secret that webhooks are signed with",
    "LOG_LEVEL, LOG_FORMAT": "handed to the services as they are",
    "STACK_ONLY": "names of parts, with commas between them: only these are started",
}

_SCHEMES = {
    "MONGO_URI": ("mongodb://", "mongodb+srv://"),
    "NATS_URL": ("nats://", "tls://"),
    "REDIS_URL": ("redis://", "rediss://", "unix://"),
    "STRIPE_API_BASE": ("http://", "https://"),
}


class SettingsError(Exception):
    """The environment holds values that can't be used; the text names each variable."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The checked environment; an empty address means: start that part."""

    port: int
    data: Path
    hold_seconds: int
    seed: bool
    rate_limits: bool
    verify_email: bool
    mongo_uri: str
    mongod: str
    nats_url: str
    redis_url: str
    stripe_key: str
    stripe_api_base: str
    stripe_publishable_key: str
    stripe_webhook_secret: str
    log: dict[str, str]
    only: frozenset[str]

    @property
    def url(self) -> str:
        """What people type."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def emulates_stripe(self) -> bool:
        """Whether the stack starts its own Stripe."""
        return not self.stripe_key and not self.stripe_api_base

    @property
    def uses_real_stripe(self) -> bool:
        """Whether payments go to Stripe itself."""
        return bool(self.stripe_key) and not self.stripe_api_base


class _Reader:
    """Takes values out of the environment and collects what is wrong with them."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.faults: list[str] = []

    def text(self, name: str, default: str = "") -> str:
        return self._environ.get(name, "").strip() or default

    def number(self, name: str, default: int, most: int) -> int:
        value = self.text(name, str(default))
        if value.isascii() and value.isdigit() and 1 <= int(value) <= most:
            return int(value)
        self.faults.append(f"{name} must be a number from 1 to {most}, not {value!r}")
        return default

    def switch(self, name: str) -> bool:
        value = self.text(name, "1")
        if value not in ("0", "1"):
            self.faults.append(f"{name} must be 0 or 1, not {value!r}")
        return value == "1"

    def address(self, name: str) -> str:
        value = self.text(name)
        if value and not value.startswith(_SCHEMES[name]):
            wanted = " or ".join(_SCHEMES[name])
            # The value is not repeated: an address may hold a password.
            self.faults.append(f"{name} must begin with {wanted}")
        return value

    def program(self, name: str, default: str) -> str:
        """The path of a program; empty where none is named and the default is not installed."""
        value = self.text(name)
        found = shutil.which(str(Path(value or default).expanduser()))
        if value and not found:
            self.faults.append(f"{name} is no program that can be started: {value!r}")
        return found or ""

    def names(self, name: str) -> frozenset[str]:
        return frozenset(part.strip() for part in self.text(name).split(",") if part.strip())


def read(environ: Mapping[str, str]) -> Settings:
    """Read the settings; raises SettingsError with every fault at once."""
    reader = _Reader(environ)
    settings = Settings(
        port=reader.number("PORT", 8000, most=65535),
        data=Path(reader.text("DATA", str(ROOT / ".data"))).expanduser().resolve(),
        hold_seconds=reader.number("HOLD_SECONDS", 900, most=7 * 24 * 3600),
        seed=reader.switch("SEED"),
        rate_limits=reader.switch("RATE_LIMITS"),
        verify_email=reader.switch("VERIFY_EMAIL"),
        mongo_uri=reader.address("MONGO_URI"),
        mongod=reader.program("MONGOD", "mongod"),
        nats_url=reader.address("NATS_URL"),
        redis_url=reader.address("REDIS_URL"),
        stripe_key=reader.text("STRIPE_KEY"),
        stripe_api_base=reader.address("STRIPE_API_BASE"),
        stripe_publishable_key=reader.text("STRIPE_PUBLISHABLE_KEY"),
        stripe_webhook_secret=reader.text("STRIPE_WEBHOOK_SECRET"),
        log={name: environ[name] for name in ("LOG_LEVEL", "LOG_FORMAT") if environ.get(name)},
        only=reader.names("STACK_ONLY"),
    )
    if reader.faults:
        raise SettingsError("\n".join(reader.faults))
    return settings
