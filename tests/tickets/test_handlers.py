"""What tickets learns from orders."""

from apps.tickets import models
from apps.tickets.handlers import EventHandlers
from apps.tickets.models import Details, Stock
from apps.tickets.service import Tickets
from apps.tickets.store import Search
from shared.bus import Ack, Message
from shared.events import AvailabilityChanged, AvailabilityData
from shared.worker import consumer
from tests.identity import user
from tests.tickets.conftest import SELLER


def deliver(service: Tickets, ticket_id: str, version: int, available: int) -> None:
    data = AvailabilityData(ticket_id=ticket_id, capacity=10, available=available)
    event = AvailabilityChanged(version=version, data=data)
    message = Message(event.subject, event.to_json().encode(), sequence=version)
    listener = consumer("tickets", EventHandlers(service).table)
    assert listener.handle([message, message]) == [Ack(), Ack()]


def test_availability_is_kept_newest_first_and_repeats_change_nothing(service: Tickets) -> None:
    ticket = service.create(user(SELLER), Details("Opera", 2_000, "usd", 10), None)
    deliver(service, ticket.id, 2, 4)
    deliver(service, ticket.id, 1, 9)
    assert service.get(ticket.id).available == 4
    assert service.get(ticket.id).tag == "0-2"
    deliver(service, ticket.id, 3, 0)
    assert service.browse(Search(), None, 10).tickets == []


def test_a_ticket_that_is_not_here_is_no_trouble(service: Tickets) -> None:
    deliver(service, "f" * 24, 1, 1)


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
