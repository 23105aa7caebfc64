"""One piece of work inside a transaction: finding objects, saving outcomes, announcing events."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from dev.stripe import cards
from dev.stripe.control import Controls
from dev.stripe.errors import Json, invalid, missing_resource
from dev.stripe.ids import new_id
from dev.stripe.intents import Outcome
from dev.stripe.store import Session

API_VERSION = "2026-10-28.endive"
EXPANDABLE = {
    "charge": "charge",
    "latest_charge": "charge",
    "payment_intent": "payment_intent",
    "payment_method": "payment_method",
}


@dataclass(frozen=True)
class Operation:
    session: Session
    controls: Controls
    public_url: str
    sends_webhooks: bool
    webhook_events: frozenset[str]  # that are sent; empty: all of them
    request_id: str | None = None
    key: str | None = None
    now: int = field(default_factory=lambda: int(time.time()))

    def get(self, kind: str, ident: str, param: str) -> Json:
        found = self.session.find(kind, ident)
        if found is None:
            raise missing_resource(kind, ident, param)
        return found

    def intent(self, ident: str) -> Json:
        return self.get("payment_intent", ident, "intent")

    def charge_of(self, intent: Json) -> Json | None:
        return self.session.find("charge", intent["latest_charge"] or "")

    def method_of(self, intent: Json) -> Json | None:
        return self.session.find("payment_method", intent["payment_method"] or "")

    def method_given(self, params: Json) -> Json | None:
        """The payment method that parameters name, describe or leave out."""
        if "payment_method" in params and "payment_method_data" in params:
            raise invalid(
                "You may only specify one of these parameters: payment_method, "
                "payment_method_data.",
                "payment_method",
                "parameters_exclusive",
            )
        if "payment_method_data" in params:
            return self.new_method(params["payment_method_data"])
        name = params.get("payment_method")
        if name is None:
            return None
        if name in cards.BY_PAYMENT_METHOD:
            card = cards.BY_PAYMENT_METHOD[name]
            return self._saved(cards.payment_method(card, self.now, {}, {}))
        return self.get("payment_method", name, "payment_method")

    def new_method(self, data: Json) -> Json:
        card = cards.from_details(data["card"])
        billing = data.get("billing_details", {})
        method = cards.payment_method(card, self.now, data["card"], billing)
        return self._saved(method | {"metadata": data.get("metadata", {})})

    def _saved(self, thing: Json) -> Json:
        self.session.save(thing)
        return thing

    def apply(self, outcome: Outcome, *, raising: bool = True) -> Json:
        """Save what a move led to and announce it; a refused card is saved, then raised."""
        for thing in (outcome.intent, *outcome.others):
            self.session.save(thing)
        for kind, thing in outcome.events:
            self.announce(kind, thing, outcome.intent["id"])
        if outcome.error and raising:
            raise outcome.error
        return outcome.intent

    def announce(self, kind: str, thing: Json, intent: str) -> None:
        sends = self.sends_webhooks and kind in (self.webhook_events or {kind})
        event: Json = {
            "id": new_id("evt"),
            "object": "event",
            "api_version": API_VERSION,
            "created": self.now,
            "data": {"object": thing},
            "livemode": False,
            "pending_webhooks": int(sends),
            "request": {"id": self.request_id, "idempotency_key": self.key},
            "type": kind,
        }
        self.session.save(event, intent)
        if not sends:
            return
        for plan in self.controls.plan(time.time()):
            self.session.schedule(event["id"], intent, plan.due, plan.rank, plan.state)

    def expand(self, body: Json, paths: Sequence[str]) -> Json:
        for path in paths:
            self._expand(body, path.split("."), path)
        return body

    def _expand(self, node: Json, steps: Sequence[str], path: str) -> None:
        name, rest = steps[0], steps[1:]
        if name == "data" and node["object"] == "list" and rest:
            for item in node["data"]:
                self._expand(item, rest, path)
            return
        if name not in EXPANDABLE or name not in node:
            raise invalid(f"This property cannot be expanded ({path}).", "expand")
        value: Any = node[name]
        if isinstance(value, str):
            value = node[name] = self.session.find(EXPANDABLE[name], value)
        if rest and value:
            self._expand(value, rest, path)
