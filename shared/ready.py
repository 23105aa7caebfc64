"""What takes time to make and is the same for many is kept for a moment."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")

MOST = 200  # things that are kept; a page of the list takes about 20 KB


class _Made(Generic[T]):
    def __init__(self, what: T, until: float, dies: float) -> None:
        self.what, self.until, self.dies = what, until, dies


class Ready(Generic[T]):
    """Things that were made lately, by key.

    `lifetime` is in seconds from the beginning of the making. When it is over, one caller makes
    the thing anew, and the others get the old one for as long again at the most.
    """

    def __init__(
        self, lifetime: float, most: int = MOST, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._lifetime, self._most, self._now = lifetime, most, now
        self._made: OrderedDict[Hashable, _Made[T]] = OrderedDict()
        self._lock = threading.Lock()
        self._changes = 0

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """What was made lately, else what is made now."""
        found = self.find(key)
        if found is not None:
            return found
        begun = self.begin()
        made = make()
        self.keep(key, made, begun)
        return made

    def find(self, key: Hashable) -> T | None:
        """What was made lately; None sends one caller to make it anew, others still get it."""
        found, now = self._made.get(key), self._now()
        if found is None or now >= found.dies:
            return None
        if now < found.until:  # without the lock, for which a rush would queue
            return found.what
        with self._lock:
            is_first, found.until = now >= found.until, found.dies
        return None if is_first else found.what

    def peek(self, key: Hashable) -> T | None:
        """What was made lately, for whoever would not make it anew."""
        found = self._made.get(key)
        return found.what if found and self._now() < found.until else None

    def begin(self) -> tuple[int, float]:
        """To be called before something is read that is to be kept."""
        return self._changes, self._now()

    def keep(self, key: Hashable, what: T, begun: tuple[int, float]) -> None:
        changes, since = begun
        with self._lock:
            if changes != self._changes:  # what was read may be from before the change
                return
            self._made[key] = _Made(what, since + self._lifetime, since + 2 * self._lifetime)
            self._made.move_to_end(key)
            if len(self._made) > self._most:
                self._made.popitem(last=False)

    def forget(self) -> None:
        """Something was changed: nothing that was read before is given out any more."""
        with self._lock:
            self._changes += 1
            self._made.clear()
