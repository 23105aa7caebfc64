"""The command: `python -m dev.stripe --port 12111 --data DIR --webhook-url URL`."""

import argparse
import os
import signal
import sqlite3
import sys
from pathlib import Path
from types import FrameType
from typing import NoReturn

from dev.stripe.app import create_app
from dev.stripe.control import Controls
from dev.stripe.gate import Gate
from dev.stripe.server import Server
from dev.stripe.store import Store
from dev.stripe.webhooks import Courier, Target


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m dev.stripe",
        description="A small Stripe for development and tests. Environment: STRIPE_WEBHOOK_SECRET "
        "signs webhooks; STRIPE_KEY is the only key to accept (default: any sk_test_ key).",
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=12111)
    parser.add_argument("--data", type=Path, required=True, help="folder of the database")
    parser.add_argument("--webhook-url", help="where events are sent (default: nowhere)")
    parser.add_argument(
        "--webhook-events",
        default="",
        metavar="TYPES",
        help="types of events that are sent, with commas between them (default: all)",
    )
    parser.add_argument("--public-url", help="how browsers reach the emulator")
    parser.add_argument(
        "--first-retry",
        type=float,
        default=1.0,
        metavar="SECONDS",
        help="before a failed webhook is sent again; doubles each time (default: 1)",
    )
    arguments = parser.parse_args()
    if arguments.webhook_url and not os.environ.get("STRIPE_WEBHOOK_SECRET"):
        parser.error("--webhook-url needs STRIPE_WEBHOOK_SECRET in the environment")
    return arguments


def _open_store(folder: Path) -> Store:
    try:
        return Store(folder)
    except sqlite3.Error as error:
        _give_up(
            f"the data in {folder} can't be used ({error}). Either another emulator uses it, or "
            "it is damaged: stop the other one, or delete the folder to start afresh."
        )


def _give_up(reason: str) -> NoReturn:
    print(f"stripe emulator: {reason}", file=sys.stderr)
    sys.exit(1)


def _stop(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def main() -> None:
    arguments = _arguments()
    store = _open_store(arguments.data)
    courier = None
    if arguments.webhook_url:
        secret = os.environ["STRIPE_WEBHOOK_SECRET"]
        courier = Courier(store, Target(arguments.webhook_url, secret, arguments.first_retry))
    here = f"http://{arguments.host}:{arguments.port}"
    public_url = (arguments.public_url or here).rstrip("/")
    events = frozenset(arguments.webhook_events.split(",")) - {""}
    gate = Gate(store, Controls(), public_url, courier.wake if courier else None, events)
    app = create_app(gate, os.environ.get("STRIPE_KEY"))
    try:
        server = Server(arguments.host, arguments.port, app.wsgi_app)
    except OSError as error:
        _give_up(f"can't listen on {here}: {error.strerror}")
    signal.signal(signal.SIGTERM, _stop)
    if courier:
        courier.start()
    print(f"stripe emulator on {here}, data in {arguments.data}", flush=True)
    server.run()
    store.close()


if __name__ == "__main__":
    main()
