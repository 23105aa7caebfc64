"""Where everything is, from the environment."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass

SERVICES = ("auth", "tickets", "orders", "payments")

VARIABLES = {
    **{f"{name.upper()}_MONGO_URI": f"MongoDB of {name}" for name in SERVICES},
    "NATS_URL": "NATS server, such as nats://nats:4222",
    "STRIPE_KEY": "secret key of Stripe; one that may only read is enough",
}


class Incomplete(Exception):  # noqa: N818 - a state of the environment
    """Settings are missing; the text names each."""


@dataclass(frozen=True)
class Settings:
    mongo: Mapping[str, str]
    nats_url: str
    stripe_key: str
    stripe_api_base: str


def read(environ: Mapping[str, str]) -> Settings:
    """The settings. Raises Incomplete."""
    missing = [name for name in VARIABLES if not environ.get(name)]
    if missing:
        lines = [f"setting {name}: missing ({VARIABLES[name]})" for name in missing]
        raise Incomplete("\n".join(lines))
    return Settings(
        {name: environ[f"{name.upper()}_MONGO_URI"] for name in SERVICES},
        environ["NATS_URL"],
        environ["STRIPE_KEY"],
        environ.get("STRIPE_API_BASE", ""),
    )


def load() -> Settings:
    """Read the settings or end the process with the names of what is missing."""
    try:
        return read(os.environ)
    except Incomplete as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(2) from None
