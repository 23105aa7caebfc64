"""Many open pages, each told of every change: whether a rush beside them is slower for it.

`python -m bench.pages PORT TOPIC COUNT` opens them, says so, and reads what they are told until its
standard input ends. It is a process of its own, so that buyers do not wait for it.
"""

import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

from bench import usage
from bench.figures import Result, Round, Sample, between
from bench.ground import Ground
from bench.load import Load
from bench.scenarios import WARM_SECONDS, crowd, hot_ticket, orders_of

PAGES = 2_000
SERVING = ("live-web", "gateway")
PATIENCE = 30.0  # seconds that opening a page may take
READ_EVERY = 1.0  # seconds; until then the system keeps what came
OPEN = "open"


@dataclass(frozen=True)
class Pages:
    name: str = "pages"
    about: str = f"the rush on one ticket with {PAGES:,} live pages open beside it"

    def run(self, ground: Ground) -> Result:
        serving = [ground.pids[name] for name in SERVING]
        before = sum(map(usage.memory, serving))
        rounds: list[Round] = []
        spent: list[usage.Usage] = []
        added: list[int] = []
        without = self._without(ground)
        for _ in range(ground.effort.rounds):
            tickets, load = _rush(ground)
            with _open(ground.stack.port, f"ticket:{tickets[0]}", PAGES):
                begun = usage.now(ground.pids, ground.stores)
                measured = load.measure(ground.effort.seconds)
                spent.append(usage.now(ground.pids, ground.stores).since(begun))
                added.append(sum(map(usage.memory, serving)) - before)
            # Between two without, as each rush leaves something behind that the next one meets.
            after = self._without(ground)
            rounds.append(Round(measured, between(without, after)))
            without = after
        notes = {"pages_mb": round(max(added) / 1e6)}
        cost = usage.cost(ground.pids, spent)
        return Result(self.name, self.about, rounds, cost, "the same rush without any page", notes)

    def _without(self, ground: Ground) -> Sample:
        return _rush(ground)[1].measure(ground.effort.seconds)


def _rush(ground: Ground) -> tuple[list[str], Load]:
    """A rush on a ticket of its own, as each reservation makes the next one a little slower."""
    tickets = hot_ticket(ground)
    load = crowd(orders_of(ground, tickets))
    load.measure(WARM_SECONDS)
    ground.rest()
    return tickets, load


@contextmanager
def _open(port: int, topic: str, count: int) -> Generator[None]:
    command = [sys.executable, "-m", "bench.pages", str(port), topic, str(count)]
    with subprocess.Popen(  # noqa: S603 - our own program
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as reader:
        assert reader.stdout  # noqa: S101 - asked for above
        if reader.stdout.readline().strip() != OPEN:
            raise SystemExit("the pages could not be opened")
        try:
            yield
        finally:
            reader.communicate()


def main(port: int, topic: str, count: int) -> None:
    with selectors.DefaultSelector() as selector:
        for _ in range(count):
            selector.register(_page(port, topic), selectors.EVENT_READ)
        print(OPEN, flush=True)
        selector.register(sys.stdin, selectors.EVENT_READ)
        while True:
            # Not at once: the readers of real pages are on other machines.
            time.sleep(READ_EVERY)
            for key, _ in selector.select():
                if not isinstance(key.fileobj, socket.socket):
                    return
                if not key.fileobj.recv(65_536):
                    sys.exit("a page was closed")


def _page(port: int, topic: str) -> socket.socket:
    page = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    page.sendall(f"GET /live?topic={topic} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    answer = b""
    while b"retry:" not in answer:
        if not (part := page.recv(65_536)):
            sys.exit(f"a page was refused: {answer[:80]!r}")
        answer += part
    page.setblocking(False)
    return page


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
