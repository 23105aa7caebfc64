"""How often somebody may do something: the wait grows, and it ends."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from limits.storage import memory
from redis import Redis

from shared import limits as limits_module
from shared.errors import TooMany
from shared.limits import Limits, rule
from tests.expiration.valkey import valkey_server

STEPS = rule("steps", "2 per minute; 3 per hour", "Slower")


class Clock:
    """The time that limits go by."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def time(self) -> float:
        return self.now

    monotonic = time


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(limits_module, "time", clock)
    monkeypatch.setattr(memory, "time", clock)
    return clock


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with valkey_server(tmp_path_factory.mktemp("valkey")) as url:
        yield url


def wait_of(limits: Limits, *who: str) -> int:
    """0 when it is allowed, or the seconds to wait."""
    try:
        limits.count(STEPS, *who)
    except TooMany as refused:
        return refused.retry_after or -1
    return 0


def test_the_wait_grows_and_ends(clock: Clock) -> None:
    limits = Limits("memory://")
    assert [wait_of(limits, "ada") for _ in range(3)] == [0, 0, 61]
    clock.now += 61
    assert wait_of(limits, "ada") == 0
    assert wait_of(limits, "ada") == 3_600 - 61 + 1
    clock.now += 3_600
    assert wait_of(limits, "ada") == 0


def test_each_name_is_counted_alone_however_names_are_put_together() -> None:
    limits = Limits("memory://")
    assert [wait_of(limits, "ab", "c") for _ in range(3)][:2] == [0, 0]
    assert wait_of(limits, "a", "bc") == 0
    assert wait_of(limits, "ab", "c") > 0


def test_what_ended_well_is_forgiven() -> None:
    limits = Limits("memory://")
    for _ in range(6):
        assert wait_of(limits, "ada") == 0
        limits.forgive(STEPS, "ada")


def test_limits_that_are_off_count_nothing() -> None:
    limits = Limits("redis://127.0.0.1:1/0", enabled=False)
    assert [wait_of(limits, "ada") for _ in range(9)] == [0] * 9


def test_two_processes_count_together(redis_url: str) -> None:
    one, other = Limits(redis_url), Limits(redis_url)
    assert [wait_of(one, "ada"), wait_of(other, "ada")] == [0, 0]
    assert wait_of(one, "ada") > 0
    assert wait_of(other, "ada") > 0
    one.forgive(STEPS, "ada")
    assert wait_of(other, "ada") == 0


def test_names_are_not_kept_readable(redis_url: str) -> None:
    wait_of(Limits(redis_url), "grace@example.com")
    with Redis.from_url(redis_url) as redis:
        keys = [bytes(key) for key in redis.scan_iter()]
    assert keys
    assert not [key for key in keys if b"grace" in key]


def test_a_process_counts_alone_while_redis_is_away_and_looks_again(
    clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with valkey_server(tmp_path) as url:
        limits = Limits(url)
        assert wait_of(limits, "ada") == 0
    assert [wait_of(limits, "ada") for _ in range(3)][:2] == [0, 0]
    asked = 0

    def count_asking(*_: object) -> None:
        nonlocal asked
        asked += 1

    monkeypatch.setattr(limits, "_without_redis", count_asking)
    assert wait_of(limits, "ada") > 0
    assert not asked, "Redis that was away a moment ago is not asked at every request"
