"""The route: who gets a stream, how refusals look, and how a stream ends. Without a server."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import pytest
from starlette.applications import Starlette

from apps.live import create_app, streams
from apps.live.config import Settings
from apps.live.hub import Hub, Shares
from apps.live.topics import key
from shared.errors import Unavailable
from shared.identity import Identity
from shared.revocations import Revocations
from tests.identity import identity, sign, user

TICKET, ORDER = "ticket:71cce7000000000000000001", "order:0d0e00000000000000000001"
Message = dict[str, Any]


@pytest.fixture
def hub() -> Hub:
    return Hub(most=2)


@pytest.fixture
def app(hub: Hub) -> Starlette:
    return app_of(hub, identity())


def app_of(hub: Hub, person: Identity, public_url: str = "http://tickets.test") -> Starlette:
    settings = Settings(
        nats_url="nats://nowhere",
        secret_key="0123456789abcdef",
        auth_url="http://nowhere",
        public_url=public_url,
    )
    return create_app(settings, hub, person)


@dataclass
class Page:
    """A browser, as the application sees it."""

    app: Starlette
    sent: list[Message] = field(default_factory=list[Message])
    reads: bool = True
    _left: asyncio.Event = field(default_factory=asyncio.Event)
    _asked: bool = False

    async def get(self, *topics: str, method: str = "GET", path: str = "/live", **headers: str):
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": "&".join(f"topic={quote(topic)}" for topic in topics).encode(),
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        }
        await self.app(scope, self._receive, self._send)
        return self

    def leave(self) -> None:
        self._left.set()

    async def _receive(self) -> Message:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        self.sent.append(message)
        while not self.reads:
            await asyncio.sleep(60)

    @property
    def status(self) -> int:
        return self.sent[0]["status"]

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.sent[0]["headers"]}

    @property
    def body(self) -> str:
        return b"".join(message.get("body", b"") for message in self.sent).decode()

    @property
    def errors(self) -> list[dict[str, str]]:
        return json.loads(self.body)["errors"]


def ask(app: Starlette, *topics: str, **options: str) -> Page:
    """A request that is answered at once."""
    return asyncio.run(Page(app).get(*topics, **options))


def watch(app: Starlette, *topics: str, then: Callable[[Page], Awaitable[None]], **headers: str):
    """Open a stream, do something, leave."""

    async def work() -> Page:
        page = Page(app)
        stream = asyncio.create_task(page.get(*topics, **headers))
        async with asyncio.timeout(5):
            while len(page.sent) < 2:
                await asyncio.sleep(0.005)
            await then(page)
            page.leave()
            await stream
        return page

    return asyncio.run(work())


async def nothing(_page: Page) -> None:
    """Only look."""


# --- refusals -------------------------------------------------------------------------------------


def test_a_bad_topic_is_named(app: Starlette) -> None:
    page = ask(app, "orders", "everything")
    assert (page.status, page.errors[0]["field"]) == (400, "topic")
    assert ask(app).status == 400
    assert ask(app, *(f"ticket:{number:024x}" for number in range(101))).status == 400


@pytest.mark.parametrize("topic", [ORDER, "orders", "sales"])
def test_who_is_not_signed_in_hears_of_tickets_only(app: Starlette, topic: str) -> None:
    for headers in ({}, {"cookie": "session=forged"}, {"authorization": "Bearer forged"}):
        page = ask(app, TICKET, topic, **headers)
        assert (page.status, page.errors) == (401, [{"message": "Not signed in"}])
        assert page.headers["cache-control"] == "no-store"


def test_a_revoked_session_is_none(hub: Hub) -> None:
    token = sign("me")
    person = identity()
    found = person.user(token)
    assert found
    app = app_of(hub, person)
    assert watch(app, "orders", then=nothing, cookie=f"session={token}").status == 200
    person.revocations.covers = lambda user: user.session_id == found.session_id
    assert ask(app, "orders", cookie=f"session={token}").status == 401


def test_while_nobody_can_be_checked_tickets_are_told_all_the_same(hub: Hub) -> None:
    app = app_of(hub, Identity(_NoKeys(), Revocations()))
    cookie = f"session={sign('me')}"
    page = ask(app, "orders", cookie=cookie)
    assert (page.status, page.headers["retry-after"]) == (503, "2")
    assert watch(app, TICKET, then=nothing, cookie=cookie).status == 200


def test_under_tls_only_the_guarded_cookie_counts(hub: Hub) -> None:
    app = app_of(hub, identity(), "https://tickets.test")
    token = sign("me")
    assert ask(app, "orders", cookie=f"session={token}").status == 401
    assert watch(app, "orders", then=nothing, cookie=f"__Host-session={token}").status == 200


def test_other_paths_and_methods(app: Starlette) -> None:
    assert ask(app, TICKET, path="/elsewhere").status == 404
    assert ask(app, TICKET, method="POST").status == 405
    assert ask(app, TICKET, method="HEAD").status == 200  # and does not wait for anything


def test_one_too_many_is_told_to_come_back(app: Starlette, hub: Hub) -> None:
    async def fill(_page: Page) -> None:
        hub.open([], None)
        refused = await Page(app).get(TICKET)
        assert (refused.status, refused.headers["retry-after"]) == (503, "30")

    assert watch(app, TICKET, then=fill).status == 200


@pytest.mark.parametrize(
    ("topic", "headers", "others"),
    [
        ("orders", {"x-forwarded-for": "192.0.2.1"}, {"x-forwarded-for": "192.0.2.2"}),
        (TICKET, {"x-forwarded-for": "192.0.2.1"}, {"x-forwarded-for": "192.0.2.2"}),
        (TICKET, {"x-forwarded-for": "2001:db8::1"}, {"x-forwarded-for": "2001:db8:0:1::1"}),
        (TICKET, {"x-forwarded-for": "6.6.6.6, 192.0.2.1"}, {}),
    ],
)
def test_nobody_takes_the_streams_of_everybody(
    topic: str, headers: dict[str, str], others: dict[str, str]
) -> None:
    """Neither one person nor one address; what a client says of its address does not count."""
    shares = Shares(person=1, address=9) if topic == "orders" else Shares(person=9, address=1)
    hub = Hub(most=9, shares=shares)
    app = app_of(hub, identity())
    mine, theirs = ({"cookie": f"session={sign(who)}"} for who in ("me", "them"))

    async def again(_page: Page) -> None:
        lie = {"x-forwarded-for": "7.7.7.7, 192.0.2.1"} if "," in headers["x-forwarded-for"] else {}
        refused = await Page(app).get(topic, **mine, **(headers | lie))
        assert (refused.status, refused.headers["retry-after"]) == (429, "30")
        assert len(hub) == 1
        hub.leave(hub.open([key(topic, "them")], user("them"), others.get("x-forwarded-for", "")))

    assert watch(app, topic, then=again, **mine, **headers).status == 200
    assert (
        watch(app, topic, then=nothing, **mine, **headers).status == 200
    )  # the share is free again
    assert watch(app, topic, then=nothing, **theirs, **others).status == 200


# --- streams --------------------------------------------------------------------------------------


def test_a_stream_is_kept_by_nobody_on_its_way(app: Starlette) -> None:
    page = watch(app, TICKET, then=nothing)
    assert page.headers["content-type"].startswith("text/event-stream")
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["x-accel-buffering"] == "no"


def test_pages_come_back_at_different_times(app: Starlette) -> None:
    bodies = {watch(app, TICKET, then=nothing).body for _ in range(8)}
    waits = [int(body.removeprefix("retry: ")) for body in bodies]
    assert len(waits) > 4
    assert all(streams.RETRY[0] <= wait <= streams.RETRY[1] for wait in waits)


def test_a_quiet_stream_beats(app: Starlette, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT", 0.02)

    async def wait(page: Page) -> None:
        while ":\n\n:\n\n" not in page.body:
            await asyncio.sleep(0.01)

    watch(app, TICKET, then=wait)


def test_a_page_that_left_is_forgotten(app: Starlette, hub: Hub) -> None:
    async def look(_page: Page) -> None:
        assert len(hub) == 1

    watch(app, TICKET, then=look)
    assert len(hub) == 0


def test_a_page_that_does_not_read_is_cut(
    app: Starlette, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "SLOWEST", 0.05)

    async def stop_reading(page: Page) -> None:
        page.reads = False
        (stream,) = hub._streams
        stream.tell(TICKET, 1)
        while len(hub):
            await asyncio.sleep(0.01)

    watch(app, TICKET, then=stop_reading)


def test_at_the_end_a_stream_ends_as_it_should(app: Starlette, hub: Hub) -> None:
    async def end(page: Page) -> None:
        hub.close()
        while page.sent[-1].get("more_body", True):
            await asyncio.sleep(0.01)

    watch(app, TICKET, then=end)


class _NoKeys:
    def find(self, key_id: str) -> None:
        raise Unavailable(key_id)
