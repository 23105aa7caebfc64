"""The worker process: events in, periodic jobs, and the one policy for what goes wrong."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import Counter as Metric

from shared import logs
from shared.bus import Ack, Bus, Consumer, Dead, Message, Nak, Outcome, is_trouble
from shared.errors import Conflict, Unavailable
from shared.events import Event, parse
from shared.mongo import is_temporary

log = logs.get(__name__)

TRIES = 5  # of a handler that fails for no known reason, before the event is put aside
_handled = Metric("events_handled_total", "Events by subject and outcome", ["subject", "outcome"])
_jobs_failed = Metric("jobs_failed_total", "Periodic jobs that failed", ["job"])

_sweeps_failed = Metric("sweeps_failed_total", "Things that a sweep could not mend")

Handlers = dict[type[Event], Callable[[Any], None]]


@dataclass(frozen=True)
class Job:
    """Something to do every so many seconds."""

    name: str
    every: float
    run: Callable[[], object]


@dataclass(frozen=True)
class Worker:
    """What a service's worker consists of."""

    bus: Bus
    consumers: list[Consumer]
    jobs: list[Job] = field(default_factory=list[Job])

    def run(self, stop: threading.Event) -> None:
        """Work until told to stop; then finish what is in hand."""
        for consumer in self.consumers:
            self.bus.consume(consumer)
        threads = [
            threading.Thread(target=_repeat, args=(job, stop), name=job.name, daemon=True)
            for job in self.jobs
        ]
        for thread in threads:
            thread.start()
        stop.wait()
        for thread in threads:
            thread.join(3)


def consumer(durable: str, handlers: Handlers) -> Consumer:
    """A durable consumer that gives each event to its handler."""
    failures: Counter[int] = Counter()

    def handle(messages: list[Message]) -> list[Outcome]:
        return [_handle_one(handlers, message, failures) for message in messages]

    return Consumer(durable, [kind.subject_name for kind in handlers], handle)


def batch_consumer(
    durable: str,
    kinds: list[type[Event]],
    handle_all: Callable[[list[Any]], None],
    linger: float,
    rest: float = 0.0,
) -> Consumer:
    """A durable consumer that gives its handler all events that arrive within `linger` seconds.

    Then it rests `rest` times as long as they took.
    """
    failures: Counter[int] = Counter()

    def handle(messages: list[Message]) -> list[Outcome]:
        readable, outcomes = _parse_all(messages)

        def attempt(part: list[tuple[int, Event]]) -> None:
            try:
                handle_all([event for _, event in part])
            except Exception as error:  # noqa: BLE001 - judged, never swallowed
                if len(part) == 1 or _passes(error):
                    for index, _ in part:
                        outcomes[index] = judge(error, messages[index], failures)
                else:  # one of them is to blame, and the others must not share its end
                    for one in part:
                        attempt([one])

        if readable:
            attempt(readable)
        return outcomes

    subjects = [kind.subject_name for kind in kinds]
    return Consumer(durable, subjects, handle, loops=1, batch=200, linger=linger, rest=rest)


def _parse_all(messages: list[Message]) -> tuple[list[tuple[int, Event]], list[Outcome]]:
    readable: list[tuple[int, Event]] = []
    outcomes: list[Outcome] = []
    for index, message in enumerate(messages):
        try:
            readable.append((index, parse(message.payload)))
            outcomes.append(Ack())
        except ValueError as error:
            outcomes.append(Dead(f"unreadable: {error}"))
    return readable, outcomes


def _handle_one(handlers: Handlers, message: Message, failures: "Counter[int]") -> Outcome:
    outcome = _attempt(handlers, message, failures)
    _handled.labels(message.subject, type(outcome).__name__.lower()).inc()
    return outcome


def _attempt(handlers: Handlers, message: Message, failures: "Counter[int]") -> Outcome:
    try:
        event = parse(message.payload)
    except ValueError as error:
        return Dead(f"unreadable: {error}")
    with logs.trace(event.traceparent):
        try:
            handlers[type(event)](event)
        except Exception as error:  # noqa: BLE001 - judged, never swallowed
            return judge(error, message, failures)
    return Ack()


def judge(error: Exception, message: Message, failures: "Counter[int]") -> Outcome:
    """What becomes of an event whose handler raised: trouble passes, mistakes are put aside."""
    delay = min(0.2 * 2 ** min(message.deliveries, 10), 15.0)
    if _passes(error):
        log.warning("event waits", subject=message.subject, error=repr(error), delay=delay)
        return Nak(delay)
    failures[message.sequence] += 1
    tries = failures[message.sequence]
    log.error("handler failed", subject=message.subject, tries=tries, exc_info=error)
    if tries < TRIES:
        return Nak(delay)
    del failures[message.sequence]
    return Dead(f"{type(error).__name__}: {error}")


def for_each(keys: Iterable[str], do: Callable[[str], object]) -> None:
    """One round of a sweep: what fails is reported, and keeps nothing behind it waiting."""
    for key in keys:
        try:
            do(key)
        except Exception as error:
            if _passes(error):
                raise
            _sweeps_failed.inc()
            log.error("sweep failed", key=key, exc_info=error)


def _passes(error: Exception) -> bool:
    """Whether trying the same again later helps."""
    known = isinstance(error, Conflict | Unavailable)
    return known or is_temporary(error) or is_trouble(error)


def _repeat(job: Job, stop: threading.Event) -> None:
    """Run a job for ever: a failure is reported, and the next round tries again."""
    while not stop.wait(job.every):
        try:
            job.run()
        except Exception as error:
            _jobs_failed.labels(job.name).inc()
            if _passes(error):
                log.warning("job waits", job=job.name, error=repr(error))
            else:
                log.error("job failed", job=job.name, exc_info=error)
