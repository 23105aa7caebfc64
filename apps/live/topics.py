"""What a page may ask to be told of, and whom an event concerns: the rules, without any server.

A page names topics: `ticket:<id>` is anybody's; `order:<id>`, `orders` and `sales` are a person's.
What is told and what is listened to meet under a key that holds the person's id. So a page that
names somebody else's order hears nothing, and can't even learn whether there is one.
"""

from typing import NamedTuple

from pydantic import BaseModel, Field

from shared.bus import TOLD
from shared.errors import FieldError, InvalidInput
from shared.events import Event, OrderEvent, PaymentEvent, TicketCreated, TicketUpdated, parse
from shared.fields import ID_PATTERN

MOST = 100  # topics of one page
_OF_SOMETHING = ("ticket", "order")  # such as ticket:<id>
_OF_A_PERSON = ("orders", "sales")


class Key(NamedTuple):
    """A topic, and the person it belongs to; nobody where it is everybody's."""

    user_id: str | None
    topic: str


class Told(BaseModel):
    """What a service says with `Bus.tell`."""

    topic: str
    user_id: str | None = Field(alias="userId")


def asked(names: list[str]) -> list[str]:
    """The topics of a request, each once. Raises InvalidInput."""
    topics = list(dict.fromkeys(names))
    if not topics:
        raise _wrong("Name at least one topic")
    if len(topics) > MOST:
        raise _wrong(f"At most {MOST} topics")
    if not all(_is_topic(topic) for topic in topics):
        raise _wrong("A topic is ticket:<id>, order:<id>, orders or sales")
    return topics


def is_public(topic: str) -> bool:
    return topic.startswith("ticket:")


def key(topic: str, user_id: str | None) -> Key:
    """Where this person listens to hear of a topic."""
    return Key(None if is_public(topic) else user_id, topic)


def concerned(subject: str, payload: bytes) -> list[Key]:
    """Who should look again after a message on the bus. Raises ValueError for an unreadable one."""
    if subject == TOLD:
        told = Told.model_validate_json(payload)
        return [Key(told.user_id, told.topic)]
    return _concerned(parse(payload))


def _concerned(event: Event) -> list[Key]:
    match event:
        case TicketCreated(data=data) | TicketUpdated(data=data):
            return [Key(None, f"ticket:{data.id}"), Key(data.user_id, "sales")]
        case OrderEvent(data=data):
            return [*_of_order(data.id, data.user_id), Key(data.ticket.seller_id, "sales")]
        case PaymentEvent(data=data):
            return _of_order(data.order_id, data.user_id)
        case _:
            return []


def _of_order(order_id: str, buyer_id: str) -> list[Key]:
    return [Key(buyer_id, f"order:{order_id}"), Key(buyer_id, "orders")]


def _is_topic(name: str) -> bool:
    kind, separator, of = name.partition(":")
    if separator:
        return kind in _OF_SOMETHING and bool(ID_PATTERN.fullmatch(of))
    return kind in _OF_A_PERSON


def _wrong(message: str) -> InvalidInput:
    return InvalidInput([FieldError(message, "topic")])
