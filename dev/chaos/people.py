"""Buyers and sellers: what they do is random, by a seed; how they do it is careful."""

import random
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from dev.chaos.client import Client, GaveUpError
from dev.chaos.history import Answer

GOOD = ["pm_card_visa", "pm_card_mastercard", "pm_card_amex"]
DECLINED = ["pm_card_chargeDeclined", "pm_card_chargeDeclinedInsufficientFunds"]
AT_THE_BANK = "pm_card_threeDSecure2Required"
CAPTURE_REFUSED = "pm_card_captureRefused"
FORGED = "/api/payments/webhook"  # people have no business there


class Board:
    """The tickets that buyers have heard of; new ones and hot ones are looked at most."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tickets: deque[str] = deque(maxlen=24)

    def add(self, ticket: str) -> None:
        with self._lock:
            self._tickets.append(ticket)

    def pick(self, dice: random.Random) -> str | None:
        with self._lock:
            return dice.choice(self._tickets) if self._tickets else None


@dataclass
class Person:
    """Somebody with a device, choices of their own, and an end to their day."""

    client: Client
    board: Board
    dice: random.Random
    stop: threading.Event
    counter: int = 0
    gave_up: list[str] = field(default_factory=list[str])

    def live(self) -> None:
        while not self.stop.is_set():
            try:
                self.act()
            except GaveUpError as error:
                self.gave_up.append(str(error))
            self.pause(0.02, 0.4)

    def act(self) -> None:
        raise NotImplementedError

    def pause(self, least: float, most: float) -> None:
        self.stop.wait(self.dice.uniform(least, most))

    def new_key(self) -> str:
        self.counter += 1
        return f"{self.client.who}-{self.counter}"

    def choose(self, choices: dict[Callable[..., None], int]) -> Callable[..., None]:
        return self.dice.choices(list(choices), list(choices.values()))[0]


class Buyer(Person):
    def act(self) -> None:
        if self.dice.random() < 0.3:
            self.browse()
        if self.dice.random() < 0.05:
            self.forge()
        ticket = self.board.pick(self.dice)
        order = self.reserve(ticket) if ticket else None
        if order and order.status == 201:
            self.choose(
                {
                    self.pay: 10,
                    self.pay_after_decline: 3,
                    self.fail_to_pay: 2,
                    self.pay_at_the_bank: 3,
                    self.fail_at_the_bank: 1,
                    self.leave_the_bank: 2,
                    self.pay_after_refused_capture: 3,
                    self.pay_in_two_tabs: 3,
                    self.pay_at_the_last_moment: 2,
                    self.change_mind: 4,
                    self.forget: 4,
                }
            )(str(order.get("id")))

    def browse(self) -> None:
        sort = self.dice.choice(["newest", "price", "-price", "date"])
        self.client.ask("GET", f"/api/tickets?limit=20&sort={sort}")
        if ticket := self.board.pick(self.dice):
            self.client.ask("GET", f"/api/tickets/{ticket}")
        self.client.ask("GET", "/api/orders?limit=10")

    def forge(self) -> None:
        """Claim in Stripe's name that something was paid, without its signature."""
        claim: dict[str, Any] = {
            "id": "evt_0",
            "type": "payment_intent.succeeded",
            "object": "event",
        }
        claim["data"] = {"object": {"id": "pi_0", "object": "payment_intent"}}
        moment = f"t={int(datetime.now(UTC).timestamp())},v1={'0' * 64}"
        self.client.ask("POST", FORGED, claim, headers={"Stripe-Signature": moment})

    def reserve(self, ticket: str) -> Answer:
        wanted = {"ticketId": ticket, "quantity": self.dice.choice([1, 1, 1, 2, 3, 7])}
        key = self.new_key()
        if self.dice.random() < 0.25:
            return self.twice("POST", "/api/orders", wanted, (key, key))[0]
        return self.client.insist("POST", "/api/orders", wanted, key)

    def twice(self, method: str, path: str, sent: Any, keys: tuple[str, str]) -> list[Answer]:
        """The same request from two threads at once: a double click, or two tabs."""
        answers: list[Answer] = []

        second = self.client.another("tab")

        def send(client: Client, key: str) -> None:
            try:
                answers.append(client.insist(method, path, sent, key))
            except GaveUpError as error:
                self.gave_up.append(str(error))

        tab = threading.Thread(target=send, args=(second, keys[1]))
        tab.start()
        send(self.client, keys[0])
        tab.join()
        second.close()
        if not answers:
            raise GaveUpError(f"{method} {path} twice")
        return answers

    # --- what may become of an order ----------------------------------------------------------

    def pay(self, order: str) -> None:
        self.pay_with(order, self.dice.choice(GOOD))
        self.look(order)

    def pay_with(self, order: str, card: str) -> Answer:
        """Pay, and wait while the answer is that the bank is being asked."""
        sent, key = {"orderId": order, "paymentMethod": card}, self.new_key()
        answer = self.client.insist("POST", "/api/payments", sent, key)
        for _ in range(20):
            # Payments may not know the order yet; the answer says that trying again helps.
            waits = answer.status == 202 and not answer.get("redirectUrl")
            if answer.status != 404 and not waits:
                break
            self.pause(0.2, 1.0)
            answer = self.client.insist("POST", "/api/payments", sent, key)
        return answer

    def look(self, order: str) -> None:
        for _ in range(self.dice.randint(1, 5)):
            self.client.ask("GET", f"/api/orders/{order}")
            self.pause(0.05, 0.5)

    def pay_after_decline(self, order: str) -> None:
        self.pay_with(order, self.dice.choice(DECLINED))
        self.pay(order)

    def fail_to_pay(self, order: str) -> None:
        self.pay_with(order, self.dice.choice(DECLINED))

    def pay_at_the_bank(self, order: str) -> None:
        self._at_the_bank(order, "complete", come_back=self.dice.random() < 0.7)
        self.look(order)

    def fail_at_the_bank(self, order: str) -> None:
        self._at_the_bank(order, "fail", come_back=True)
        self.pay(order)

    def leave_the_bank(self, order: str) -> None:
        self.pay_with(order, AT_THE_BANK)

    def _at_the_bank(self, order: str, button: str, *, come_back: bool) -> None:
        url = self.pay_with(order, AT_THE_BANK).get("redirectUrl")
        if not url:
            return
        self.pause(0.1, 1.5)
        back = press(str(url), button)
        if back and come_back:
            self.client.ask("GET", back, headers={"Accept": "text/html"})

    def pay_after_refused_capture(self, order: str) -> None:
        """The bank authorises and then refuses: the order may be paid again while time lasts."""
        self.pay_with(order, CAPTURE_REFUSED)
        for _ in range(10):
            if self.client.ask("GET", f"/api/orders/{order}").get("status") == "created":
                break
            self.pause(0.2, 0.6)
        self.pay(order)

    def pay_in_two_tabs(self, order: str) -> None:
        sent = {"orderId": order, "paymentMethod": self.dice.choice(GOOD)}
        self.twice("POST", "/api/payments", sent, (self.new_key(), self.new_key()))
        self.look(order)

    def pay_at_the_last_moment(self, order: str) -> None:
        """About when the hold ends: either the payment or the expiry comes first."""
        answer = self.client.insist("GET", f"/api/orders/{order}")
        if answer.status == 200:
            self.stop.wait(seconds_until(str(answer.get("expiresAt"))) + self.dice.uniform(-1, 1))
            self.pay(order)

    def change_mind(self, order: str) -> None:
        self.client.insist("DELETE", f"/api/orders/{order}")
        self.look(order)

    def forget(self, order: str) -> None:
        self.look(order)


