"""Waiting a moment for what is on its way: an event, or another tab."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 2.0  # seconds that a request waits at the most
FIRST_PAUSE, LONGEST_PAUSE = 0.02, 0.32  # seconds between two looks: each twice the one before
WAITING = 16  # things that requests of one process wait for at a time: half of its threads

_lock = threading.Lock()
_awaited: Counter[str] = Counter()


def wait_for(key: str, look: Callable[[], T | None]) -> T | None:
    """What `look` finds, now or in a moment; None when it does not come in time.

    Any number may wait for the same `key`, as in a rush on a new ticket. Who asks for one thing
    after another that does not exist must not occupy every thread, so few keys are waited for.
    """
    found = look()
    if found is not None:
        return found
    with _seat(key) as seated:
        deadline = time.monotonic() + (PATIENCE if seated else 0)
        pause = FIRST_PAUSE
        while found is None and time.monotonic() < deadline:
            time.sleep(pause)
            # What is late is late because there is much to do.
            pause = min(2 * pause, LONGEST_PAUSE)
            found = look()
    return found


@contextmanager
def _seat(key: str) -> Generator[bool]:
    with _lock:
        seated = key in _awaited or len(_awaited) < WAITING
        if seated:
            _awaited[key] += 1
    try:
        yield seated
    finally:
        if seated:
            _stand_up(key)


def _stand_up(key: str) -> None:
    with _lock:
        _awaited[key] -= 1
        if not _awaited[key]:
            del _awaited[key]
