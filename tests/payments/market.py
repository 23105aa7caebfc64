"""One order from both sides: the real rules of orders, the real payments service, a bank.

Events cross in any order and more than once. Time is moved by hand. What a plan names happens
at the next steps of a process: a crash, a lost answer, or what others do while it is paused.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import mongomock
import pytest
from pymongo.errors import AutoReconnect

from apps.orders import models as orders
from apps.payments import refunds
from apps.payments import service as payments_module
from apps.payments.errands import Errands
from apps.payments.gateway import Doubt
from apps.payments.models import Method, Payment
from apps.payments.service import Payments
from apps.payments.store import Payments as Store
from shared import patience
from shared.auditlog import Entry
from shared.errors import Refused
from shared.events import (
    Event,
    OrderCancelled,
    OrderCreated,
    PaymentCompleted,
    PaymentCreated,
    PaymentEvent,
    PaymentFailed,
    PaymentRefunded,
    parse,
)
from shared.outbox import Aggregates
from shared.people import User
from tests.payments.bank import Bank

START = datetime(2027, 5, 1, 20, tzinfo=UTC)
HOLD = timedelta(minutes=15)
REMIND = timedelta(seconds=15)  # as the sweep of orders does
ORDER = "0c0e00000000000000000001"
BUYER = "b0ee50000000000000000001"
AMOUNT = 3900


class Crash(BaseException):
    """The process ends here; nothing of it runs any more."""


@dataclass
class Clock:
    time: datetime = START

    def now(self) -> datetime:
        return self.time


@dataclass
class Later:
    """Done when it is waited for, or with all others; at most once."""

    work: Callable[[str], None]
    key: str
    done: bool = False

    def result(self) -> None:
        if not self.done:
            self.done = True
            self.work(self.key)


class ErrandsLater(Errands):
    """What the service leaves for later: done when asked for, lost in a crash."""

    def __init__(self) -> None:
        self.waiting: list[Later] = []

    def submit(self, work: Callable[[str], None], key: str) -> Any:
        self.waiting.append(Later(work, key))
        return self.waiting[-1]

    def run(self) -> None:
        while self.waiting:
            self.waiting.pop(0).result()


class Watched(Aggregates[Payment]):
    """Reaches a point before and after each write."""

    def __init__(self, inner: Aggregates[Payment], reach: Callable[[str], None]) -> None:
        self.__dict__.update(inner.__dict__)
        self._reach = reach

    def insert(self, *arguments: Any) -> Payment:
        self._reach("before write")
        result = super().insert(*arguments)
        self._reach("after write")
        return result

    def _store(self, *arguments: Any) -> bool:
        self._reach("before write")
        result = super()._store(*arguments)
        self._reach("after write")
        return result


@dataclass
class OrderSide:
    """An order under the rules of apps.orders, and what it has said."""

    clock: Clock
    order: orders.Order = field(init=False)
    said: list[Event] = field(default_factory=list[Event])

    def __post_init__(self) -> None:
        ticket = orders.Ordered("71c4e7000000000000000001", "Concert", 1950, 0, "seller")
        now = self.clock.now()
        self.order = orders.Order(
            ORDER, 0, "created", BUYER, 2, AMOUNT, "usd", ticket, (), now, now + HOLD, now
        )
        self._say(OrderCreated)

    def apply(self, transition: Callable[[orders.Order], orders.Change]) -> None:
        self.order, event = transition(self.order)
        if event:
            self._say(event)

    def _say(self, kind: type[Event]) -> None:
        data = orders.public(self.order)
        self.said.append(kind.model_validate({"data": data, "version": len(self.said)}))

    def hear(self, event: PaymentEvent) -> None:
        now, pair = self.clock.now(), orders.Pair(event.data.id, event.data.attempt)
        refunded, returned = event.data.refunded, event.data.returned
        steps: dict[type[Event], Callable[[orders.Order], orders.Change]] = {
            PaymentCreated: lambda order: orders.commit(order, pair, now),
            PaymentCompleted: lambda order: orders.complete(order, pair, now),
            PaymentFailed: lambda order: orders.payment_failed(order, pair, now),
            PaymentRefunded: lambda order: orders.refund(order, pair, refunded, now, returned),
        }
        self.apply(steps[type(event)])

    def sweep(self) -> None:
        now = self.clock.now()
        self.apply(lambda order: orders.expire(order, now))
        self.apply(lambda order: orders.remind(order, now, REMIND))

    def cancel(self) -> None:
        try:
            self.apply(lambda order: orders.cancel(order, "buyer", self.clock.now()))
        except Refused:
            assert self.order.status in ("awaiting:payment", "complete")


@dataclass
class Plan:
    """After so many steps of a process, this happens to it."""

    steps: int
    what: str
    actions: tuple[tuple[str, Any], ...] = ()


class Log:
    """What the service would log; an error means that it did not expect what happened."""

    def warning(self, *arguments: Any, **more: Any) -> None: ...

    def error(self, message: str, **more: Any) -> None:
        raise AssertionError(f"{message}: {more}") from more.get("exc_info")


class Market:
    def __init__(self) -> None:
        self.clock = Clock()
        self.client = mongomock.MongoClient(tz_aware=True)
        self.bank = Bank(self.reach, self._may_capture)
        self.orders = OrderSide(self.clock)
        self.to_payments: list[Event] = []  # on their way
        self.to_orders: list[Event] = []
        self.heard: list[tuple[bool, Event]] = []  # arrived before; may come again
        self.ended_anyway = False  # an order that is over although its money was taken
        self.dashboard = 0  # what a person gave back there
        self.asked = self.promised = False  # an admin wished for a refund, and was told yes
        self.tabs = 0
        self.plan: Plan | None = None
        self._sent = 0
        self._patch = pytest.MonkeyPatch()
        self._patch.setattr(payments_module, "log", Log())
        self._patch.setattr(patience, "PATIENCE", 0)  # nothing comes by itself here
        self.start()

    def start(self) -> None:
        """A process of the service: it remembers nothing of the one before."""
        store = Store(self.client["payments"])
        store.aggregates = Watched(store.aggregates, self.reach)
        self.payments = Payments(store, self.bank, self.clock.now, ErrandsLater())

    def close(self) -> None:
        self._patch.undo()
        self.client.close()

    # --- steps of a process, and what may happen between two of them ------------------------------

    def reach(self, point: str) -> None:
        plan = self.plan
        if plan is None:
            return
        plan.steps -= 1
        if plan.steps > 0:
            return
        self.plan = None
        if plan.what == "crash":
            raise Crash
        if plan.what == "doubt":
            raise AutoReconnect("the answer is lost") if "write" in point else Doubt
        for name, argument in plan.actions:  # the process is paused, others go on
            self.act(name, argument)

    def will(self, steps: int, what: str, actions: Sequence[tuple[str, Any]] = ()) -> None:
        self.plan = Plan(steps, what, tuple(actions))

    def act(self, name: str, argument: Any = None) -> None:
        """Something happens. Refusals are answers; a crash is followed by a new process."""
        try:
            getattr(self, f"do_{name}")(argument)
        except Crash:
            self.start()
        self.collect()
        self.check()

    def collect(self) -> None:
        """What both sides have said is on its way, as their relays see to."""
        self.to_payments += self.orders.said[self._sent :]
        self._sent = len(self.orders.said)
        document = self.client["payments"]["payments"].find_one({"_id": ORDER})
        if document and document["outbox"]:
            self.client["payments"]["payments"].update_one({"_id": ORDER}, {"$set": {"outbox": []}})
            self.to_orders += [parse(json.dumps(entry)) for entry in document["outbox"]]

    # --- what may happen --------------------------------------------------------------------------

    def do_pay(self, card: str) -> None:
        self.tabs += 1
        user = User(BUYER, "buyer@example.com", "session", START, START + timedelta(days=9))
        try:
            self.payments.pay(user, ORDER, Method("token", card), f"tab {self.tabs}")
        except (Refused, AutoReconnect):
            return

    def do_come_back(self, _: Any) -> None:
        payment = self.payments.store.aggregates.find(ORDER)
        if payment is None:
            return
        user = User(BUYER, "buyer@example.com", "session", START, START + timedelta(days=9))
        try:
            self.payments.returned(user, ORDER)
        except (Doubt, AutoReconnect):
            return

    def do_errands(self, _: Any) -> None:
        self._quietly(self.payments.errands.run)

    def do_reconcile(self, _: Any) -> None:
        self._quietly(self.payments.reconcile)

    def _quietly(self, run: Callable[[], None]) -> None:
        try:
            run()
        except AutoReconnect:
            return  # a worker tries again in the next round

    def do_deliver_to_payments(self, which: int) -> None:
        if self.to_payments:
            event = self.to_payments[which % len(self.to_payments)]
            self._hand_to_payments(event)
            if event in self.to_payments:
                self.to_payments.remove(event)

    def _hand_to_payments(self, event: Event) -> None:
        try:
            self.payments.learn(event)
        except AutoReconnect:
            return self.to_payments.append(event)  # not acknowledged: it comes again
        self.heard.append((True, event))
        return None

    def do_deliver_to_orders(self, which: int) -> None:
        if self.to_orders:
            event = self.to_orders.pop(which % len(self.to_orders))
            self.orders.hear(event)
            self.heard.append((False, event))

    def do_repeat(self, which: int) -> None:
        if not self.heard:
            return
        by_payments, event = self.heard[which % len(self.heard)]
        if by_payments:
            self._hand_to_payments(event)
        else:
            self.orders.hear(event)

    def do_webhook(self, which: int) -> None:
        if not self.bank.webhooks:
            return
        notice = self.bank.webhooks[which % len(self.bank.webhooks)]
        try:
            self.payments.webhook(json.dumps(asdict(notice)).encode(), "signed")
        except (Doubt, AutoReconnect):
            return

    def do_bank_page(self, passed: bool) -> None:
        self.bank.page(passed)

    def do_stripe_breaks(self, moment: Any) -> None:
        self.bank.breaks = moment

    def do_authorisation_expires(self, _: Any) -> None:
        self.bank.expire()

    def do_dashboard_refund(self, amount: int) -> None:
        # A person gives back only what belongs to a sale; the product undoes the rest by itself.
        for account in self.bank.accounts.values():
            if self.bank.give_back(account.now.id, amount):
                self.dashboard += amount

    def do_admin_refunds(self, which: int) -> None:
        """By one of a few forms, each of which may be sent again."""
        self.asked = True
        admin = Entry(f"form {which % 3}", 0, "order.refunded", START, "admin", "", "", "why not")
        try:
            refunds.refund(self.payments, ORDER, admin)
        except (Refused, AutoReconnect):
            return
        self.promised = True

    def do_buyer_cancels(self, _: Any) -> None:
        self.orders.cancel()

    def do_ended_anyway(self, _: Any) -> None:
        """As after a restore of orders from a backup: it may be over whatever was paid."""
        if self.orders.order.status != "cancelled":
            self.ended_anyway = True
            self.orders.apply(lambda order: (replace(order, status="cancelled"), OrderCancelled))

    def do_orders_sweep(self, _: Any) -> None:
        self.orders.sweep()

    def do_time(self, seconds: int) -> None:
        self.clock.time += timedelta(seconds=seconds)

    # --- what must be true ------------------------------------------------------------------------

    def _may_capture(self, payment: Payment, intent: Any) -> None:
        """Asked at the instant when money moves: is the order committed to just this?"""
        order = self.orders.order
        if self.ended_anyway:
            return
        assert order.status == "awaiting:payment", f"captured while {order.status}"
        current = self.payments.store.aggregates.find(payment.id)
        assert current is not None
        assert current.intent is not None
        assert current.intent.id == intent.id, "captured an intent of the past"
        assert order.payment == orders.Pair(current.payment_id, len(current.attempts))

    def check(self) -> None:
        """True at any moment."""
        accounts = list(self.bank.accounts.values())
        assert sum(account.captures for account in accounts) <= 1, "charged twice"
        assert len(self.bank.held) <= 1, "two authorisations at once"
        assert all(account.authorised <= 1 for account in accounts)
        if self.bank.net and not self.ended_anyway:
            assert self.orders.order.status in ("awaiting:payment", "complete")
        if self.orders.order.status == "complete":
            all_went_back = self.asked and self.bank.net == 0
            left = AMOUNT - self.dashboard
            assert self.bank.net == left or all_went_back, "a ticket without its money"

    def come_to_rest(self) -> None:
        """Everything arrives, nothing fails any more, and enough time passes for every delay."""
        self.plan = None
        for _ in range(80):
            self.act("orders_sweep")
            while self.to_payments or self.to_orders:
                self.act("deliver_to_payments", 0)
                self.act("deliver_to_orders", 0)
            self.act("errands")
            self.act("reconcile")
            self.act("time", 20)
        for number in range(len(self.bank.webhooks)):  # Stripe insists for three days
            self.act("webhook", number)
        for _ in range(3):
            while self.to_payments or self.to_orders:
                self.act("deliver_to_payments", 0)
                self.act("deliver_to_orders", 0)
            self.act("errands")
            self.act("time", 20)
            self.act("reconcile")

    def assert_promise(self) -> None:
        """Nobody pays without the ticket, nobody gets a ticket without paying."""
        order = self.orders.order
        assert order.status in ("complete", "cancelled"), f"stuck: {order}"
        assert not self.bank.held, "money of the buyer is held for nothing"
        if order.status == "complete":
            wished = self._wished
            assert wished or not self.promised, "a refund that was promised is forgotten"
            assert self.bank.net == (0 if wished else AMOUNT - self.dashboard)
            assert order.refunded == AMOUNT - self.bank.net
        else:
            assert self.bank.net == 0
        self._assert_at_rest()

    @property
    def _wished(self) -> bool:
        payment = self.payments.store.aggregates.find(ORDER)
        return payment is not None and payment.wish is not None

    def _assert_at_rest(self) -> None:
        payment = self.payments.store.aggregates.find(ORDER)
        assert payment is not None
        assert payment.settle_at is None, "still restless"
        assert not self.to_orders
        assert not self.to_payments
        if payment.intent and payment.attempts:
            shown = self.bank.accounts[payment.intent.id].now
            assert shown.status in ("succeeded", "canceled"), "the buyer could still be charged"
            assert replace(shown, error=None) == replace(payment.intent, error=None)
