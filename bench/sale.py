"""What a whole sale costs: CPU of each part, and its time. `python -m bench.sale`, a minute.

It starts an embedded stack of its own and makes sales one after the other, through the gateway:
reserve, pay, wait until the order is complete. What the stack uses without any sale is measured
before, for as long, and taken off.
"""

import argparse
import http.cookiejar
import json
import secrets
import statistics
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import psutil

from dev.stack import Stack

IDLE = 10.0  # seconds of rest before the sales, whose cost is taken off
SETTLED = 3.0  # seconds after the last sale in which what follows from it comes to its end


class Person:
    """Somebody with an account and a cookie."""

    def __init__(self, url: str) -> None:
        self._url = url
        cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._opener = urllib.request.build_opener(cookies)
        email = f"{secrets.token_hex(6)}@example.com"
        self.ask("POST", "/api/users/signup", {"email": email, "password": secrets.token_hex(8)})

    def ask(self, method: str, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        kind = {"Content-Type": "application/json"}
        request = urllib.request.Request(self._url + path, data, kind, method=method)  # noqa: S310 - our own stack
        with self._opener.open(request) as answer:
            return json.load(answer)

    def buys(self, ticket_id: str) -> None:
        order = self.ask("POST", "/api/orders", {"ticketId": ticket_id})
        self.ask("POST", "/api/payments", {"orderId": order["id"], "token": "tok_visa"})
        while self.ask("GET", f"/api/orders/{order['id']}")["status"] != "complete":
            time.sleep(0.02)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sales", type=int, default=60)
    sales = parser.parse_args().sales
    with tempfile.TemporaryDirectory() as folder:
        env = {"RATE_LIMITS": "0", "VERIFY_EMAIL": "0", "SEED": "0"}
        with Stack(Path(folder) / "data", env) as stack:
            measure(stack, sales)


def measure(stack: Stack, count: int) -> None:
    seller, buyer = Person(stack.url), Person(stack.url)
    offer = {"title": "A sale", "price": 20, "quantity": count + 1}
    ticket = seller.ask("POST", "/api/tickets", offer)["id"]
    buyer.buys(ticket)  # the first one opens connections

    before = cpu(stack)
    time.sleep(IDLE)
    idle = {part: (used - before[part]) / IDLE for part, used in cpu(stack).items()}

    begun, before, times = time.monotonic(), cpu(stack), list[float]()
    for _ in range(count):
        start = time.monotonic()
        buyer.buys(ticket)
        times.append(time.monotonic() - start)
    time.sleep(SETTLED)
    seconds, after = time.monotonic() - begun, cpu(stack)

    median = statistics.median(times) * 1000
    print(f"{count} sales, one after the other: {median:.0f} ms each (median)")
    print("CPU of a sale in milliseconds, without what the stack uses at rest")
    costs = {part: (after[part] - before[part] - idle[part] * seconds) / count for part in after}
    for part, cost in sorted(costs.items(), key=lambda entry: -entry[1]):
        print(f"  {part:20} {cost * 1000:6.1f}")
    print(f"  {'together':20} {sum(costs.values()) * 1000:6.1f}")


def cpu(stack: Stack) -> dict[str, float]:
    """Seconds of CPU that each part has used, its children included."""
    run = stack.home.run()
    assert run is not None  # noqa: S101 - it is running
    return {name: sum(map(_used, _tree(part["pid"]))) for name, part in run["parts"].items()}


def _tree(pid: int | None) -> list[psutil.Process]:
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


def _used(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


if __name__ == "__main__":
    main()
