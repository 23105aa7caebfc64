"""Waiting a moment for what is on its way."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared import patience
from tests.waiting import wait_until


def test_what_is_there_is_not_waited_for() -> None:
    assert patience.wait_for("a", lambda: "here") == "here"


def test_what_comes_in_time_is_found() -> None:
    looks = iter([None, None, "here"])
    assert patience.wait_for("a", lambda: next(looks)) == "here"


def test_what_does_not_come_is_none_and_leaves_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "PATIENCE", 0.01)
    assert patience.wait_for("a", lambda: None) is None
    assert not patience._awaited


def test_any_number_waits_for_one_thing_but_few_things_are_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(patience, "PATIENCE", 20)
    monkeypatch.setattr(patience, "WAITING", 1)
    come = threading.Event()

    def look() -> str | None:
        return "here" if come.is_set() else None

    with ThreadPoolExecutor(10) as crowd:
        waiting = [crowd.submit(patience.wait_for, "new ticket", look) for _ in range(10)]
        wait_until(lambda: patience._awaited == Counter({"new ticket": 10}), "all ten wait")
        looks: list[None] = []
        assert patience.wait_for("something else", lambda: looks.append(None)) is None
        assert len(looks) == 1
        come.set()
        assert {answer.result(10) for answer in waiting} == {"here"}
