"""The command line. Imports what a command needs only when it runs, so that each starts fast."""

import argparse
import importlib
import os
import resource
import sys

APPS = ["auth", "tickets", "orders", "payments", "expiration"]
WEB_ONLY = ["live"]  # tells what others did: it has no worker, and nothing to replay


def main() -> None:
    arguments = _parser().parse_args()
    raise SystemExit(arguments.run(arguments))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ticketing", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    web = commands.add_parser("web", help="run the web server of a service")
    web.add_argument("app", choices=[*APPS, *WEB_ONLY])
    web.set_defaults(run=_web)
    worker = commands.add_parser("worker", help="run the worker of a service: events and sweeps")
    worker.add_argument("app", choices=APPS)
    worker.set_defaults(run=_worker)
    alarms = commands.add_parser("alarms", help="run the Huey consumer of expiration")
    alarms.set_defaults(run=_alarms)
    if "events" in sys.argv[1:2] or {"-h", "--help"} & set(sys.argv[1:2]):
        from ticketing import events  # brings NATS with it, which no other command waits for

        events.add_commands(commands)
    if "accounts" in sys.argv[1:2] or {"-h", "--help"} & set(sys.argv[1:2]):
        from ticketing import accounts

        accounts.add_commands(commands)
    if "audit" in sys.argv[1:2] or {"-h", "--help"} & set(sys.argv[1:2]):
        from ticketing.audit import command  # the same, and Stripe

        command.add_command(commands)
    if {"backup", "restore"} & set(sys.argv[1:2]) or {"-h", "--help"} & set(sys.argv[1:2]):
        from ticketing import backup  # the same, and the database

        backup.add_commands(commands)
    return parser


def _web(arguments: argparse.Namespace) -> int:
    """Become granian, which imports the app in a worker that it restarts should it crash."""
    target = f"apps.{arguments.app}.processes:web"
    host, port = os.environ.get("HOST", "127.0.0.1"), os.environ.get("PORT", "3000")
    command = [sys.executable, "-m", "granian", "--factory", target]
    command += ["--host", host, "--port", port, "--workers", "1", "--no-ws"]
    command += ["--respawn-failed-workers", "--workers-kill-timeout", "4"]
    command += ["--log-level", "warning"]
    command += _streaming() if arguments.app == "live" else _ordinary()
    os.execv(sys.executable, command)  # noqa: S606 - our own program, no shell


def _ordinary() -> list[str]:
    """Requests that each occupy a thread, and queue up when there is none."""
    threads = os.environ.get("THREADS", "32")
    return ["--interface", "wsgi", "--blocking-threads", threads, "--backpressure", "512"]


def _streaming() -> list[str]:
    """Thousands of requests that last: on one event loop, each with a file that stays open."""
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, allowed))
    options = ["--interface", "asgi", "--loop", "uvloop"]
    # The gateway speaks HTTP/2 here, as a connection for each open page costs it twice the memory.
    options += ["--http", "auto"]
    # Beyond what MOST_STREAMS can be, so that one page too many gets an answer and does not wait.
    return [*options, "--backpressure", "110000"]


def _worker(arguments: argparse.Namespace) -> int:
    from shared.process import run

    run(importlib.import_module(f"apps.{arguments.app}.processes").worker())
    return 0


def _alarms(arguments: argparse.Namespace) -> int:
    del arguments
    return int(importlib.import_module("apps.expiration.processes").alarms())
