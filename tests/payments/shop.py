"""The payments service as it runs: the real gateway, a Stripe in its own process, a database."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from flask.testing import FlaskClient

from apps.orders import models as orders
from apps.payments import create_app
from apps.payments.config import Settings
from apps.payments.gateway import Gateway
from apps.payments.models import Method, Payment
from apps.payments.service import Payments
from apps.payments.store import Payments as Store
from dev.stripe.webhooks import signature
from shared.events import Event, OrderCancelled, parse
from shared.mongo import Store as Database
from shared.people import User
from tests.identity import identity, sign
from tests.payments.market import BUYER, ORDER, START, Clock, ErrandsLater, OrderSide
from tests.stripe.emulator import SECRET, Answer, Emulator

RETURN_URL = "http://shop.test/payments/return/"
INTENTS = "/v1/payment_intents"
CONFIRM = f"{INTENTS}/*/confirm"
STRANGER = "57ea26e50000000000000002"


def user(user_id: str = BUYER) -> User:
    return User(user_id, f"{user_id}@example.com", "session", START, START + timedelta(days=9))


@dataclass
class Shop:
    """One order, its payment, and the Stripe that both depend on."""

    database: Database
    emulator: Emulator
    clock: Clock = field(default_factory=Clock)
    events: list[Event] = field(default_factory=list[Event])

    def __post_init__(self) -> None:
        self.orders = OrderSide(self.clock)
        self.delivered = 0
        self.payments = self.process()

    def process(self) -> Payments:
        """One more process of the service: it remembers nothing of the others."""
        gateway = Gateway("sk_test_x", self.emulator.url, SECRET, RETURN_URL)
        store = Store(self.database)
        store.ensure_indexes()
        return Payments(store, gateway, self.clock.now, ErrandsLater())

    # --- what happens -----------------------------------------------------------------------------

    def pay(self, card: str = "visa", key: str | None = None) -> Payment:
        return self.payments.pay(user(), ORDER, Method("payment_method", f"pm_card_{card}"), key)

    def exchange(self) -> None:
        """Let everything that was said arrive, and let both sides do what follows."""
        while self._to_payments() + self._to_orders():
            """There may be an answer."""

    def _to_payments(self) -> int:
        news = self.orders.said[self.delivered :]
        self.delivered += len(news)
        for event in news:
            self.hears(event)
        return len(news)

    def hears(self, event: Event) -> None:
        self.payments.learn(event)
        self.payments.errands.run()

    def _to_orders(self) -> int:
        news = self.said()[len(self.events) :]
        self.events += news
        for event in news:
            self.orders.hear(event)
        return len(news)

    def passes(self, seconds: float) -> None:
        """Time goes by, with the reconciler and the sweep of orders at its end."""
        self.clock.time += timedelta(seconds=seconds)
        self.orders.sweep()
        self.payments.reconcile()
        self.exchange()

    def cancelled_order(self) -> OrderCancelled:
        """What orders would say had it cancelled whatever the payment is."""
        cancelled = replace(self.orders.order, status="cancelled", reason="expired")
        version = len(self.orders.said)
        event = OrderCancelled(data=orders.public(cancelled), version=version)
        self.orders.order = cancelled
        self.orders.said.append(event)
        return event

    def at_the_bank(self, payment: Payment, button: str) -> Answer:
        assert payment.intent is not None
        assert payment.intent.redirect_url is not None
        path = urlsplit(payment.intent.redirect_url).path
        return self.emulator.request("POST", path, f"{button}=1")

    def webhook(self, event: Any, secret: str = SECRET, at: int | None = None) -> None:
        """Stripe's own event, signed as it signs them."""
        payload = json.dumps(event)
        time = int(event["created"]) if at is None else at
        self.payments.webhook(payload.encode(), signature(payload, secret, time))

    # --- what is seen -----------------------------------------------------------------------------

    def payment(self) -> Payment:
        return self.payments.store.require(ORDER)

    def said(self) -> list[Event]:
        """Every event of the payment, oldest first: nothing takes them out of the outbox here."""
        document = self.database["payments"].find_one({"_id": ORDER}) or {"outbox": []}
        return [parse(json.dumps(entry)) for entry in document["outbox"]]

    def names(self) -> list[str]:
        return [type(event).__name__ for event in self.said()]

    def stripe(self, path: str) -> list[Any]:
        answer = self.emulator.request("GET", f"{path}?limit=100", Authorization="Bearer sk_test_x")
        return answer.json["data"]

    def intents(self) -> list[Any]:
        return self.stripe(INTENTS)

    def statuses(self) -> list[str]:
        """Of all intents at Stripe, the oldest first."""
        return [intent["status"] for intent in reversed(self.intents())]

    def authorisations(self) -> int:
        """How often a card was really authorised."""
        return sum(charge["paid"] for charge in self.stripe("/v1/charges"))

    def net(self) -> int:
        """What the buyer has paid in the end."""
        charges = [charge for charge in self.stripe("/v1/charges") if charge["captured"]]
        return sum(charge["amount_captured"] - charge["amount_refunded"] for charge in charges)

    def stripe_events(self, kind: str) -> list[Any]:
        return [event for event in self.stripe("/v1/events") if event["type"] == kind]

    def fault(self, path: str, **more: Any) -> None:
        self.emulator.control(fault={"path": path, "times": 1, **more})


def steps(shop: Shop, reach: Callable[[str], None]) -> None:
    """Have `reach` called before each call of Stripe and before each write."""
    gateway, aggregates = shop.payments.gateway, shop.payments.store.aggregates
    for thing, names in (
        (gateway, ("create", "read", "confirm", "capture", "cancel", "refund")),
        (aggregates, ("insert", "_store")),
    ):
        for name in names:
            setattr(thing, name, _watched(name, getattr(thing, name), reach))


def _watched(name: str, call: Callable[..., Any], reach: Callable[[str], None]) -> Any:
    def watched(*arguments: Any) -> Any:
        reach(name)
        return call(*arguments)

    return watched


@dataclass
class Site:
    """The web process before that service, and people who use it."""

    shop: Shop

    def __post_init__(self) -> None:
        settings = Settings(
            nats_url="nats://unused",
            mongo_uri="mongodb://unused",
            auth_url="http://unused",
            public_url="http://shop.test",
            secret_key="a secret of the tests",
            stripe_key="sk_test_x",
            stripe_api_base=self.shop.emulator.url,
            stripe_webhook_secret=SECRET,
        )
        self.app = create_app(settings, self.shop.payments, identity())

    def client(self, user_id: str = "") -> FlaskClient:
        client = self.app.test_client()
        if user_id:
            client.set_cookie("session", sign(user_id))
        return client

    @property
    def buyer(self) -> FlaskClient:
        return self.client(BUYER)

    @property
    def stranger(self) -> FlaskClient:
        return self.client(STRANGER)

    @property
    def visitor(self) -> FlaskClient:
        return self.client()
