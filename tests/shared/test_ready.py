"""Things that are kept for a moment, and never for as long as a mark lasts."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from shared.ready import MOST, Ready
from shared.web.ready import LIFETIME, MARKED


@dataclass
class Watch:
    at: float = 100.0

    def __call__(self) -> float:
        return self.at


@dataclass
class Kitchen:
    """Makes numbered things, and notes how many."""

    made: int = 0
    meanwhile: list[Callable[[], None]] = field(default_factory=list[Callable[[], None]])

    def __call__(self) -> int:
        self.made += 1
        number = self.made
        for act in self.meanwhile:
            act()
        return number


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def ready(watch: Watch) -> Ready[int]:
    return Ready(LIFETIME, now=watch)


def test_a_thing_is_kept_for_its_lifetime(ready: Ready[int], watch: Watch) -> None:
    kitchen = Kitchen()
    assert ready.get("soup", kitchen) == 1
    watch.at += LIFETIME * 0.99
    assert ready.get("soup", kitchen) == 1
    watch.at += LIFETIME * 0.02
    assert ready.get("soup", kitchen) == 2


def test_one_makes_it_anew_while_the_others_get_the_old_one(
    ready: Ready[int], watch: Watch
) -> None:
    kitchen = Kitchen()
    ready.get("soup", kitchen)
    watch.at += LIFETIME
    assert ready.find("soup") is None  # this one goes to make it
    assert ready.find("soup") == 1
    watch.at += LIFETIME
    assert ready.find("soup") is None


def test_nobody_is_given_anything_as_old_as_a_mark(ready: Ready[int], watch: Watch) -> None:
    """However long the making takes, and whoever fails at it."""
    kitchen = Kitchen()
    kitchen.meanwhile.append(lambda: setattr(watch, "at", watch.at + 1.5))
    begun = watch.at
    ready.get("soup", kitchen)
    while ready.find("soup") is not None or ready.find("soup") is not None:
        assert watch.at - begun < MARKED
        watch.at += 0.1


def test_what_was_read_before_a_change_is_not_kept(ready: Ready[int]) -> None:
    kitchen = Kitchen()
    kitchen.meanwhile.append(ready.forget)
    assert ready.get("soup", kitchen) == 1
    kitchen.meanwhile.clear()
    assert ready.get("soup", kitchen) == 2
    assert ready.get("soup", kitchen) == 2


def test_what_nobody_asks_for_makes_room(ready: Ready[int]) -> None:
    kitchen = Kitchen()
    for number in range(MOST + 1):
        ready.get(number, kitchen)
    assert ready.find(0) is None
    assert ready.find(MOST) is not None
