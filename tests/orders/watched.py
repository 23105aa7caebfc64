"""A database whose every call a test may see: to break it, or to let something happen before it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pymongo.errors import AutoReconnect

from shared.mongo import Store

WRITES = {"insert_one", "insert_many", "update_one"}


@dataclass(frozen=True)
class Call:
    collection: str
    name: str
    arguments: tuple[Any, ...]
    do: Callable[[], Any]

    @property
    def writes(self) -> bool:
        return self.name in WRITES


Watcher = Callable[[Call], Any]


def watched(store: Store, watcher: Watcher) -> Any:
    """The store, with every call of a collection's method handed to the watcher."""
    return _Store(store, watcher)


@dataclass
class _Store:
    store: Store
    watcher: Watcher

    def __getitem__(self, name: str) -> "_Collection":
        return _Collection(self.store[name], self.watcher)


@dataclass
class _Collection:
    collection: Any
    watcher: Watcher

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self.collection, name)

        def call(*arguments: Any, **options: Any) -> Any:
            def do() -> Any:
                return method(*arguments, **options)

            return self.watcher(Call(self.collection.name, name, arguments, do))

        return call


@dataclass
class Crash:
    """The connection breaks at the write of that number, before its effect or after it."""

    number: int
    after: bool = False
    seen: int = -1

    def __call__(self, call: Call) -> Any:
        if not call.writes:
            return call.do()
        self.seen += 1
        if self.seen != self.number:
            return call.do()
        if self.after:
            call.do()
        raise AutoReconnect(f"{call.collection}.{call.name}")

    @property
    def happened(self) -> bool:
        return self.seen >= self.number


@dataclass
class Meanwhile:
    """Before the first call that is meant, once, something else happens."""

    meant: Callable[[Call], bool]
    happens: Callable[[], object]
    happened: bool = False

    def __call__(self, call: Call) -> Any:
        if not self.happened and self.meant(call):
            self.happened = True
            self.happens()
        return call.do()
