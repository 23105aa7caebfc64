"""Requests that share writes: nobody is forgotten, and everybody hears what went wrong."""

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from apps.orders.groupcommit import GroupCommit
from tests.orders.threads import DEADLINE, at_once


@dataclass
class Gate:
    """A commit that lets its first group wait until the test says so."""

    groups: list[list[int]] = field(default_factory=list[list[int]])
    entered: threading.Event = field(default_factory=threading.Event)
    opened: threading.Event = field(default_factory=threading.Event)
    error: BaseException | None = None

    def __call__(self, _key: str, jobs: list[int]) -> None:
        self.groups.append(jobs)
        if not self.entered.is_set():
            self.entered.set()
            assert self.opened.wait(DEADLINE)
        if self.error:
            raise self.error


def begin(work: Callable[[], None]) -> "Caught":
    thread = Caught(work)
    thread.start()
    return thread


class Caught(threading.Thread):
    """A thread that keeps what it raised."""

    error: BaseException | None = None

    def __init__(self, work: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self._work = work

    def run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            self.error = error

    def end(self) -> BaseException | None:
        self.join(DEADLINE)
        assert not self.is_alive(), "it was never called"
        return self.error


def gathered(gate: Gate, desk: GroupCommit[int], others: range) -> list[Caught]:
    """Job 0 is being carried out, the others wait behind it in their order."""
    threads = [begin(lambda: desk.run("a", 0))]
    assert gate.entered.wait(DEADLINE)
    for job in others:
        threads.append(begin(lambda job=job: desk.run("a", job)))  # type: ignore[misc]
        wait_until_seated(desk, job)
    return threads


def wait_until_seated(desk: GroupCommit[int], job: int) -> None:
    woken = threading.Event()
    for _ in range(int(DEADLINE / 0.001)):
        with desk._lock:
            if any(seat.job == job for seat in desk._waiting.get("a", [])):
                return
        woken.wait(0.001)
    pytest.fail("it did not sit down")


def test_those_who_come_meanwhile_share_the_next_round() -> None:
    gate = Gate()
    threads = gathered(gate, GroupCommit(gate, limit=100), range(1, 6))
    gate.opened.set()
    assert [thread.end() for thread in threads] == [None] * 6
    assert gate.groups == [[0], [1, 2, 3, 4, 5]]


def test_a_group_is_no_larger_than_the_limit() -> None:
    gate = Gate()
    threads = gathered(gate, GroupCommit(gate, limit=2), range(1, 6))
    gate.opened.set()
    assert [thread.end() for thread in threads] == [None] * 6
    assert gate.groups == [[0], [1, 2], [3, 4], [5]]


@pytest.mark.parametrize("error", [ValueError("broken"), SystemExit(3)])
def test_an_error_reaches_everybody_and_the_desk_stays_open(error: BaseException) -> None:
    gate = Gate(error=error)
    desk = GroupCommit(gate, limit=2)
    threads = gathered(gate, desk, range(1, 6))
    gate.opened.set()
    assert [thread.end() for thread in threads] == [error] * 6
    gate.error = None
    desk.run("a", 7)
    assert gate.groups[-1] == [7]


def test_other_keys_do_not_wait() -> None:
    gate = Gate()
    desk = GroupCommit(gate, limit=100)
    first = begin(lambda: desk.run("a", 0))
    assert gate.entered.wait(DEADLINE)
    assert begin(lambda: desk.run("b", 1)).end() is None
    gate.opened.set()
    assert first.end() is None


def test_one_round_at_a_time_for_one_key_and_every_job_exactly_once() -> None:
    running: Counter[str] = Counter()
    done: list[int] = []
    overlaps: list[str] = []

    def commit(key: str, jobs: list[int]) -> None:
        running[key] += 1
        if running[key] > 1:
            overlaps.append(key)
        done.extend(jobs)
        running[key] -= 1

    desk = GroupCommit(commit, limit=7)

    def some(number: int) -> None:
        for job in range(200):
            desk.run("ab"[number % 2], number * 200 + job)

    results = at_once([lambda number=number: some(number) for number in range(16)])  # type: ignore[misc]
    assert results == [None] * 16
    assert sorted(done) == list(range(16 * 200))
    assert not overlaps
    assert not desk._waiting
