"""`python -m dev.stack up | status | stop`."""

import argparse
import asyncio
import os
import signal
import sys
import time

from dev.stack.ports import NoPortsError
from dev.stack.settings import VARIABLES, Settings, SettingsError, read
from dev.stack.state import Home, StateError

STOP_SECONDS = 15.0


def main() -> int:
    """Run one command; returns its exit code: 2 for settings that can't be used."""
    command = _parser().parse_args().command
    try:
        settings = read(os.environ)
        return {"up": _up, "status": _status, "stop": _stop}[command](settings)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    except (StateError, NoPortsError) as error:
        print(error, file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    variables = "\n".join(f"  {name:24} {text}" for name, text in VARIABLES.items())
    parser = argparse.ArgumentParser(
        prog="python -m dev.stack",
        description="The whole system on this machine, with real servers.",
        epilog=f"settings, from the environment:\n{variables}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    commands.add_parser("up", help="start everything and stay in the foreground")
    commands.add_parser("status", help="show each part; exit code 0 if all are healthy")
    commands.add_parser("stop", help="stop the stack that runs on DATA")
    return parser


def _up(settings: Settings) -> int:
    # Imported here because status and stop have no use for it.
    from dev.stack.start import start

    return asyncio.run(start(settings).run())


def _status(settings: Settings) -> int:
    from dev.stack.status import show

    return show(Home(settings.data))


def _stop(settings: Settings) -> int:
    home = Home(settings.data)
    run = home.run() if home.is_running() else None
    if run is None:
        print(f"no stack is running on {home.path}")
        return 0
    os.kill(run["pid"], signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while home.is_running():
        if time.monotonic() > deadline:
            print(f"the stack (pid {run['pid']}) has not stopped after {STOP_SECONDS:.0f} s")
            return 1
        time.sleep(0.1)
    print("stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
