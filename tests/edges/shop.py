"""A running system with people in it, and what tests of edges do and ask."""

import json
import threading
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import stripe

from dev.chaos.client import Client
from dev.chaos.faults import stripe_control
from dev.chaos.history import Answer
from dev.chaos.history import History as Diary
from dev.chaos.people import press, seconds_until
from dev.cli import environment
from dev.stack import Stack
from shared.events import Event
from ticketing.audit import command, settings
from ticketing.audit.facts import AT_REST, Violation
from ticketing.audit.quiet import Quiet
from ticketing.audit.rounds import Audit
from ticketing.audit.stream import History

HOLD = 8  # seconds that a reservation holds
PATIENCE = 40.0  # seconds until something that must happen has happened
GOOD = "pm_card_visa"
AT_THE_BANK = "pm_card_threeDSecure2Required"


@dataclass
class Shop:
    stack: Stack
    diary: Diary
    audit: Audit
    seller: Client
    buyer: Client
    other: Client
    count: int = field(default=0)

    # --- what people do -------------------------------------------------------------------------

    def sells(self, quantity: int = 1, price: float = 20) -> str:
        """A new ticket that can be bought."""
        self.count += 1
        details = {"title": f"Edge {self.count}", "price": price, "quantity": quantity}
        return str(self.seller.insist("POST", "/api/tickets", details).get("id"))

    def edits(self, ticket: str, quantity: int, price: float = 20) -> Answer:
        details = {"title": "Edited", "price": price, "quantity": quantity}
        return self.seller.insist("PUT", f"/api/tickets/{ticket}", details)

    def reserves(self, ticket: str, quantity: int = 1, who: Client | None = None) -> str:
        wanted = {"ticketId": ticket, "quantity": quantity}
        answer = until(
            lambda: (who or self.buyer).insist("POST", "/api/orders", wanted),
            lambda answer: answer.status == 201,
        )
        return str(answer.get("id"))

    def pays(self, order: str, card: str = GOOD, who: Client | None = None) -> Answer:
        """The first answer but `not known yet`."""
        sent = {"orderId": order, "paymentMethod": card}
        return until(
            lambda: (who or self.buyer).insist("POST", "/api/payments", sent),
            lambda answer: answer.status != 404,
        )

    def passes_the_bank(self, answer: Answer) -> None:
        back = press(str(answer.get("redirectUrl")), "complete")
        self.buyer.ask("GET", back, headers={"Accept": "text/html"})

    # --- what is so -----------------------------------------------------------------------------

    def order(self, order: str, who: Client | None = None) -> Answer:
        return (who or self.buyer).insist("GET", f"/api/orders/{order}")

    def ends(self, order: str, *statuses: str, who: Client | None = None) -> Answer:
        """The order once it has one of the statuses."""
        return until(
            lambda: self.order(order, who), lambda answer: answer.get("status") in statuses
        )

    def available(self, ticket: str, units: int) -> None:
        """Wait until so many units of a ticket are on sale."""
        until(
            lambda: self.seller.insist("GET", f"/api/tickets/{ticket}"),
            lambda answer: answer.get("available") == units,
        )

    def document(self, service: str, name: str, key: str) -> dict[str, Any]:
        found = self.audit.databases.collection(service, name).find_one({"_id": key})
        assert found is not None
        return found

    def intent(self, order: str) -> stripe.PaymentIntent:
        """The order's payment, as Stripe has it."""
        intent = self.document("payments", "payments", order)["intent"]
        return self.audit.bank.client.v1.payment_intents.retrieve(intent["id"])

    def charged(self, order: str) -> int:
        """What was taken for an order, in minor units, and is on its way no more."""
        intents = until(
            lambda: self._intents(order),
            lambda found: all(intent.status != "requires_capture" for intent in found),
        )
        return sum(intent.amount_received for intent in intents)

    def _intents(self, order: str) -> list[stripe.PaymentIntent]:
        listed = self.audit.bank.client.v1.payment_intents.list({"limit": 100})
        mine = listed.auto_paging_iter()
        return [i for i in mine if i.metadata and i.metadata["order_id"] == order]

    def says(self, order: str, subject: str) -> dict[str, Any]:
        """An event about an order, once the stream has it."""
        return until(lambda: self._event(order, subject), bool)

    def _event(self, order: str, subject: str) -> dict[str, Any]:
        async def read() -> dict[str, Any]:
            async for message in self.audit.history.messages():
                if message.subject == subject and order.encode() in message.payload:
                    return json.loads(message.payload)
            return {}

        return self.audit.history.bus.run(read())

    # --- what is done to the system -------------------------------------------------------------

    def publish(self, event: Event | dict[str, Any]) -> None:
        """Deliver an event again, as a new message."""
        told = event if isinstance(event, dict) else event.to_dict()
        bus = self.audit.history.bus
        name = f"edge:{time.monotonic_ns()}"
        bus.run(bus.publish(told["subject"], json.dumps(told).encode(), name), 5)

    def bank(self, **command: Any) -> None:
        stripe_control(self.stack, command)

    @contextmanager
    def frozen(self, *parts: str) -> Generator[None]:
        """While some parts stand still."""
        for part in parts:
            self.stack.pause(part)
        try:
            yield
        finally:
            for part in parts:
                self.stack.resume(part)

    def violations(self) -> list[Violation]:
        """What the audit finds once all is quiet."""
        assert Quiet(self.audit.databases, self.audit.history.bus).wait(60) == ""
        audit = self.audit
        # From the start each time: what was read of a stream that is gone is no use.
        fresh = Audit(audit.databases, audit.bank, History(audit.history.bus), pause=1)
        return fresh.run(AT_REST).violations


def until(ask: Callable[[], Any], is_so: Callable[[Any], bool], seconds: float = PATIENCE) -> Any:
    """The first answer that is so."""
    deadline = time.monotonic() + seconds
    while not is_so(answer := ask()):
        assert time.monotonic() < deadline, f"it never came to it; last: {answer}"
        threading.Event().wait(0.05)
    return answer


def pass_time_of(order: Answer) -> None:
    """Wait until an order's time is over."""
    threading.Event().wait(seconds_until(str(order.get("expiresAt"))))


@contextmanager
def opened(folder: Path) -> Generator[Shop]:
    """A new system with a seller and two buyers."""
    env = {"SEED": "0", "RATE_LIMITS": "0", "VERIFY_EMAIL": "0", "HOLD_SECONDS": str(HOLD)}
    diary = Diary(folder / "history.jsonl")
    with ExitStack() as at_the_end:
        at_the_end.callback(diary.close)
        stack = at_the_end.enter_context(Stack(folder / "data", env))
        people = [Client(stack.port, name, diary) for name in ("seller", "buyer", "other")]
        for person in people:
            at_the_end.callback(person.close)
            person.sign_up(f"{person.who}@example.com")
        with command.opened(settings.read(environment(stack.run))) as audit:
            yield Shop(stack, diary, audit, *people)
