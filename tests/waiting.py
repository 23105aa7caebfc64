"""Waiting for what must become true, with a deadline; no test sleeps for a fixed time."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

STEP = 0.02  # seconds between two looks


def wait_until(condition: Callable[[], T], what: str, seconds: float = 20.0) -> T:
    """The condition's first true value; fails, saying what was waited for, after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}; last seen: {value!r}"
        time.sleep(STEP)
    return value
