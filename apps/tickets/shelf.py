"""One order of the list, read a page at a time without reading the rest.

Some servers read everything in the range of a query, whatever its limit. So a shelf keeps fences in
memory: places at which it cuts the list into short stretches, and it only ever asks for one. Fences
change what a page costs and never what is on it; each process puts up its own by a survey.
"""

from bisect import bisect_right
from dataclasses import dataclass
from threading import Lock

from apps.tickets.models import Span
from shared.mongo import Document, Documents

_STRETCH = 50  # documents between two new fences
_SURVEY = 20_000  # documents whose places one survey looks at
_MOST_CROSSED = 8  # fences that a page may cross before they are taken away
_MOST_FENCES = 5_000
_MOST_STRETCHES = 200  # that a page with a filter looks through before it asks to be asked again

_EVERYTHING = Span()


@dataclass(frozen=True)
class Reading:
    """What was found, and the place where reading stopped early, if it did."""

    found: list[Document]
    stopped_at: int | None = None


class Shelf:
    """The tickets that have a place in one order of the list."""

    def __init__(self, documents: Documents, name: str, *, descending: bool = False) -> None:
        self._documents, self._name = documents, name
        self._field = f"listed.{name}"
        self._direction = -1 if descending else 1
        self._beyond, self._up_to = ("$lt", "$gte") if descending else ("$gt", "$lte")
        self._fences: list[int] = []  # places times direction, so that they always rise
        self._lock = Lock()

    def place(self, document: Document) -> int:
        return document["listed"][self._name]

    def read(
        self, after: int | None, limit: int, span: Span = _EVERYTHING, also: Document | None = None
    ) -> Reading:
        """Up to `limit` documents of a span that stand after a place, in order."""
        found: list[Document] = []
        crossed: list[int] = []
        at, end = self._ends(after, span)
        while True:
            fence = self._fence(at, end, 1)
            found += self._find({**self._range(at, fence), **(also or {})}, limit - len(found))
            if len(found) == limit or fence == end:
                break
            crossed.append(fence)
            at = fence
        self._learn(found, limit, crossed)
        return Reading(found)

    def sift(self, after: int | None, limit: int, span: Span, condition: Document) -> Reading:
        """The same for a condition that few documents may meet: in growing steps, with a bound."""
        found: list[Document] = []
        at, end = self._ends(after, span)
        step = seen = 1
        while len(found) < limit and at != end:
            if seen > _MOST_STRETCHES:
                return Reading(found, at)
            fence = self._fence(at, end, step)
            found += self._find({**self._range(at, fence), **condition}, limit - len(found))
            at, seen, step = fence, seen + step, min(step * 2, 32)
        return Reading(found)

    def _ends(self, after: int | None, span: Span) -> tuple[int, int]:
        """The place to read on from, and the last one that may be read, in this direction."""
        if self._direction > 0:
            return max(span.low - 1, span.low - 1 if after is None else after), span.high - 1
        return min(span.high, span.high if after is None else after), span.low

    def _range(self, at: int, fence: int) -> Document:
        """Places beyond `at`, up to and including the fence."""
        return {self._field: {self._beyond: at, self._up_to: fence}}

    def _find(
        self, condition: Document, limit: int, fields: Document | None = None
    ) -> list[Document]:
        found = self._documents.find(condition, fields).sort(self._field, self._direction)
        return list(found.limit(limit))

    # --- fences -----------------------------------------------------------------------------------

    def _fence(self, at: int, end: int, step: int) -> int:
        """The fence so many stretches after a place, but none beyond the end."""
        with self._lock:
            while (fence := self._known_fence(at, step)) is None and self._survey():
                pass
        if fence is None or fence * self._direction > end * self._direction:
            return end
        return fence

    def _known_fence(self, at: int, step: int) -> int | None:
        index = bisect_right(self._fences, at * self._direction) + step - 1
        return self._fences[index] * self._direction if index < len(self._fences) else None

    def _survey(self) -> bool:
        """Put up fences after the last one; False when there is less than a stretch left."""
        start, end = self._ends(None, _EVERYTHING)
        last = self._fences[-1] * self._direction if self._fences else start
        keys = self._find(self._range(last, end), _SURVEY, {self._field: 1})
        self._fences += [
            self.place(key) * self._direction for key in keys[_STRETCH - 1 :: _STRETCH]
        ]
        return len(keys) >= _STRETCH

    def _learn(self, found: list[Document], limit: int, crossed: list[int]) -> None:
        """Keep fences about a page apart, as documents come and go between them."""
        with self._lock:
            fences = set(self._fences)
            if len(crossed) > _MOST_CROSSED:
                fences.difference_update(fence * self._direction for fence in crossed)
            elif not crossed and len(found) == limit:
                fences.add(self.place(found[-1]) * self._direction)
            self._fences = sorted(fences)
            if len(fences) > _MOST_FENCES:
                self._fences = self._fences[::2]
