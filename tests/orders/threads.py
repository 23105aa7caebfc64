"""Many threads that begin at the same instant."""

import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")

DEADLINE = 30.0  # seconds after which a thread that has not ended hangs


def at_once(works: Sequence[Callable[[], T]]) -> list[T | BaseException]:
    """Do all of it at the same time; each one's result, or what it raised."""
    results: list[T | BaseException | None] = [None] * len(works)
    barrier = threading.Barrier(len(works))

    def run(number: int) -> None:
        barrier.wait(DEADLINE)
        try:
            results[number] = works[number]()
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            results[number] = error

    threads = [threading.Thread(target=run, args=(n,), daemon=True) for n in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
        assert not thread.is_alive(), "a thread hangs"
    return results  # type: ignore[return-value]
