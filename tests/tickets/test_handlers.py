"""What tickets learns from orders."""

from apps.tickets import models
from apps.tickets.handlers import HEARD, EventHandlers
from apps.tickets.models import Details, Stock
from apps.tickets.service import Tickets
from apps.tickets.store import Search
from shared.bus import Ack, Message
from shared.events import AvailabilityChanged, AvailabilityData
from shared.worker import batch_consumer
from tests.identity import user
from tests.tickets.conftest import SELLER


def deliver(service: Tickets, *events: AvailabilityChanged) -> list[str]:
    """Deliver these together, each twice; the topics that were told of."""
    messages = [Message(event.subject, event.to_json().encode(), sequence=1) for event in events]
    told: list[str] = []
    handle = EventHandlers(service, lambda topic, _: told.append(topic)).on_availability
    listener = batch_consumer("tickets", HEARD, handle, linger=0.1)
    assert listener.handle(messages * 2) == [Ack()] * 2 * len(events)
    return told


def changed(ticket_id: str, version: int, available: int) -> AvailabilityChanged:
    data = AvailabilityData(ticket_id=ticket_id, capacity=10, available=available)
    return AvailabilityChanged(version=version, data=data)


def test_availability_is_kept_newest_first_and_repeats_change_nothing(service: Tickets) -> None:
    ticket = service.create(user(SELLER), Details("Opera", 2_000, "usd", 10), None)
    deliver(service, changed(ticket.id, 2, 4))
    deliver(service, changed(ticket.id, 1, 9))
    assert service.get(ticket.id).available == 4
    assert service.get(ticket.id).tag == "0-2"
    deliver(service, changed(ticket.id, 3, 0))
    assert service.browse(Search(), None, 10).tickets == []


def test_of_what_comes_together_the_newest_of_each_ticket_counts(service: Tickets) -> None:
    first, second = (
        service.create(user(SELLER), Details(title, 2_000, "usd", 10), None)
        for title in ("Opera", "Ballet")
    )
    told = deliver(
        service, changed(first.id, 3, 1), changed(second.id, 2, 5), changed(first.id, 2, 9)
    )
    assert sorted(told) == sorted([f"ticket:{first.id}", f"ticket:{second.id}"])
    assert [service.get(ticket.id).available for ticket in (first, second)] == [1, 5]
    assert service.get(first.id).stock == Stock(0, 3, 10, 1)


def test_a_ticket_that_is_not_here_is_no_trouble(service: Tickets) -> None:
    ticket = service.create(user(SELLER), Details("Opera", 2_000, "usd", 10), None)
    deliver(service, changed("f" * 24, 1, 1), changed(ticket.id, 1, 2))
    assert service.get(ticket.id).available == 2


def test_a_rebuild_repairs_what_has_the_right_version_but_wrong_numbers(service: Tickets) -> None:
    ticket = service.create(user(SELLER), Details("Opera", 2_000, "usd", 10), None)
    service.restock(ticket.id, Stock(0, 2, 10, 9))
    data = AvailabilityData(ticket_id=ticket.id, capacity=10, available=4)
    replicas = EventHandlers(service).replicas
    replicas[AvailabilityChanged](AvailabilityChanged(version=2, data=data))
    assert service.get(ticket.id).available == 4
    replicas[AvailabilityChanged](AvailabilityChanged(version=1, data=data))
    assert service.get(ticket.id).tag == "0-2"


def test_a_ticket_can_be_announced_again(service: Tickets) -> None:
    ticket = service.create(user(SELLER), Details("Opera", 2_000, "usd", 10), None)
    again = service.store.aggregates.update(ticket.id, models.announce)
    document = service.store.aggregates.collection.find_one({"_id": ticket.id})
    assert document is not None
    assert [entry["subject"] for entry in document["outbox"]] == [
        "ticket.created",
        "ticket.updated",
    ]
    assert again.version == document["outbox"][1]["version"] == 1
    assert document["outbox"][1]["data"] == document["outbox"][0]["data"]
