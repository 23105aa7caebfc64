"""A small system at rest: real purchases, then every process that could mend damage is stopped."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dev.chaos.client import Client
from dev.chaos.faults import stripe_control
from dev.chaos.history import Answer, History
from dev.cli import environment
from dev.stack import Stack
from tests.waiting import wait_until
from ticketing.audit import command, settings
from ticketing.audit.facts import AT_REST, Violation
from ticketing.audit.quiet import Quiet
from ticketing.audit.rounds import Audit, Result

ENV = {"SEED": "0", "RATE_LIMITS": "0", "VERIFY_EMAIL": "0", "HOLD_SECONDS": "900"}


@dataclass
class Resting:
    """The connections to a system at rest, and the ids of what happened in it."""

    stack: Stack
    settings: settings.Settings
    audit: Audit
    seat: str
    row: str
    hall: str
    paid: str
    refunded: str
    reserved: str
    cancelled: str
    declined: str

    def check(self) -> Result:
        """An audit from the start, that looks at each suspicion once more."""
        with command.opened(self.settings) as audit:
            return Audit(audit.databases, audit.bank, audit.history, again=1, pause=0).run(AT_REST)

    def violations(self) -> list[Violation]:
        return self.check().violations

    def set(self, place: str, key: str, values: dict[str, Any]) -> Callable[[], object]:
        """Change fields of a document; returns what restores it."""
        service, _, name = place.partition(".")
        collection = self.audit.databases.collection(service, name)
        before = collection.find_one({"_id": key})
        assert before is not None
        assert collection.update_one({"_id": key}, {"$set": values}).modified_count
        return lambda: collection.replace_one({"_id": key}, before)

    def remove(self, place: str, key: str) -> Callable[[], object]:
        service, _, name = place.partition(".")
        collection = self.audit.databases.collection(service, name)
        before = collection.find_one({"_id": key})
        assert before is not None
        collection.delete_one({"_id": key})
        return lambda: collection.insert_one(before)

    def document(self, place: str, key: str) -> dict[str, Any]:
        service, _, name = place.partition(".")
        found = self.audit.databases.collection(service, name).find_one({"_id": key})
        assert found is not None
        return found


@pytest.fixture(scope="session")
def resting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Resting]:
    folder = tmp_path_factory.mktemp("audit")
    with Stack(folder / "data", ENV) as stack:
        made = _happen(stack, folder)
        given = settings.read(environment(stack.run))
        with command.opened(given) as audit:
            assert Quiet(audit.databases, audit.history.bus).wait(30) == ""
            for part in stack.parts.values():
                if part.name.endswith(("-web", "-worker")) or part.name in ("alarms", "valkey"):
                    stack.stop(part.name)
            yield Resting(stack, given, audit, **made)


def _happen(stack: Stack, folder: Path) -> dict[str, str]:
    history = History(folder / "history.jsonl")
    seller, buyer = (Client(stack.port, name, history) for name in ("seller", "buyer"))
    seller.sign_up("seller@example.com")
    buyer.sign_up("buyer@example.com")
    seat, row, hall = (_offer(seller, quantity) for quantity in (1, 3, 150))
    made = {"seat": seat, "row": row, "hall": hall}
    made["reserved"] = _reserve(buyer, seat, 1)
    made["paid"] = _reserve(buyer, row, 2)
    made["cancelled"] = _reserve(buyer, row, 1)
    made["refunded"] = _reserve(buyer, hall, 5)
    made["declined"] = _reserve(buyer, hall, 1)
    buyer.insist("DELETE", f"/api/orders/{made['cancelled']}")
    for order in (made["paid"], made["refunded"]):
        assert _pay(buyer, order, "pm_card_visa").status == 201
        _until(buyer, order, "status", "complete")
    assert _pay(buyer, made["declined"], "pm_card_chargeDeclined").status == 400
    buyer.insist("DELETE", f"/api/orders/{made['declined']}")
    _refund(stack, made["refunded"])
    _until(buyer, made["refunded"], "refunded", 10.0)
    for closed in (seller, buyer, history):
        closed.close()
    return made


def _offer(seller: Client, quantity: int) -> str:
    ticket = {"title": f"{quantity} seats", "price": 20, "quantity": quantity}
    return str(seller.insist("POST", "/api/tickets", ticket).get("id"))


def _reserve(buyer: Client, ticket: str, quantity: int) -> str:
    wanted = {"ticketId": ticket, "quantity": quantity}
    answer = buyer.insist("POST", "/api/orders", wanted)
    assert answer.status == 201, answer
    return str(answer.get("id"))


def _pay(buyer: Client, order: str, card: str) -> Answer:
    return buyer.insist("POST", "/api/payments", {"orderId": order, "paymentMethod": card})


def _until(buyer: Client, order: str, name: str, value: object) -> None:
    wait_until(
        lambda: buyer.ask("GET", f"/api/orders/{order}").get(name) == value, f"{name} {value}"
    )


def _refund(stack: Stack, order: str) -> None:
    """As from Stripe's dashboard: half of one ticket."""
    with command.opened(settings.read(environment(stack.run))) as audit:
        payment = audit.databases.collection("payments", "payments").find_one({"_id": order})
    assert payment is not None
    refund = {"payment_intent": payment["intent"]["id"], "amount": 1000}
    stripe_control(stack, {"refund": refund})
