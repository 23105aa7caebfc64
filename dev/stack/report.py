"""What people see: progress, the block at the end of the start, failures."""

import os
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from dev.stack.parts import Part, mails
from dev.stack.process import Process, StartError
from dev.stack.settings import Settings
from dev.stack.state import Home

LAST_LINES = 15
_GREEN, _YELLOW, _RED = "32", "33", "31"


class Report:
    """Writes to standard output; in colour only for a person."""

    def __init__(self) -> None:
        self._colours = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        self._begun = time.monotonic()

    def say(self, text: str) -> None:
        """One line, at once."""
        # A terminal that was closed, or a reader that left, must not stop a clean end.
        with suppress(OSError):
            print(text, flush=True)

    def warn(self, text: str) -> None:
        """One line that should not be missed."""
        self.say(self._paint(f"!! {text}", _YELLOW))

    def changed(self, process: Process, news: str) -> None:
        """One line when a part becomes ready, dies or is ready again."""
        name = process.part.name
        if news:
            self.warn(f"{name} {news}")
        elif process.state == "ready":
            mark = self._paint("ready", _GREEN)
            seconds = time.monotonic() - self._begun
            self.say(f"  {mark}  {name:18} {seconds:4.1f} s   port {process.part.port}")

    def failed(self, failure: StartError, data: Path) -> None:
        """Which part, why, the end of its log, and what to do."""
        self.say(self._paint(f"\nthe start failed: {failure}", _RED))
        self.say(f"the last lines of {failure.log}:")
        for line in last_lines(failure.log):
            self.say(f"    {line}")
        self.say(
            "What to do: read the log. If it tells of damaged data, restore the data folder\n"
            f"from a backup, or begin anew with `rm -r {data}` (which loses all data)."
        )

    def ready(self, settings: Settings, parts: Sequence[Part], home: Home) -> None:
        """The block that ends the start; its last line is the promise to scripts."""
        self.say("\n".join(["", *_block(settings, parts, home), ""]))
        self.say(f"ready {settings.url}")

    def _paint(self, text: str, colour: str) -> str:
        return f"\033[{colour}m{text}\033[0m" if self._colours else text


def last_lines(log: Path) -> list[str]:
    """The end of a log, however long it is."""
    if not log.exists():
        return []
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 8192))
        return file.read().decode(errors="replace").splitlines()[-LAST_LINES:]


def _block(settings: Settings, parts: Sequence[Part], home: Home) -> list[str]:
    lines = [f"  Buy and sell   {settings.url}/"]
    if home.seeded.exists():
        lines += _accounts()
    lines += [
        "  Test cards     4242 4242 4242 4242  paid",
        "                 4000 0000 0000 0002  declined",
        "                 4000 0000 0000 9995  insufficient funds",
        "                 4000 0000 0000 3220  asks for 3-D Secure",
        "                 any date in the future, any CVC",
    ]
    lines += [f"  Stripe         http://127.0.0.1:{p.port}/" for p in parts if p.name == "stripe"]
    return [
        *lines,
        f"  Mails          {settings.url}/account/mails, files in {mails(home.path)}/",
        f"  Logs           {home.logs}/",
        "  Status         make status",
        "  Stop           Ctrl-C, or make stop",
    ]


def _accounts() -> list[str]:
    # Imported late: what makes the demo data is not needed by a stack without any.
    from dev.seed import ADMIN, BUYER, PASSWORD, SELLER

    return [
        f"  Accounts       {SELLER} sells, {BUYER} buys, {ADMIN} looks after it",
        f"                 password of all: {PASSWORD}",
    ]
