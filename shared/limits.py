"""How often somebody may do something. Counted in Redis; in this process while Redis is away."""

import hashlib
import time
from dataclasses import dataclass
from typing import Any

from flask import request
from limits import RateLimitItem, parse_many
from limits.storage import MemoryStorage, Storage, storage_from_string
from limits.strategies import MovingWindowRateLimiter
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from shared import logs
from shared.addresses import network
from shared.errors import TooMany

log = logs.get(__name__)

LOOK_AGAIN = 5.0  # seconds after which Redis is asked again that did not answer

# Redis that is away is noticed at once: the count goes on in memory.
REDIS_OPTIONS: dict[str, Any] = {
    "socket_connect_timeout": 1,
    "socket_timeout": 1,
    "retry": Retry(NoBackoff(), 0),
}


@dataclass(frozen=True)
class Rule:
    """At most so many in so long. With several rates the wait grows with the number of tries."""

    name: str
    rates: tuple[RateLimitItem, ...]
    message: str


def rule(name: str, rates: str, message: str) -> Rule:
    """A rule such as `rule("sign-up", "20 per hour", "Too many; try again later")`."""
    return Rule(name, tuple(parse_many(rates)), message)


class Limits:
    """Counts for one process. Moving windows, so that nobody gets twice as many around an edge."""

    def __init__(self, redis_url: str, *, enabled: bool = True) -> None:
        storage = storage_from_string(redis_url, **REDIS_OPTIONS) if enabled else MemoryStorage()
        assert isinstance(storage, Storage)  # noqa: S101 - only an async+ address gives another
        self._enabled = enabled
        self._common = MovingWindowRateLimiter(storage)
        self._own = MovingWindowRateLimiter(MemoryStorage())
        self._away_until = 0.0

    def count(self, rule: Rule, *who: str) -> None:
        """Count once more, before it costs anything. Raises TooMany, which is not counted."""
        if not self._enabled:
            return
        key = _key(rule, who)
        try:
            full = self._hit(self._counter(), rule, key)
        except RedisError as error:
            full = self._hit(self._without_redis(error), rule, key)
        if full:
            refused = TooMany(rule.message)
            refused.retry_after = full
            raise refused

    def forgive(self, rule: Rule, *who: str) -> None:
        """Forget what was counted, because it came to a good end."""
        key = _key(rule, who)
        try:
            _clear(self._counter(), rule, key)
        except RedisError as error:
            _clear(self._without_redis(error), rule, key)

    def _counter(self) -> MovingWindowRateLimiter:
        return self._own if time.monotonic() < self._away_until else self._common

    def _without_redis(self, error: RedisError) -> MovingWindowRateLimiter:
        log.warning("Redis is away, limits count in this process", error=repr(error))
        self._away_until = time.monotonic() + LOOK_AGAIN
        return self._own

    def _hit(self, counter: MovingWindowRateLimiter, rule: Rule, key: str) -> int:
        """0, or the seconds to wait for the rate that is used up."""
        for rate in rule.rates:
            if not counter.hit(rate, key):
                free_at = counter.get_window_stats(rate, key).reset_time
                return max(1, int(free_at - time.time()) + 1)
        return 0


def _clear(counter: MovingWindowRateLimiter, rule: Rule, key: str) -> None:
    for rate in rule.rates:
        counter.clear(rate, key)


def _key(rule: Rule, who: tuple[str, ...]) -> str:
    """Hashed, because what people type as a name may be of any length and is nobody's business."""
    return f"{rule.name}:{hashlib.sha256(chr(0).join(who).encode()).hexdigest()[:32]}"


def client() -> str:
    """Who asks, signed in or not."""
    return network(request.remote_addr or "")