@dataclass
class Seller(Person):
    own: list[str] = field(default_factory=list[str])

    def act(self) -> None:
        if len(self.own) < 4 or self.dice.random() < 0.15:
            self.offer()
        else:
            self.choose({self.edit: 6, self.show: 3, self.withdraw: 1})(self.dice.choice(self.own))
        self.pause(0.2, 1.5)

    def details(self) -> dict[str, Any]:
        quantity = self.dice.choice([1, 1, 2, 5, 12, 40, 150, 230])
        price = self.dice.choice([5, 12.5, 19.99, 40])
        return {"title": f"Concert {self.counter}", "price": price, "quantity": quantity}

    def offer(self) -> None:
        answer = self.client.insist("POST", "/api/tickets", self.details(), self.new_key())
        if answer.status == 201:
            self.own.append(str(answer.get("id")))
            self.board.add(self.own[-1])

    def edit(self, ticket: str) -> None:
        """Another price, more units or fewer; sometimes only if nobody else edited."""
        headers: dict[str, str] = {}
        if self.dice.random() < 0.3:
            version = self.client.insist("GET", f"/api/tickets/{ticket}").get("version")
            headers = {"If-Match": f'"{version}-0"'}
        self.client.insist("PUT", f"/api/tickets/{ticket}", self.details(), self.new_key(), headers)

    def show(self, ticket: str) -> None:
        self.client.ask("GET", f"/api/tickets/{ticket}")

    def withdraw(self, ticket: str) -> None:
        self.own.remove(ticket)
        self.client.insist("DELETE", f"/api/tickets/{ticket}")


def press(url: str, button: str) -> str:
    """Press a button on the bank's page; the path of ours that it sends the buyer back to."""
    request = urllib.request.Request(  # noqa: S310 - the emulator's own page
        url, urllib.parse.urlencode({button: "1"}).encode(), method="POST"
    )
    try:
        with _STAY.open(request, timeout=5):
            return ""
    except urllib.error.HTTPError as answer:
        with answer:
            location = urllib.parse.urlsplit(answer.headers.get("Location", ""))
            return f"{location.path}?{location.query}" if location.path else ""
    except OSError:
        return ""  # the bank is away, and the buyer with it


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **_named: Any) -> None:
        """Follow nothing: who comes back does so as the buyer."""


_STAY = urllib.request.build_opener(_Stay)


def seconds_until(moment: str) -> float:
    """How long it is until a time of the API; never less than nothing."""
    return max((datetime.fromisoformat(moment) - datetime.now(UTC)).total_seconds(), 0)
