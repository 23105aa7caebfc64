"""Work that nobody waits for. A process that is told to end leaves it, and so do crashes:
what was not done is found again by its time in the database."""

from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread

THREADS = 8

Errand = tuple[Callable[[str], None], str, "Future[None]"]


class Errands:
    """Daemon threads, as many as are needed; a pool of the standard library would be waited for."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[Errand] = SimpleQueue()
        self._threads: list[Thread] = []

    def submit(self, work: Callable[[str], None], key: str) -> "Future[None]":
        errand: Future[None] = Future()
        self._queue.put((work, key, errand))
        if len(self._threads) < THREADS:
            thread = Thread(target=self._run, name="errands", daemon=True)
            self._threads.append(thread)
            thread.start()
        return errand

    def _run(self) -> None:
        while True:
            work, key, errand = self._queue.get()
            try:
                work(key)
            except Exception as error:  # noqa: BLE001 - whoever asked for it is told
                errand.set_exception(error)
            else:
                errand.set_result(None)
