"""`ticketing events`: look at the stream, and mend what went wrong with it."""

import argparse
import importlib
import json
import os
import re
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from nats.js.errors import NotFoundError
from pydantic import ValidationError

from shared.bus import DEAD_STREAM, PATIENCE, Bus, Message, connect_once, is_trouble
from shared.events import EVENTS, STREAM, parse
from shared.mongo import is_temporary
from shared.upkeep import Upkeep

SUBJECT = re.compile(r">|[\w*-]+(\.[\w*-]+)*(\.>)?")
UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def add_commands(commands: Any) -> None:
    events = commands.add_parser("events", help="look at events, and mend what went wrong")
    actions = events.add_subparsers(required=True, metavar="action")
    tail = _action(actions, "tail", "print events as they are published", _tail)
    tail.add_argument("--since", default="0s", help="begin so long ago, such as 10m, 2h or 7d")
    tail.add_argument(
        "--subject",
        type=_subject,
        default=">",
        help="only these, such as order.* or payment.failed",
    )
    tail.add_argument("--once", action="store_true", help="stop at the newest event")
    publish = _action(actions, "publish", "publish an event by hand", _publish)
    publish.add_argument("subject", choices=sorted(EVENTS), metavar="subject")
    publish.add_argument("data", help="its data as JSON, keys as in docs/events.md")
    publish.add_argument("--version", type=int, default=0, help="version of the aggregate")
    publish.add_argument("--epoch", type=int, default=0, help="epoch of the aggregate")
    _action(actions, "dead", "list events that no handler could take", _dead)
    retry = _action(
        actions, "retry", "publish dead events again, once their cause is mended", _retry
    )
    retry.add_argument("sequence", nargs="+", help="numbers from `events dead`, or all")
    for name, text, run in (
        ("replay", "rebuild a service's replicas from the stream", _replay),
        ("resync", "have a service announce everything it owns", _resync),
        ("restored", "the same, after its database was restored from a backup", _restored),
    ):
        _action(actions, name, text, run).add_argument("service")


def _action(
    actions: Any, name: str, text: str, run: Callable[[argparse.Namespace], int]
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(name, help=text, description=text)
    parser.set_defaults(run=run)
    return parser


@contextmanager
def _bus() -> Generator[Bus]:
    url = os.environ.get("NATS_URL")
    if not url:
        sys.exit("setting NATS_URL: missing (NATS server, such as nats://nats:4222)")
    try:
        bus = connect_once(url, "ticketing-cli")
    except TimeoutError:
        sys.exit(f"NATS does not answer at {url}")
    with _told(bus):
        yield bus


@contextmanager
def _told(bus: Bus) -> Generator[None]:
    """Trouble with a server ends the command with a sentence; everything else is a mistake."""
    try:
        yield
    except Exception as error:
        if not is_trouble(error) and not is_temporary(error):
            raise
        sys.exit(f"a server does not answer as it should: {error or type(error).__name__}")
    finally:
        bus.close()


def _subject(text: str) -> str:
    if not SUBJECT.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no subject such as order.* or payment.failed"
        )
    return text


def _since(text: str) -> datetime:
    try:
        return datetime.now(UTC) - timedelta(seconds=float(text[:-1]) * UNITS[text[-1]])
    except (KeyError, ValueError, IndexError, OverflowError):
        sys.exit(f"--since {text}: give a number and one of s, m, h, d, such as 10m")


def _tail(arguments: argparse.Namespace) -> int:
    since = _since(arguments.since)

    async def follow(bus: Bus) -> None:
        subjects, following = [arguments.subject], not arguments.once
        async for message in bus.read(subjects=subjects, since=since, follow=following):
            if message is not None:
                print(_line(message), flush=True)

    with _bus() as bus:
        try:
            bus.run(follow(bus))
        except KeyboardInterrupt:
            return 130
    return 0


