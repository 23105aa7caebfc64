"""Stripe in memory, behind the gateway's interface: fast, and breakable between any two steps.

It keeps Stripe's rules: which states allow what, one answer per idempotency key, money moves once.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

from apps.payments.gateway import Doubt, Notice
from apps.payments.models import Intent, Payment

Card = Literal["visa", "declined", "3ds", "3ds_declined", "refused", "refused_but_held"]
CARDS: list[Card] = ["visa", "declined", "3ds", "3ds_declined", "refused", "refused_but_held"]

CONFIRMABLE = {"requires_payment_method", "requires_action"}
CANCELABLE = {"requires_payment_method", "requires_action", "requires_capture"}


@dataclass
class Account:
    """What the bank knows of one intent, `now` being what it would show."""

    now: Intent
    payment: Payment
    card: str = ""
    authorised: int = 0
    captures: int = 0


@dataclass
class Key:
    """What was answered to a request with an idempotency key."""

    seen: Intent
    refusal: str | None = None
    broken: bool = False  # Stripe keeps even a failure of its own as a key's answer


@dataclass
class Bank:
    """`reach` is called before each effect and before each answer; what it raises is suffered."""

    reach: Callable[[str], None]
    before_capture: Callable[[Payment, Intent], None]
    accounts: dict[str, Account] = field(default_factory=dict[str, Account])
    keys: dict[str, Key] = field(default_factory=dict[str, Key])
    webhooks: list[Notice] = field(default_factory=list[Notice])
    breaks: Literal["", "before", "after"] = ""  # when the next confirmation fails, for a day

    # --- the gateway's interface ------------------------------------------------------------------

    def create(self, payment: Payment, number: int) -> Intent:
        return self._call(lambda: self._create(payment, number))

    def read(self, intent: Intent) -> Intent:
        return self._call(lambda: self.accounts[intent.id].now)

    def confirm(self, payment: Payment, intent: Intent) -> Intent:
        attempt = payment.attempts[-1]
        answer = self._call(
            lambda: self._confirm(intent.id, attempt.method.value, f"{payment.id}:{attempt.n}")
        )
        if answer.refusal is None:
            return answer.seen
        return replace(self.read(intent), error=answer.refusal)

    def capture(self, intent: Intent) -> Intent:
        if self._call(lambda: self._capture(intent.id)):
            return self.read(intent)
        return self.cancel(intent)

    def cancel(self, intent: Intent) -> Intent:
        self._call(lambda: self._cancel(intent.id))
        return self.read(intent)

    def refund(self, intent: Intent) -> Intent:
        rest = intent.captured - intent.refunded
        self._call(lambda: self.give_back(intent.id, rest))
        return self.read(intent)

    def notice(self, payload: bytes, _signature: str) -> Notice:
        return Notice(**json.loads(payload))

    def _call(self, effect: Callable[[], object]) -> object:
        self.reach("request")
        answer = effect()
        self.reach("answer")
        return answer

    # --- what the requests do ---------------------------------------------------------------------

    def _create(self, payment: Payment, number: int) -> Intent:
        key = f"intent:{payment.id}:{number}"
        if key not in self.keys:
            name = f"pi_{len(self.accounts) + 1}"
            fresh = Intent(name, number, "requires_payment_method", f"{name}_secret")
            self.accounts[name] = Account(fresh, payment)
            self.keys[key] = Key(fresh)
        return self.keys[key].seen

    def _confirm(self, name: str, card: str, key: str) -> Key:
        if key not in self.keys:
            account, breaks, self.breaks = self.accounts[name], self.breaks, ""
            answer = Key(account.now) if breaks == "before" else self._tried(account, card)
            self.keys[key] = replace(answer, broken=bool(breaks))
        if self.keys[key].broken:
            raise Doubt
        return self.keys[key]

    def _tried(self, account: Account, card: str) -> Key:
        if account.now.status not in CONFIRMABLE:
            return Key(account.now, "You cannot confirm this PaymentIntent")
        account.card = card
        if card.startswith("3ds"):
            page = f"http://bank/{len(self.keys)}"
            account.now = replace(account.now, status="requires_action", redirect_url=page)
            self._tell("payment_intent.requires_action", account)
            return Key(account.now)
        self._charge(account)
        return Key(account.now, account.now.error)

    def _charge(self, account: Account) -> None:
        if account.card.endswith("declined"):
            self._fail(account, "Your card was declined.")
            return
        account.now = replace(account.now, status="requires_capture", redirect_url=None, error=None)
        account.authorised += 1
        self._tell("payment_intent.amount_capturable_updated", account)

    def _fail(self, account: Account, error: str) -> None:
        account.now = replace(
            account.now, status="requires_payment_method", redirect_url=None, error=error
        )
        self._tell("payment_intent.payment_failed", account)

    def _capture(self, name: str) -> bool:
        """False when the bank refused; what is in the wrong state stays as it is."""
        account = self.accounts[name]
        if account.now.status != "requires_capture":
            return True
        if account.card == "refused":
            self._fail(account, "The bank refused to capture.")
            return False
        if account.card == "refused_but_held":
            return False
        self.before_capture(account.payment, account.now)
        amount = account.payment.order.amount
        account.now = replace(account.now, status="succeeded", captured=amount)
        account.captures += 1
        self._tell("payment_intent.succeeded", account)
        return True

    def _cancel(self, name: str) -> None:
        account = self.accounts[name]
        if account.now.status in CANCELABLE:
            account.now = replace(account.now, status="canceled", redirect_url=None)
            self._tell("payment_intent.canceled", account)

    def _tell(self, kind: str, account: Account) -> None:
        self.webhooks.append(Notice(f"evt_{len(self.webhooks)}", kind, account.now.id))

    # --- what happens outside the product ---------------------------------------------------------

    def give_back(self, name: str, amount: int) -> bool:
        """A refund, by the product or from the dashboard; never more than what is left."""
        account = self.accounts[name]
        if not 0 < amount <= account.now.captured - account.now.refunded:
            return False
        account.now = replace(account.now, refunded=account.now.refunded + amount)
        self._tell("charge.refunded", account)
        return True

    def page(self, passed: bool) -> None:
        """The buyer answers at the bank's page, if one is open for them."""
        for account in self.accounts.values():
            if account.now.status == "requires_action":
                if passed:
                    self._charge(account)
                else:
                    self._fail(account, "The bank could not authenticate you.")

    def expire(self) -> None:
        """Authorisations that were not captured in time end."""
        for account in self.accounts.values():
            if account.now.status == "requires_capture":
                self._cancel(account.now.id)

    # --- what is asked of it ----------------------------------------------------------------------

    @property
    def held(self) -> list[Account]:
        return [each for each in self.accounts.values() if each.now.status == "requires_capture"]

    @property
    def net(self) -> int:
        """What the buyer has paid in the end."""
        return sum(each.now.captured - each.now.refunded for each in self.accounts.values())
