"""Waiting a moment for what is on its way."""

import threading

import pytest

from shared import patience
from tests.waiting import wait_until


def test_what_is_there_is_not_waited_for() -> None:
    assert patience.wait_for(lambda: "here") == "here"


def test_what_comes_in_time_is_found() -> None:
    looks = iter([None, None, "here"])
    assert patience.wait_for(lambda: next(looks)) == "here"


def test_what_does_not_come_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "PATIENCE", 0.01)
    assert patience.wait_for(lambda: None) is None


def test_when_too_many_wait_the_next_one_is_answered_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(patience, "_seats", threading.BoundedSemaphore(1))
    waiting, end = threading.Event(), threading.Event()

    def look() -> str | None:
        waiting.set()
        return "here" if end.is_set() else None

    first = threading.Thread(target=patience.wait_for, args=(look,))
    first.start()
    assert waiting.wait(5)
    wait_until(lambda: patience._seats._value == 0, "the first one waits")
    looks: list[None] = []
    assert patience.wait_for(lambda: looks.append(None)) is None
    assert len(looks) == 1
    end.set()
    first.join()
    assert patience._seats._value == 1
