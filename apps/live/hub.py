"""Who listens to what. Everything here runs on the event loop of the web server."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from apps.live.topics import Key
from shared.errors import TooMany, Unavailable
from shared.people import User

INTERVAL = 0.8  # seconds between two events of one topic
# Beyond two thousand, pages of one ticket are told less often than each second, as each then asks
# for its part anew, which would take the machine from those who buy it.
FOR_EACH_PAGE = 0.0005


class TooManyStreams(Unavailable):
    message = "Too many pages are open right now; this one looks by itself now and then"
    retry_after = 30


class TooManyOfOne(TooMany):
    message = "You have too many pages open; this one looks by itself now and then"
    retry_after = 30


@dataclass(frozen=True)
class Shares:
    """How many open pages one person, and one network address, may have."""

    person: int
    address: int


@dataclass(eq=False)
class Stream:
    """One open page. It keeps no more than which topics changed, however slowly it is read."""

    keys: tuple[Key, ...]
    user: User | None = None
    address: str = ""  # empty where no gateway told it
    over: bool = False
    _news: dict[str, int] = field(default_factory=dict[str, int])
    _awake: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def owners(self) -> list[tuple[str, str]]:
        """Of whose share it is a part."""
        owners = [("person", self.user.id if self.user else ""), ("address", self.address)]
        return [owner for owner in owners if owner[1]]

    def tell(self, topic: str, count: int) -> None:
        self._news[topic] = count
        self._awake.set()

    def end(self) -> None:
        self.over = True
        self._awake.set()

    async def next(self, patience: float) -> str | None:
        """What to write: events, or a heartbeat when there is none in time; None at the end."""
        try:
            async with asyncio.timeout(patience):
                await self._awake.wait()
        except TimeoutError:
            return ":\n\n"
        if self.over:
            return None
        self._awake.clear()
        news, self._news = self._news, {}
        return "".join(f"event: {topic}\ndata: {count}\n\n" for topic, count in news.items())


class Topic:
    """What some pages listen to: the first change is told at once, the next ones together."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.streams: set[Stream] = set()
        self._count = 0
        self._told_at = float("-inf")
        self._timer: asyncio.TimerHandle | None = None

    def changed(self) -> None:
        if self._timer:
            return  # it will be told with what is waiting
        loop = asyncio.get_running_loop()
        due = self._told_at + max(INTERVAL, FOR_EACH_PAGE * len(self.streams))
        if due <= loop.time():
            self._tell()
        else:
            self._timer = loop.call_at(due, self._tell)

    def _tell(self) -> None:
        self._timer = None
        self._told_at = asyncio.get_running_loop().time()
        self._count += 1
        for stream in self.streams:
            stream.tell(self.name, self._count)

    def forget(self) -> None:
        if self._timer:
            self._timer.cancel()


class Hub:
    def __init__(self, most: int, shares: Shares | None = None) -> None:
        self._most, self._shares = most, shares
        self._held: Counter[tuple[str, str]] = Counter()
        self._streams: set[Stream] = set()
        self._topics: dict[Key, Topic] = {}
        self._closed = False

    def __len__(self) -> int:
        return len(self._streams)

    def open(self, keys: Iterable[Key], user: User | None, address: str = "") -> Stream:
        """A new page. Raises Unavailable when there are too many, or this process is to end;
        TooManyOfOne when somebody has their share."""
        if self._closed:
            raise Unavailable
        if len(self._streams) >= self._most:
            raise TooManyStreams
        stream = Stream(tuple(keys), user, address)
        self._require_share(stream)
        self._held.update(stream.owners)
        self._streams.add(stream)
        for key in stream.keys:
            self._topics.setdefault(key, Topic(key.topic)).streams.add(stream)
        return stream

    def _require_share(self, stream: Stream) -> None:
        if self._shares is None:
            return
        for owner in stream.owners:
            if self._held[owner] >= getattr(self._shares, owner[0]):
                raise TooManyOfOne

    def leave(self, stream: Stream) -> None:
        """The page is gone, and with the last page of a topic, the topic."""
        if stream not in self._streams:
            return
        self._streams.remove(stream)
        for owner in stream.owners:
            self._held[owner] -= 1
            if not self._held[owner]:
                del self._held[owner]
        for key in stream.keys:
            topic = self._topics.get(key)
            if topic is None:
                continue
            topic.streams.discard(stream)
            if not topic.streams:
                topic.forget()
                del self._topics[key]

    def changed(self, keys: Iterable[Key]) -> None:
        for key in keys:
            if topic := self._topics.get(key):
                topic.changed()

    def end_sessions(self, ended: Callable[[User], bool]) -> None:
        """End the streams of people whose session has ended; what is public goes on."""
        for stream in self._streams:
            if stream.user and ended(stream.user):
                stream.end()

    def close(self) -> None:
        """End every stream, and open no more."""
        self._closed = True
        for stream in self._streams:
            stream.end()
