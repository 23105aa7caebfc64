"""The emulator as a real process, a receiver for its webhooks, and a client of Stripe's."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import stripe

from dev.stack.ports import free_port

ROOT = Path(__file__).parents[2]
SECRET = "whsec_test"
FIRST_RETRY = 0.05
RETURN_URL = "http://shop.test/payments/back?order=7"


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 8) -> Any:
    """The condition's first true value; what it waits for is part of the failure."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"timed out: {what}"
        threading.Event().wait(0.01)
    return value


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


@dataclass
class Webhook:
    payload: str
    signature: str
    came: float = field(default_factory=time.monotonic)

    @property
    def event(self) -> Any:
        return json.loads(self.payload)


@dataclass
class Receiver:
    """Takes webhooks; those with a text of `refusals` in them get its statuses first."""

    received: list[Webhook] = field(default_factory=list)
    refusals: dict[str, list[int]] = field(default_factory=dict)
    url: str = ""

    def status_for(self, payload: str) -> int:
        for text, statuses in self.refusals.items():
            if text in payload and statuses:
                return statuses.pop(0)
        return 200

    def about(self, intent: str) -> list[Any]:
        """The events about one payment, in the order in which they came."""
        events = [webhook.event for webhook in self.received]
        return [event for event in events if intent in json.dumps(event["data"])]

    def types(self, intent: str) -> list[str]:
        return [event["type"] for event in self.about(intent)]

    def wait_types(self, intent: str, *expected: str) -> None:
        wait_for(
            lambda: self.types(intent) == list(expected),
            f"{expected} (last seen {self.types(intent)})",
        )


class Emulator:
    """One emulator process on its own data folder."""

    def __init__(self, folder: Path, webhook_url: str | None, *options: str) -> None:
        self.folder = folder
        self.options = options
        self.webhook_url = webhook_url
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "dev.stripe", "--port", str(self.port)]
        command += ["--data", str(self.folder), "--first-retry", str(FIRST_RETRY)]
        if self.webhook_url:
            command += ["--webhook-url", self.webhook_url]
        command += self.options
        environment = {**os.environ, "STRIPE_WEBHOOK_SECRET": SECRET}
        environment.pop("STRIPE_KEY", None)
        self.process = subprocess.Popen(command, cwd=ROOT, env=environment)
        wait_for(self.answers, "the emulator to start", 60)

    def answers(self) -> bool:
        try:
            return self.request("GET", "/healthz").status == 200
        except OSError:
            return False

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(5)

    def request(self, method: str, path: str, body: str | None = None, **headers: str) -> Answer:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            names.setdefault("Content-Type", "application/x-www-form-urlencoded")
        try:
            connection.request(method, path, body, names)
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read().decode())
        finally:
            connection.close()

    def post(self, path: str, body: str = "", key: str | None = None) -> Answer:
        headers = {"Authorization": "Bearer sk_test_x"}
        if key:
            headers["Idempotency_Key"] = key
        return self.request("POST", path, body, **headers)

    def control(self, **command: Any) -> Any:
        answer = self.request("POST", "/control", json.dumps(command))
        assert answer.status == 200, answer.text
        return answer.json

    def state(self) -> Any:
        return self.request("GET", "/control").json

    def client(self) -> stripe.StripeClient:
        return stripe.StripeClient(
            "sk_test_x", base_addresses={"api": self.url}, max_network_retries=0
        )


class Payments:
    """The steps of a payment, through Stripe's own client."""

    def __init__(self, client: stripe.StripeClient) -> None:
        self.api = client.v1.payment_intents
        self.client = client

    def created(self, amount: int = 1000, **more: Any) -> stripe.PaymentIntent:
        params = {
            "amount": amount,
            "currency": "usd",
            "capture_method": "manual",
            "allowed_payment_method_types": ["card"],
            **more,
        }
        return self.api.create(params)

    def confirmed(self, card: str = "pm_card_visa", **more: Any) -> stripe.PaymentIntent:
        return self.api.confirm(self.created().id, {"payment_method": card, **more})

    def captured(self) -> stripe.PaymentIntent:
        return self.api.capture(self.confirmed().id)

    def challenged(self, card: str = "pm_card_threeDSecure2Required") -> stripe.PaymentIntent:
        return self.confirmed(card, return_url=RETURN_URL)

    def status(self, intent: str) -> str:
        return self.api.retrieve(intent).status
