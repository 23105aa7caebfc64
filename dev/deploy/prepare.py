"""Prepares the volumes of compose: who owns each, and the keys of this installation, as files.

Every service gets only its own keys: a folder under /keys is the volume that it sees as
/run/secrets. Keys are made at random once; Stripe's follow the environment at each start.
"""

import os
import secrets
from pathlib import Path

KEYS = Path("/keys")
APPS = ("auth", "tickets", "orders", "payments", "expiration", "live")
APP_USER = 10001
SERVER_USER = 999  # what the images of the servers use
OWNERS = {"nats": APP_USER, "stripe": APP_USER, "mails": APP_USER, "redis": SERVER_USER}


def main() -> None:
    for name, user in OWNERS.items():
        os.chown(f"/volumes/{name}", user, user)
    common = _made("auth", "secret_key")
    for app in APPS:
        _write(app, "secret_key", common)
    _write("auth", "jwt_key", _made("auth", "jwt_key"))
    _write("auth", "smtp_url", os.environ["SMTP_URL"])
    _write_stripe_keys(os.environ["STRIPE_KEY"])


def _write_stripe_keys(real: str) -> None:
    webhooks = os.environ["STRIPE_WEBHOOK_SECRET"]
    if real and not webhooks:
        raise SystemExit("setting STRIPE_WEBHOOK_SECRET: missing (`stripe listen` prints it)")
    # The development Stripe signs with its own, so that it can't speak for the real one.
    emulated = _made("stripe", "stripe_webhook_secret")
    _write("stripe", "stripe_webhook_secret", emulated)
    _write("payments", "stripe_webhook_secret", webhooks or emulated)
    _write("payments", "stripe_key", real or "sk_test_compose")
    _write("payments", "stripe_publishable_key", os.environ["STRIPE_PUBLISHABLE_KEY"])
    base = os.environ["STRIPE_API_BASE"] or ("" if real else "http://stripe:12111")
    _write("payments", "stripe_api_base", base)


def _made(app: str, name: str) -> str:
    file = KEYS / app / name
    return file.read_text() if file.exists() else secrets.token_hex(32)


def _write(app: str, name: str, value: str) -> None:
    folder = KEYS / app
    draft = folder / f"{name}.draft"
    draft.write_text(value)
    draft.chmod(0o400)
    os.chown(draft, APP_USER, APP_USER)
    draft.replace(folder / name)


if __name__ == "__main__":
    main()
