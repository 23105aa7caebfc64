"""The story of one order: its events in order, and what every service and Stripe say of it now."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import stripe

from shared.bus import DEAD_STREAM, Message
from shared.events import Event
from ticketing.audit.rounds import Audit
from ticketing.audit.stream import event_of, letter


def tell(audit: Audit, order_id: str) -> Iterator[str]:
    """The story, line by line."""
    yield f"order {order_id}"
    for title, lines in (
        ("events", audit.history.bus.run(_events(audit, order_id))),
        ("dead letters", audit.history.bus.run(_letters(audit, order_id))),
        ("documents", _documents(audit, order_id)),
        ("webhooks", _webhooks(audit, order_id)),
        ("Stripe", _intents(audit, order_id)),
    ):
        yield f"  {title}"
        yield from (f"    {line}" for line in [*lines] or ["none"])


def orders_of(text: str, known: set[str]) -> list[str]:
    """The ids of orders that a text names."""
    return [word for word in text.replace(",", " ").split() if word in known]


async def _events(audit: Audit, order_id: str) -> list[str]:
    return [
        f"{event.time.isoformat(timespec='milliseconds')}  #{message.sequence}  {event.subject}  "
        f"v{event.epoch}.{event.version}  {event.id}  {_data(event)}"
        async for message in audit.history.messages()
        if order_id.encode() in message.payload and (event := event_of(message))
    ]


def _data(event: Event) -> str:
    data: dict[str, Any] = event.to_dict()["data"]
    shown = {key: value for key, value in data.items() if value not in (None, 0)}
    return json.dumps(shown, ensure_ascii=False)


async def _letters(audit: Audit, order_id: str) -> list[str]:
    def about(message: Message) -> bool:
        return order_id.encode() in message.payload

    found = [message async for message in audit.history.messages(DEAD_STREAM) if about(message)]
    return [str(letter(message)) for message in found]


def _documents(audit: Audit, order_id: str) -> Iterator[str]:
    order = audit.databases.collection("orders", "orders").find_one({"_id": order_id})
    yield f"orders.orders     {_text(order)}"
    condition = {"taken.order_id": order_id}
    for block in audit.databases.collection("orders", "blocks").find(condition):
        block["taken"] = [entry for entry in block["taken"] if entry["order_id"] == order_id]
        yield f"orders.blocks     {_text(block)}"
    if order:
        ticket = audit.databases.collection("tickets", "tickets").find_one(order["ticket"]["id"])
        yield f"tickets.tickets   {_text(ticket)}"
    payment = audit.databases.collection("payments", "payments").find_one({"_id": order_id})
    yield f"payments.payments {_text(payment)}"


def _webhooks(audit: Audit, order_id: str) -> Iterator[str]:
    payment = audit.databases.collection("payments", "payments").find_one({"_id": order_id})
    intent = payment and payment.get("intent")
    if intent:
        kept = audit.databases.collection("payments", "webhooks").find({"intent_id": intent["id"]})
        for webhook in sorted(kept, key=lambda found: found["received_at"]):
            yield f"{webhook['received_at'].isoformat()}  {webhook['kind']}  {webhook['_id']}"


def _intents(audit: Audit, order_id: str) -> Iterator[str]:
    payments = audit.databases.collection("payments", "payments")
    payment = payments.find_one({"_id": order_id}) or {}
    if known := payment.get("intent"):
        client = audit.bank.client
        try:
            intent = client.v1.payment_intents.retrieve(
                known["id"], {"expand": ["latest_charge.refunds"]}
            )
            yield _text(intent.to_dict())
        except stripe.StripeError as error:
            yield f"{known['id']}: {error}"


def _text(document: Any) -> str:
    return json.dumps(document, default=_plain, ensure_ascii=False)


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
