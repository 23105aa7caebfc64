"""Waiting a moment for what is on its way: an event, or another tab."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 2.0  # seconds that a request waits at the most
LOOK_AGAIN = 0.05  # seconds between two looks
WAITING = 8  # requests of one process that may wait at a time

# Who keeps asking for what does not exist must not occupy every thread.
_seats = threading.BoundedSemaphore(WAITING)


def wait_for(look: Callable[[], T | None]) -> T | None:
    """What `look` finds, now or in a moment; None when it does not come in time."""
    found = look()
    if found is not None or not _seats.acquire(blocking=False):
        return found
    try:
        deadline = time.monotonic() + PATIENCE
        while found is None and time.monotonic() < deadline:
            time.sleep(LOOK_AGAIN)
            found = look()
    finally:
        _seats.release()
    return found
