"""One order of the list, read a page at a time without reading the rest.

Some servers read everything in the range of a query, whatever its limit. So a shelf keeps fences in
memory: places at which it cuts the list into short stretches, and it only ever asks for one. Fences
change what a page costs and never what is on it; each process puts up its own by a survey.
"""

from bisect import bisect_right
from threading import Lock

from shared.mongo import Document, Documents

_STRETCH = 50  # documents between two new fences
_SURVEY = 20_000  # documents whose places one survey looks at
_MOST_CROSSED = 8  # fences that a page may cross before they are taken away
_MOST_FENCES = 5_000


class Shelf:
    """The tickets that have a place in one order of the list."""

    def __init__(self, documents: Documents, name: str, *, descending: bool = False) -> None:
        self._documents, self._name = documents, name
        self._field = f"listed.{name}"
        self._direction = -1 if descending else 1
        self._beyond, self._up_to = ("$lt", "$gte") if descending else ("$gt", "$lte")
        self._start = (1 << 63) - 1 if descending else -1
        self._fences: list[int] = []  # places times direction, so that they always rise
        self._lock = Lock()

    def place(self, document: Document) -> int:
        return document["listed"][self._name]

    def read(self, after: int | None, limit: int) -> list[Document]:
        """Up to `limit` documents that stand after a place, in order."""
        found: list[Document] = []
        crossed: list[int] = []
        at = self._start if after is None else after
        while True:
            fence = self._next_fence(at)
            found += self._find(self._range(at, fence), limit - len(found))
            if len(found) == limit or fence is None:
                break
            crossed.append(fence)
            at = fence
        self._learn(found, limit, crossed)
        return found

    def search(self, pattern: str, after: int | None, limit: int) -> list[Document]:
        """The same for documents whose text matches; reads the whole list if it must."""
        beyond = self._range(self._start if after is None else after, None)
        return self._find({**beyond, "search": {"$regex": pattern}}, limit)

    def _range(self, at: int, fence: int | None) -> Document:
        """Places beyond `at`, up to and including the fence."""
        bounds = {self._beyond: at} if fence is None else {self._beyond: at, self._up_to: fence}
        return {self._field: bounds}

    def _find(
        self, condition: Document, limit: int, fields: Document | None = None
    ) -> list[Document]:
        found = self._documents.find(condition, fields).sort(self._field, self._direction)
        return list(found.limit(limit))

    # --- fences -----------------------------------------------------------------------------------

    def _next_fence(self, at: int) -> int | None:
        """The nearest fence after a place; None in the last stretch."""
        with self._lock:
            while (fence := self._known_fence(at)) is None and self._survey():
                pass
        return fence

    def _known_fence(self, at: int) -> int | None:
        index = bisect_right(self._fences, at * self._direction)
        return self._fences[index] * self._direction if index < len(self._fences) else None

    def _survey(self) -> bool:
        """Put up fences after the last one; False when there is less than a stretch left."""
        last = self._fences[-1] * self._direction if self._fences else self._start
        keys = self._find(self._range(last, None), _SURVEY, {self._field: 1})
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
