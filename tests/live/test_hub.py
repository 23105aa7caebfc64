"""Who is told, how often, and that nothing is kept of what is gone."""

import asyncio
from collections.abc import Coroutine
from itertools import pairwise
from typing import Any

import pytest

from apps.live import hub as hub_module
from apps.live.hub import Hub, Stream, TooManyStreams
from apps.live.topics import Key, key
from shared.errors import Unavailable
from tests.identity import user

INTERVAL = 0.1  # seconds; shorter than the real one
QUIET = 0.3  # seconds without an event that count as none
MINE, THEIRS = key("orders", "me"), key("orders", "them")
TICKET = key("ticket:1", None)


@pytest.fixture(autouse=True)
def _shorter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "INTERVAL", INTERVAL)


@pytest.fixture
def hub() -> Hub:
    return Hub(most=3)


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


async def heard(stream: Stream) -> list[str]:
    """The topics that the stream is told of now, in the order in which they changed."""
    text = await stream.next(QUIET)
    return [line[7:] for line in (text or "").splitlines() if line.startswith("event: ")]


def test_a_change_reaches_those_who_listen_and_nobody_else(hub: Hub) -> None:
    async def work() -> None:
        mine, theirs = hub.open([MINE, TICKET], None), hub.open([THEIRS], None)
        hub.changed([MINE, Key("nobody", "sales")])
        assert await heard(mine) == ["orders"]
        assert await heard(theirs) == []

    run(work())


def test_what_changes_often_is_told_at_once_then_now_and_then_and_the_last_one_too(
    hub: Hub,
) -> None:
    async def work() -> None:
        stream = hub.open([TICKET], None)
        loop = asyncio.get_running_loop()
        begun, told, last = loop.time(), [], 0.0
        while loop.time() < begun + 3.5 * INTERVAL:
            hub.changed([TICKET])
            last = loop.time()
            if await stream.next(0.005) != ":\n\n":
                told.append(loop.time() - begun)
        if await stream.next(QUIET) != ":\n\n":
            told.append(loop.time() - begun)
        assert told[0] < INTERVAL
        assert 3 <= len(told) <= 5
        assert all(b - a > 0.8 * INTERVAL for a, b in pairwise(told))
        assert told[-1] > last - begun
        assert await heard(stream) == []

    run(work())


@pytest.mark.parametrize(("for_each", "again"), [(0.0, ["ticket:1"]), (60.0, [])])
def test_a_topic_of_many_pages_is_told_less_often(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, for_each: float, again: list[str]
) -> None:
    monkeypatch.setattr(hub_module, "FOR_EACH_PAGE", for_each)

    async def work() -> None:
        pages = [hub.open([TICKET], None) for _ in range(2)]
        hub.changed([TICKET])
        assert [await heard(page) for page in pages] == [["ticket:1"]] * 2  # the first at once
        hub.changed([TICKET])
        assert [await heard(page) for page in pages] == [again] * 2

    run(work())


def test_topics_do_not_wait_for_each_other(hub: Hub) -> None:
    async def work() -> None:
        stream = hub.open([TICKET, MINE], None)
        hub.changed([TICKET])
        assert await heard(stream) == ["ticket:1"]
        hub.changed([TICKET, MINE])
        assert await heard(stream) == ["orders"]
        assert await heard(stream) == ["ticket:1"]

    run(work())


def test_a_page_that_does_not_read_costs_no_more_than_its_topics(hub: Hub) -> None:
    async def work() -> None:
        stream = hub.open([TICKET, MINE], None)
        for _ in range(4):
            hub.changed([TICKET, MINE])
            await asyncio.sleep(INTERVAL)
        assert sorted(await heard(stream)) == ["orders", "ticket:1"]

    run(work())


def test_the_data_counts_the_changes(hub: Hub) -> None:
    async def work() -> None:
        stream = hub.open([TICKET], None)
        hub.changed([TICKET])
        assert await stream.next(QUIET) == "event: ticket:1\ndata: 1\n\n"
        hub.changed([TICKET])
        assert await stream.next(QUIET) == "event: ticket:1\ndata: 2\n\n"

    run(work())


def test_too_many_are_refused_until_one_leaves(hub: Hub) -> None:
    async def work() -> None:
        streams = [hub.open([TICKET], None) for _ in range(3)]
        with pytest.raises(TooManyStreams):
            hub.open([TICKET], None)
        hub.leave(streams[0])
        hub.open([TICKET], None)
        assert len(hub) == 3

    run(work())


def test_nothing_is_kept_of_pages_that_are_gone(hub: Hub) -> None:
    async def work() -> None:
        first, second = hub.open([TICKET, MINE], None), hub.open([TICKET], None)
        hub.changed([TICKET])
        hub.changed([TICKET])  # waits for its time
        hub.leave(first)
        hub.leave(second)
        hub.leave(second)
        assert len(hub) == 0
        assert not hub._topics
        await asyncio.sleep(2 * INTERVAL)
        hub.changed([TICKET])
        assert not hub._topics

    run(work())


def test_streams_of_an_ended_session_end_and_others_go_on(hub: Hub) -> None:
    async def work() -> None:
        me, them = user("me"), user("them")
        streams = [hub.open([MINE], me), hub.open([THEIRS], them), hub.open([TICKET], None)]
        hub.end_sessions(lambda user: user.id == "me")
        assert [stream.over for stream in streams] == [True, False, False]
        assert await streams[0].next(QUIET) is None
        hub.changed([THEIRS])
        assert await heard(streams[1]) == ["orders"]

    run(work())


def test_at_the_end_every_stream_ends_and_none_is_opened(hub: Hub) -> None:
    async def work() -> None:
        streams = [hub.open([TICKET], None), hub.open([MINE], user("me"))]
        hub.close()
        assert [await stream.next(QUIET) for stream in streams] == [None, None]
        with pytest.raises(Unavailable):
            hub.open([TICKET], None)

    run(work())
