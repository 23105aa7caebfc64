"""Requests for one thing that arrive together share one write.

The first to come leads: it carries out everything that waits, while later ones gather for the next
round. On a hot ticket this turns many small writes into few, and nobody waits longer than a round.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

J = TypeVar("J")


@dataclass
class _Seat(Generic[J]):
    job: J
    called: threading.Event = field(default_factory=threading.Event)
    done: bool = False
    error: BaseException | None = None


class GroupCommit(Generic[J]):
    """`commit(key, jobs)` leaves each job's result in the job; what it raises reaches every job."""

    def __init__(self, commit: Callable[[str, list[J]], None], limit: int) -> None:
        self._commit, self._limit = commit, limit
        self._waiting: dict[str, list[_Seat[J]]] = {}
        self._lock = threading.Lock()

    def run(self, key: str, job: J) -> None:
        """Carry out the job, alone or with others; returns when it is done."""
        seat = _Seat(job)
        if not self._sit_down(key, seat):
            seat.called.wait()
        if not seat.done:
            self._lead(key)
        if seat.error:
            raise seat.error

    def _sit_down(self, key: str, seat: _Seat[J]) -> bool:
        """Join those who wait; True for the first, who leads."""
        with self._lock:
            leads = key not in self._waiting
            self._waiting.setdefault(key, []).append(seat)
            return leads

    def _lead(self, key: str) -> None:
        with self._lock:
            waiting = self._waiting[key]
            group = waiting[: self._limit]
            del waiting[: self._limit]
        error: BaseException | None = None
        try:
            self._commit(key, [seat.job for seat in group])
        except BaseException as problem:  # noqa: BLE001 - it is raised again, in each one's thread
            error = problem
        self._hand_over(key)
        for seat in group:
            seat.done, seat.error = True, error
            seat.called.set()

    def _hand_over(self, key: str) -> None:
        """Call the next one who waits to lead, if there is one."""
        with self._lock:
            waiting = self._waiting[key]
            if waiting:
                waiting[0].called.set()
            else:
                del self._waiting[key]
