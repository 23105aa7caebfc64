"""Whether the system has come to rest: nothing is on its way, and nothing is due."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from nats.js.api import ConsumerInfo
from nats.js.errors import NotFoundError

from shared.bus import Bus
from shared.events import STREAM
from ticketing.audit.facts import LIVE
from ticketing.audit.sources import BATCH, Databases

PAUSE = 1.0  # seconds between two looks; two in a row must find nothing


@dataclass(frozen=True)
class Quiet:
    databases: Databases
    bus: Bus

    def wait(self, seconds: float) -> str:
        """Wait until all is quiet; returns what was not when the time was over, or nothing."""
        deadline = time.monotonic() + seconds
        calm = 0
        while True:
            reason = self.reason()
            calm = 0 if reason else calm + 1
            if calm == 2:
                return ""
            if reason and time.monotonic() > deadline:
                return reason
            time.sleep(PAUSE)

    def reason(self) -> str:
        """What is under way right now; an empty text when nothing is."""
        questions: list[Callable[[], str]] = [
            self._outboxes,
            self._consumers,
            self._orders,
            self._payments,
            self._orphans,
        ]
        return next((reason for ask in questions if (reason := ask())), "")

    def _outboxes(self) -> str:
        event = next(self.databases.waiting(), None)
        return f"{event.subject} {event.event_id} waits in its outbox" if event else ""

    def _consumers(self) -> str:
        try:
            infos = self.bus.run(self._consumer_infos())
        except NotFoundError:
            return f"the stream {STREAM} is missing"
        for info in infos:
            left = (info.num_pending or 0) + (info.num_ack_pending or 0)
            if left:
                return f"consumer {info.name} has {left} events before it"
        return ""

    async def _consumer_infos(self) -> list[ConsumerInfo]:
        infos = await self.bus.jetstream.consumers_info(STREAM)
        return [info for info in infos if info.config.durable_name]

    def _orders(self) -> str:
        orders = self.databases.collection("orders", "orders")
        overdue = {"status": "created", "expires_at": {"$lte": datetime.now(UTC)}}
        for condition, what in (
            (overdue, "is past its time"),
            ({"status": "awaiting:payment"}, "waits for its payment's capture"),
            ({"release_pending": True}, "has not given its units back"),
        ):
            if found := orders.find_one(condition, {"_id": 1}):
                return f"order {found['_id']} {what}"
        return ""

    def _payments(self) -> str:
        payments = self.databases.collection("payments", "payments")
        fields = {"settle_at": 1, "attempts.state": 1}
        for payment in payments.find(
            {"settle_at": {"$gt": datetime.fromtimestamp(0, UTC)}}, fields
        ):
            attempts = payment.get("attempts") or [{"state": ""}]
            # A buyer who is busy at their bank may take their time.
            if attempts[-1]["state"] != "action" or payment["settle_at"] <= datetime.now(UTC):
                return f"the payment of order {payment['_id']} is not settled"
        return ""

    def _orphans(self) -> str:
        """Units whose order was never stored, or is over."""
        orders = self.databases.collection("orders", "orders")
        for ids in self._overdue_entries():
            found = orders.find({"_id": {"$in": ids}}, {"status": 1})
            live = {order["_id"] for order in found if order["status"] in LIVE}
            if orphans := sorted(set(ids) - live):
                return f"units are taken for order {orphans[0]}, which has no claim to them"
        return ""

    def _overdue_entries(self) -> Iterator[list[str]]:
        blocks = self.databases.collection("orders", "blocks")
        now = datetime.now(UTC)
        ids: list[str] = []
        for block in blocks.find({"taken.until": {"$lte": now}}, {"taken": 1}):
            ids += [entry["order_id"] for entry in block["taken"] if entry["until"] <= now]
            if len(ids) > BATCH:
                yield ids
                ids = []
        yield ids