def _line(message: Message) -> str:
    """One event, readable: time, subject, version and data."""
    try:
        event = parse(message.payload).to_dict()
    except ValueError as error:
        return f"{message.sequence}  {message.subject}  unreadable: {_first_line(error)}"
    data = json.dumps(event["data"], ensure_ascii=False)
    version = f"{event['epoch']}.{event['version']}"
    return f"{event['time']}  {message.sequence}  {message.subject}  v{version}  {data}"


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _publish(arguments: argparse.Namespace) -> int:
    kind = EVENTS[arguments.subject]
    envelope = {"epoch": arguments.epoch, "version": arguments.version}
    try:
        event = kind.model_validate({"data": json.loads(arguments.data), **envelope})
    except json.JSONDecodeError as error:
        sys.exit(f"data is not JSON: {error}")
    except ValidationError as error:
        sys.exit("\n".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()))
    with _bus() as bus:
        bus.run(bus.publish(event.subject, event.to_json().encode(), event.id), 5)
    print(f"published {event.subject} {event.id}")
    return 0


def _dead(arguments: argparse.Namespace) -> int:
    del arguments
    with _bus() as bus:
        letters = _letters(bus)
    for letter in letters:
        consumer = letter.subject.partition(".")[2]
        subject, reason = _header(letter, "Subject"), _header(letter, "Reason")
        print(f"{letter.sequence}  {consumer}  {subject}  {reason}")
    print(f"{len(letters)} dead {'event' if len(letters) == 1 else 'events'}")
    return 0


def _header(letter: Message, name: str) -> str:
    return letter.headers.get(name, "")


def _letters(bus: Bus) -> list[Message]:
    async def read() -> list[Message]:
        return [message async for message in bus.read(DEAD_STREAM) if message is not None]

    return bus.run(read())


def _retry(arguments: argparse.Namespace) -> int:
    with _bus() as bus:
        letters = {str(letter.sequence): letter for letter in _letters(bus)}
        wanted = list(letters) if arguments.sequence == ["all"] else arguments.sequence
        for sequence in wanted:
            if sequence in letters:
                bus.run(_revive(bus, letters[sequence]), 10)
                print(f"published {sequence} again")
    unknown = [sequence for sequence in wanted if sequence not in letters]
    for sequence in unknown:
        print(f"there is no dead event {sequence}", file=sys.stderr)
    return 1 if unknown else 0


async def _revive(bus: Bus, letter: Message) -> None:
    """Published first and deleted second: a crash in between publishes it twice, which is safe."""
    message_id = f"retry:{letter.sequence}:{datetime.now(UTC).timestamp()}"
    await bus.publish(_header(letter, "Subject"), letter.payload, message_id)
    try:
        await bus.jetstream.delete_msg(DEAD_STREAM, letter.sequence)
    except NotFoundError:
        print(f"{letter.sequence} was already gone", file=sys.stderr)


@contextmanager
def _upkeep(service: str) -> Generator[Upkeep]:
    from ticketing.cli import APPS

    if service not in APPS:
        sys.exit(f"{service}: no such service (choose from {', '.join(APPS)})")
    upkeep: Upkeep = importlib.import_module(f"apps.{service}.processes").upkeep()
    with _told(upkeep.bus):
        upkeep.bus.wait_ready(PATIENCE)
        yield upkeep


def _replay(arguments: argparse.Namespace) -> int:
    with _upkeep(arguments.service) as upkeep:
        count = upkeep.replay()
    print(f"{arguments.service}: {count} replicas rebuilt from {STREAM}")
    return 0


def _resync(arguments: argparse.Namespace) -> int:
    with _upkeep(arguments.service) as upkeep:
        count = upkeep.resync()
    print(f"{arguments.service}: {count} aggregates announced")
    return 0


def _restored(arguments: argparse.Namespace) -> int:
    with _upkeep(arguments.service) as upkeep:
        count = upkeep.restored()
    print(f"{arguments.service}: {count} aggregates announced in a new epoch")
    return 0
