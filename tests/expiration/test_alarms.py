"""Alarms on a real Redis: one for each order, never early, gone when they are not needed."""

import secrets
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from apps.expiration import alarms as alarms_module
from apps.expiration import create_app
from apps.expiration.alarms import AFTERWARDS, Alarms
from dev.stack.ports import free_port
from shared.errors import Unavailable
from tests.expiration.conftest import SECRET_KEY, Clockwork, close

MICROSECOND = timedelta(microseconds=1)
# Far enough ahead for the tests to begin long after they were read.
TIME = datetime.now(UTC).replace(microsecond=987_654) + timedelta(days=1)
ORDER = "0c0e00000000000000000001"


def test_an_alarm_rings_at_its_time_and_not_a_moment_before(clockwork: Clockwork) -> None:
    clockwork.alarms.set({ORDER: TIME})
    assert clockwork.rings_until(TIME - 2 * MICROSECOND) == []
    assert clockwork.rings_until(TIME + MICROSECOND) == [ORDER]
    assert clockwork.rings_until(TIME + timedelta(days=1)) == [ORDER]


def test_an_alarm_that_is_set_twice_rings_once(clockwork: Clockwork) -> None:
    for _ in range(3):
        clockwork.alarms.set({ORDER: TIME})
    assert clockwork.alarms.pending() == 1
    assert clockwork.rings_until(TIME + MICROSECOND) == [ORDER]


def test_each_order_has_its_own(clockwork: Clockwork) -> None:
    orders = [secrets.token_hex(12) for _ in range(5)]
    for number, order in enumerate(orders):
        clockwork.alarms.set({order: TIME + timedelta(seconds=number)})
    assert clockwork.alarms.pending() == 5
    assert clockwork.rings_until(TIME + timedelta(seconds=2.5)) == orders[:3]


def test_alarms_that_are_set_together_are_each_set_once(clockwork: Clockwork) -> None:
    first, second, third = orders = [secrets.token_hex(12) for _ in range(3)]
    clockwork.alarms.set({second: TIME})
    clockwork.alarms.set(dict.fromkeys(orders, TIME))
    clockwork.alarms.clear([first, third])
    assert clockwork.alarms.pending() == 3  # Huey finds out what was revoked when it comes by
    assert clockwork.rings_until(TIME + MICROSECOND) == [second]


def test_a_cleared_alarm_does_not_ring(clockwork: Clockwork) -> None:
    clockwork.alarms.set({ORDER: TIME})
    for _ in range(2):
        clockwork.alarms.clear([ORDER])
    assert clockwork.rings_until(TIME + MICROSECOND) == []
    assert clockwork.redis.keys() == []


def test_an_order_that_can_expire_again_has_an_alarm_again(clockwork: Clockwork) -> None:
    clockwork.alarms.set({ORDER: TIME})
    clockwork.alarms.clear([ORDER])
    clockwork.alarms.set({ORDER: TIME})
    assert clockwork.rings_until(TIME + MICROSECOND) == [ORDER]


def test_clearing_what_was_never_set_changes_nothing(clockwork: Clockwork) -> None:
    clockwork.alarms.clear([ORDER])
    assert clockwork.redis.keys() == []


def test_what_has_rung_leaves_nothing_behind(clockwork: Clockwork) -> None:
    """The order ends because of it, and is cleared afterwards: Redis must not grow by that."""
    past = datetime.now(UTC) - timedelta(seconds=1)
    clockwork.alarms.set({ORDER: past})
    assert clockwork.rings_until(datetime.now(UTC)) == [ORDER]
    clockwork.alarms.clear([ORDER])
    assert clockwork.redis.keys() == []


def test_a_mark_outlives_its_alarm_by_an_hour(clockwork: Clockwork) -> None:
    clockwork.alarms.set({ORDER: TIME})
    (mark,) = clockwork.redis.keys("expiration:alarm:*")
    ends = datetime.fromtimestamp(clockwork.redis.expiretime(mark), UTC)
    assert abs(ends - TIME - AFTERWARDS) < timedelta(seconds=1)


def test_redis_is_remembered_until_it_forgets(clockwork: Clockwork) -> None:
    assert not clockwork.alarms.remembers()
    clockwork.alarms.remember()
    assert clockwork.alarms.remembers()
    clockwork.redis.flushall()
    assert not clockwork.alarms.remembers()


# --- Redis is away --------------------------------------------------------------------------------


@pytest.fixture(params=["closed", "hanging"])
def away(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Alarms]:
    """Alarms whose Redis refuses to talk, or takes a connection and never says a word."""
    monkeypatch.setattr(alarms_module, "PATIENCE", 0.2)
    with socket.socket() as listener:
        port = free_port()
        if request.param == "hanging":
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            port = listener.getsockname()[1]
        alarms = Alarms(f"redis://127.0.0.1:{port}/0", SECRET_KEY)
        alarms.when_one_rings(lambda _: None)
        yield alarms
        close(alarms)


def test_without_redis_everything_says_so_soon(away: Alarms) -> None:
    for ask in (
        lambda: away.set({ORDER: TIME}),
        lambda: away.clear([ORDER]),
        away.pending,
        away.remembers,
        away.remember,
    ):
        began = time.monotonic()
        with pytest.raises(Unavailable, match="Redis"):
            ask()
        assert time.monotonic() - began < 3


def test_what_is_scheduled_waits_no_longer_than_the_rest(away: Alarms) -> None:
    """Huey's own connections would wait for ever for a Redis that hangs."""
    assert away.huey.storage.pool.connection_kwargs["socket_timeout"] == 0.2


def test_operators_see_how_many_wait(clockwork: Clockwork) -> None:
    clockwork.alarms.set({ORDER: TIME})
    answer = create_app(clockwork.alarms).test_client().get("/alarms")
    assert answer.get_json() == {"pending": 1}


def test_operators_see_that_redis_is_away(away: Alarms) -> None:
    answer = create_app(away).test_client().get("/alarms")
    assert answer.status_code == 503
    assert answer.get_json()["error"].startswith("Redis")
