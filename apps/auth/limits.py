"""How often somebody may try. Counted in Redis; in this process while Redis is away."""

import hashlib
import time
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from typing import Any

from flask import Flask, g, request
from flask_limiter import Limiter, RateLimitExceeded
from redis.backoff import NoBackoff
from redis.retry import Retry

from apps.auth.config import Settings
from shared.errors import TooMany

SIGN_IN_TO_ONE_ACCOUNT = "10 per minute"  # from one client
SIGN_IN = "60 per minute"  # from one client, to any accounts
SIGN_UP = "20 per hour"  # from one client
IPV6_HOME = 64  # bits of an IPv6 address that belong to one household or company


# Redis that is away is noticed at once: the count goes on in memory.
REDIS_OPTIONS: dict[str, Any] = {
    "socket_connect_timeout": 1,
    "socket_timeout": 1,
    "retry": Retry(NoBackoff(), 0),
}


def _client() -> str:
    """Who is counted: an IPv4 address, or the whole network that one IPv6 customer has."""
    try:
        address = ip_address(request.remote_addr or "")
    except ValueError:
        return "unknown"
    if isinstance(address, IPv6Address) and not address.ipv4_mapped:
        return str(IPv6Address(int(address) >> (128 - IPV6_HOME) << (128 - IPV6_HOME)))
    return str(address)


def _client_and_account() -> str:
    return f"{_client()}:{g.attempted_account}"


class Limits:
    """The limits of one app, which both of its doors share."""

    def __init__(self, app: Flask, settings: Settings) -> None:
        app.config["RATELIMIT_ENABLED"] = settings.rate_limits
        self._limiter = limiter = Limiter(
            _client,
            app=app,
            storage_uri=settings.redis_url,
            storage_options=REDIS_OPTIONS,
            strategy="moving-window",
            in_memory_fallback_enabled=True,
        )
        one_account = limiter.shared_limit(
            SIGN_IN_TO_ONE_ACCOUNT, scope="sign-in-account", key_func=_client_and_account
        )
        self._sign_in = limiter.shared_limit(SIGN_IN, scope="sign-in")(one_account(_sign_in))
        self._sign_up = limiter.shared_limit(SIGN_UP, scope="sign-up")(_sign_up)

    def count_sign_in(self, email: str) -> None:
        """Count an attempt, before it costs anything. Raises TooMany."""
        g.attempted_account = hashlib.sha256(email.encode()).hexdigest()[:16]
        self._count(self._sign_in, "Too many attempts to sign in; try again in a minute")

    def count_sign_up(self) -> None:
        """Count a new account. Raises TooMany."""
        self._count(self._sign_up, "Too many new accounts from here; try again later")

    def _count(self, counted: Callable[[], None], message: str) -> None:
        try:
            counted()
        except RateLimitExceeded:
            error = TooMany(message)
            limit = self._limiter.current_limit
            error.retry_after = max(1, limit.reset_at - int(time.time())) if limit else None
            raise error from None


def _sign_in() -> None:
    """Does nothing itself; the limits count its calls."""


def _sign_up() -> None:
    """Does nothing itself; the limit counts its calls."""
