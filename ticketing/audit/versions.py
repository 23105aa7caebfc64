"""Within the stream's retention every version of an aggregate was told, once."""

from collections.abc import Iterator

from ticketing.audit.facts import Bounds, Facts, Timeline, Violation

Position = tuple[int, int]

# Documents of these begin without an event; the first one is version 1.
SILENT_AT_FIRST = ("payment:", "session:")
# Stored, then told: one that a crash kept back gives way to the next (docs/adr/0004).
MAY_SKIP = ("availability:",)


def check_versions(facts: Facts, bounds: Bounds) -> Iterator[Violation]:
    """Versions follow each other without gaps, and none was told with two contents."""
    del bounds
    for aggregate, timeline in facts.timelines.items():
        if timeline.clashes:
            found = f"two different events of {_listed(timeline.clashes)}"
            yield _violation("versions", aggregate, "one event per version", found)
        if not aggregate.startswith(MAY_SKIP) and (missing := _gaps(timeline)):
            yield _violation("versions", aggregate, "no gaps", f"without {_listed(missing)}")


def _gaps(timeline: Timeline) -> set[Position]:
    told = timeline.events.keys()
    epochs = {epoch for epoch, _ in told}
    missing: set[Position] = set()
    for epoch in epochs:
        versions = [version for e, version in told if e == epoch]
        if len(versions) != max(versions) - min(versions) + 1:
            whole = {(epoch, version) for version in range(min(versions), max(versions))}
            missing |= whole - told
    return missing


def check_told(facts: Facts, bounds: Bounds) -> Iterator[Violation]:
    """The state that each document is in was told: its version is in the stream."""
    del bounds
    waiting = {(event.aggregate, event.position) for event in facts.waiting}
    for aggregate, head in facts.heads.items():
        timeline = facts.timelines.get(aggregate)
        if timeline is None and _may_be_silent(facts, aggregate, head):
            continue
        told = timeline.events if timeline else {}
        newest = max(told, default=(0, -1))
        if newest > head:
            found = f"the document is at {_text(head)}"
            yield _violation("told", aggregate, f"version {_text(newest)}, as was told", found)
        elif head not in told and (aggregate, head) not in waiting:
            found = f"nothing newer than {_text(newest)}" if told else "no event of it at all"
            yield _violation("told", aggregate, f"version {_text(head)} in the stream", found)


def _may_be_silent(facts: Facts, aggregate: str, head: Position) -> bool:
    begins_silent = aggregate.startswith(SILENT_AT_FIRST)
    return (begins_silent and head[1] == 0) or not facts.stream_is_whole


def _violation(check: str, aggregate: str, expected: str, found: str) -> Violation:
    ids = frozenset({aggregate.partition(":")[2]})
    return Violation(check, aggregate.replace(":", " "), expected, found, ids)


def _listed(positions: set[Position]) -> str:
    return ", ".join(_text(position) for position in sorted(positions))


def _text(position: Position) -> str:
    return f"{position[0]}.{position[1]}"
