"""Carries events from outboxes to the stream, and takes them out once the stream has them."""

import asyncio
from datetime import UTC, datetime, timedelta

from pymongo.errors import PyMongoError

from shared import logs
from shared.bus import Bus, is_trouble
from shared.mongo import Document, Documents

log = logs.get(__name__)

OVERDUE = timedelta(seconds=1)  # what waits longer was left behind by a crash or by NATS being away
BATCH = 50
GATHER = 0.2  # seconds for which published events are gathered to be taken out together
LIMIT = 10_000  # events in flight; the rest wait in their outboxes

Parcel = tuple[Documents, str, Document]


class Relay:
    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._in_flight: set[str] = set()
        self._queue: asyncio.Queue[Parcel] = asyncio.Queue()
        self._told: asyncio.Queue[Parcel] = asyncio.Queue()
        bus.spawn(self._publish_all())
        bus.spawn(self._take_out_all())

    def send(self, collection: Documents, key: str, entry: Document) -> None:
        """Publish soon. Never blocks: what does not fit waits in its outbox for the sweep."""
        if len(self._in_flight) >= LIMIT or entry["id"] in self._in_flight:
            return
        self._in_flight.add(entry["id"])
        self._bus.call_soon(self._queue.put_nowait, (collection, key, entry))

    @property
    def busy(self) -> bool:
        """Whether anything sent is not taken out of its outbox yet."""
        return bool(self._in_flight)

    def sweep(self, collection: Documents) -> None:
        """Send again what has waited too long."""
        latest = datetime.now(UTC) - OVERDUE
        waiting = collection.find({"outbox.id": {"$gt": ""}}, {"outbox": 1}).limit(1_000)
        for document in waiting:
            for entry in document["outbox"]:
                if datetime.fromisoformat(entry["time"]) <= latest:
                    self.send(collection, document["_id"], entry)

    async def _publish_all(self) -> None:
        while True:
            parcels = await _next(self._queue)
            told = await asyncio.gather(*(self._publish(entry) for _, _, entry in parcels))
            for parcel, ok in zip(parcels, told, strict=True):
                if ok:
                    self._told.put_nowait(parcel)
                else:
                    self._in_flight.discard(parcel[2]["id"])

    async def _take_out_all(self) -> None:
        """On its own, so that no event waits for the database to forget those before it.

        Nobody waits for this, and a write for many costs the database far less than many writes.
        """
        while True:
            parcels = await _next(self._told, GATHER)
            await asyncio.to_thread(_take_out, parcels)
            self._in_flight.difference_update(entry["id"] for _, _, entry in parcels)

    async def _publish(self, entry: Document) -> bool:
        try:
            await self._bus.publish_event(entry)
        except Exception as error:  # noqa: BLE001 - whatever it is, the others must go on
            trouble = is_trouble(error)
            report = log.warning if trouble else log.error
            report(
                "event stays in its outbox",
                event_id=entry["id"],
                error=repr(error),
                exc_info=not trouble,
            )
            return False
        return True


async def _next(queue: asyncio.Queue[Parcel], pause: float = 0.0) -> list[Parcel]:
    """What waits, so many seconds after anything does; at once when that fills a batch."""
    parcels = [await queue.get()]
    if queue.qsize() < BATCH:
        await asyncio.sleep(pause)
    while not queue.empty() and len(parcels) < BATCH:
        parcels.append(queue.get_nowait())
    return parcels


def _take_out(parcels: list[Parcel]) -> None:
    """One write for each collection: for 50 events 1.0 ms each of the embedded database, where
    as many writes in a bulk take 1.6."""
    for collection in {where for where, _, _ in parcels}:
        done = {entry["id"]: key for where, key, entry in parcels if where == collection}
        condition = {"_id": {"$in": list(set(done.values()))}}
        try:
            collection.update_many(condition, {"$pull": {"outbox": {"id": {"$in": list(done)}}}})
        except PyMongoError as error:
            # The sweep publishes them again under the same ids, which the stream drops as known.
            log.warning("published events stay in their outboxes", error=repr(error), events=done)
