"""Units in blocks, on a real server: whatever happens at once, they add up."""

import random
from collections import Counter
from datetime import datetime, timedelta

import pytest

from apps.orders.blocks import Blocks, Wish
from apps.orders.units import Units, block_id, block_ids
from shared.mongo import TOGETHER
from tests.orders.threads import at_once
from tests.orders.watched import Call, Meanwhile, watched
from tests.orders.world import START, TICKET, World, user, wish


def units(*wishes: Wish) -> list[int]:
    """How many each of them got."""
    return [sum(part.units for part in wish.taken) for wish in wishes]


def test_take_and_release(world: World) -> None:
    world.sells(3)
    blocks, asked = world.service.blocks, wish("a", 2)
    blocks.take(TICKET, 1, [asked])
    assert asked.taken == [Units(block_id(TICKET, 0), 2)]
    assert (world.free(), world.taken()) == (1, Counter({(f"{TICKET}:0", "a"): 2}))
    blocks.release("a", asked.taken[0])
    assert (world.free(), world.taken()) == (3, Counter())


def test_a_second_release_does_nothing(world: World) -> None:
    world.sells(3)
    blocks, mine, others = world.service.blocks, wish("a", 2), wish("b", 1)
    blocks.take(TICKET, 1, [mine, others])
    for _ in range(2):
        blocks.release("a", mine.taken[0])
        assert world.free() == 2
    world.assert_blocks_add_up()


def test_a_release_of_other_units_than_were_taken_does_nothing(world: World) -> None:
    world.sells(3)
    world.service.blocks.take(TICKET, 1, [wish("a", 2)])
    world.service.blocks.release("a", Units(f"{TICKET}:0", 1))
    world.service.blocks.release("b", Units(f"{TICKET}:0", 2))
    assert world.free() == 1


def test_blocks_of_tickets_with_many_and_with_few_are_read_alike(small: World) -> None:
    small.sells(10)
    store = small.service.blocks
    for ticket, count in (("a" * 24, TOGETHER + 5), ("b" * 24, 2), ("c" * 24, 1)):
        for number in range(count):
            assert store.stamp(block_id(ticket, number), 1, {"open": number != 1})
    asked = {"a" * 24: TOGETHER + 3, "b" * 24: 2, "c" * 24: 4}
    found = {key: [block.id for block in blocks] for key, blocks in store.read_all(asked).items()}
    assert found == {key: block_ids(key, asked[key]) for key in asked} | {
        "c" * 24: block_ids("c" * 24, 1)
    }
    still_open = store.read_all(asked, only_open=True)
    assert [len(blocks) for blocks in still_open.values()] == [TOGETHER + 2, 1, 1]


def test_how_many_blocks_there_are(small: World) -> None:
    store = small.service.blocks
    for ticket, count in (("a" * 24, 0), ("b" * 24, 1), ("c" * 24, TOGETHER), ("d" * 24, 120)):
        for number in range(count):
            assert store.stamp(block_id(ticket, number), 1, {"open": True})
        assert store.existing(ticket) == count


def test_all_or_nothing(world: World) -> None:
    world.sells(3)
    asked = wish("a", 4)
    world.service.blocks.take(TICKET, 1, [asked])
    assert (asked.taken, asked.missing, world.free()) == ([], 4, 3)
    assert asked.returned


def test_units_of_several_blocks(small: World) -> None:
    small.sells(10)
    first, second = wish("a", 3), wish("b", 6)
    small.service.blocks.take(TICKET, 3, [first, second])
    assert first.taken == [Units(f"{TICKET}:0", 3)]
    assert second.taken == [
        Units(f"{TICKET}:0", 1),
        Units(f"{TICKET}:1", 4),
        Units(f"{TICKET}:2", 1),
    ]
    assert small.free() == 1


def test_what_was_taken_of_several_blocks_is_given_back(small: World) -> None:
    small.sells(10)
    small.service.blocks.take(TICKET, 3, [wish("a", 3)])
    asked = wish("b", 8)
    small.service.blocks.take(TICKET, 3, [asked])
    assert (asked.taken, small.free()) == ([], 7)
    small.assert_blocks_add_up()


def test_who_wants_too_much_takes_nothing_from_those_behind(world: World) -> None:
    """All in one round of the group commit: 3 are left, and somebody wants 5."""
    world.sells(3)
    wishes = [wish("a", 5), wish("b", 1), wish("c", 4), wish("d", 2), wish("e", 1)]
    world.service.blocks.take(TICKET, 1, wishes)
    assert units(*wishes) == [0, 1, 0, 2, 0]


def test_a_wish_in_parts_can_be_completed_from_the_block_that_it_began_with(small: World) -> None:
    """Block 0 gave some, block 1 nothing; then more comes back to block 0."""
    small.sells(8)
    holder = [wish("x", 2), wish("y", 2), wish("z", 4)]
    small.service.blocks.take(TICKET, 2, holder)
    small.service.blocks.release("x", holder[0].taken[0])

    def somebody_releases() -> None:
        Blocks(small.store, 4).release("y", holder[1].taken[0])

    release = Meanwhile(lambda call: _asks(call, f"{TICKET}:1"), somebody_releases)
    blocks = Blocks(watched(small.store, release), 4)
    wishes = [wish("a", 3), wish("b", 1)]
    blocks.take(TICKET, 2, wishes)
    assert release.happened
    assert units(*wishes) == [3, 1]


def _asks(call: Call, block: str) -> bool:
    return call.name == "update_one" and call.arguments[0]["_id"] == block


def test_looks_once_more_at_what_it_believes_to_be_full(world: World) -> None:
    world.sells(1)
    here, elsewhere = world.process().blocks, world.process().blocks
    first, refused, second = wish("a"), wish("b"), wish("c")
    here.take(TICKET, 1, [first])
    here.take(TICKET, 1, [refused])
    elsewhere.release("a", first.taken[0])
    here.take(TICKET, 1, [second])
    assert (refused.missing, second.missing) == (1, 0)


def test_a_full_block_is_not_written_to(world: World) -> None:
    world.sells(1)
    calls: list[Call] = []

    def remember(call: Call) -> object:
        calls.append(call)
        return call.do()

    blocks = Blocks(watched(world.store, remember), 100)
    blocks.take(TICKET, 1, [wish("a")])
    blocks.take(TICKET, 1, [wish("b")])
    calls.clear()
    blocks.take(TICKET, 1, [wish("c")])
    assert [call.name for call in calls] == ["find"]


def test_many_wishes_share_one_write(world: World) -> None:
    world.sells(60)
    calls: list[Call] = []

    def remember(call: Call) -> object:
        calls.append(call)
        return call.do()

    wishes = [wish(str(number), 1 + number % 2) for number in range(40)]
    Blocks(watched(world.store, remember), 100).take(TICKET, 1, wishes)
    assert [call.name for call in calls] == ["update_one"]
    assert units(*wishes) == [wish.units for wish in wishes]
    assert world.free() == 0


def test_a_closed_block_gives_nothing(world: World) -> None:
    world.sells(3)
    here = world.process().blocks
    here.take(TICKET, 1, [wish("a")])
    world.sells(3, withdrawn=True)
    asked = wish("b")
    here.take(TICKET, 1, [asked])
    assert asked.missing


def test_an_order_takes_from_a_block_once(world: World) -> None:
    """A write whose outcome is unknown may be repeated."""
    world.sells(3)
    blocks = world.service.blocks
    blocks.take(TICKET, 1, [wish("a", 1)])
    blocks.take(TICKET, 1, [wish("a", 1)])
    assert world.free() == 2


def test_a_release_that_falls_between_a_write_and_its_memory(world: World) -> None:
    """Other threads of the process release what this one has just taken from."""
    world.sells(5)
    blocks = world.service.blocks
    blocks.take(TICKET, 1, [wish("a", 5)])
    blocks.take(TICKET, 1, [wish("b", 1)])  # remembers that the block is full
    blocks.release("a", Units(f"{TICKET}:0", 5))
    remembered = _Forgetful(blocks._free)
    blocks._free = remembered
    asked = wish("c", 2)
    blocks.take(TICKET, 1, [asked])
    assert not asked.missing


class _Forgetful(dict[str, int]):
    """As if another thread removed each entry as soon as this one has seen it."""

    def __contains__(self, key: object) -> bool:
        return True

    def popitem(self, last: bool = True) -> tuple[str, int]:
        raise AssertionError(last)


def test_fifty_threads_and_one_unit(world: World) -> None:
    world.sells(1)
    processes = [world.process().blocks for _ in range(5)]
    wishes = [wish(f"order {number}") for number in range(50)]
    results = at_once(
        [
            lambda number=number: processes[number % 5].take(TICKET, 1, [wishes[number]])  # type: ignore[misc]
            for number in range(50)
        ]
    )
    assert results == [None] * 50
    assert sum(units(*wishes)) == 1
    winner = next(wish for wish in wishes if wish.taken)
    assert world.taken() == Counter({(f"{TICKET}:0", winner.order_id): 1})
    world.assert_blocks_add_up()


def test_threads_that_take_and_release_lose_no_unit(small: World) -> None:
    small.sells(14)
    processes = [small.process().blocks for _ in range(4)]
    kept: list[Wish] = []

    def buyer(number: int) -> None:
        choice = random.Random(number)
        blocks = processes[number % 4]
        for turn in range(6):
            asked = wish(f"{number}-{turn}", choice.randint(1, 5))
            blocks.take(TICKET, 4, [asked])
            if asked.taken and choice.random() < 0.7:
                for part in asked.taken:
                    blocks.release(asked.order_id, part)
            elif asked.taken:
                kept.append(asked)

    assert at_once([lambda n=n: buyer(n) for n in range(8)]) == [None] * 8  # type: ignore[misc]
    small.assert_blocks_add_up()
    assert small.taken() == Counter(
        {(part.block, asked.order_id): part.units for asked in kept for part in asked.taken}
    )
    assert small.capacity() == 14


MINUTE = timedelta(minutes=1)


def test_entries_are_looked_at_once_after_their_time(small: World) -> None:
    small.sells(8)
    early, late = wish("a", 2, START), wish("b", 3, START + MINUTE)
    small.service.blocks.take(TICKET, 2, [early, late])
    assert ended(small, START - MINUTE / 2) == []
    assert ended(small, START) == ["a"]
    assert ended(small, START + MINUTE / 2) == []
    assert ended(small, START + MINUTE) == ["b", "b"]
    assert ended(small, START + 9 * MINUTE) == []
    assert not any("look_at" in block for block in small.blocks())


def test_a_look_everywhere_finds_what_no_note_tells_of(small: World) -> None:
    small.sells(8)
    small.service.blocks.take(TICKET, 2, [wish("a", 2, START), wish("b", 6, START + MINUTE)])
    small.store["blocks"].update_many({}, {"$unset": {"look_at": ""}})
    assert ended(small, START) == []
    assert ended(small, START, everywhere=True) == ["a"]
    assert ended(small, START + MINUTE) == ["b", "b"]  # whose time is noted again


def test_an_entry_is_found_after_later_ones_were_taken_and_given_back(small: World) -> None:
    small.sells(4)
    early = small.reserves()
    small.passes(5 * MINUTE)
    later, last = small.reserves(), small.reserves()
    small.service.cancel(user(), last.id)
    small.service.sweep_unreleased()
    assert ended(small, early.expires_at) == [early.id]
    assert ended(small, later.expires_at) == [later.id]


@pytest.mark.parametrize("until", [START - MINUTE, START + MINUTE])
def test_what_is_taken_during_a_look_is_looked_at_later(small: World, until: datetime) -> None:
    """Also what a process took that had slept since long before."""
    small.sells(8)
    blocks = small.service.blocks
    blocks.take(TICKET, 1, [wish("a", 1, START)])
    for found in blocks.ended(START):
        blocks.take(TICKET, 1, [wish("b", 1, until)])
        blocks.looked_at(found)
    assert ended(small, START + MINUTE) == ["a", "b"]


def ended(world: World, latest: datetime, *, everywhere: bool = False) -> list[str]:
    """The orders of entries that are looked at now, as they have ended by then."""
    blocks, seen = world.service.blocks, list[str]()
    for found in blocks.ended(latest, everywhere=everywhere):
        seen += [entry["order_id"] for entry in found.entries]
        blocks.looked_at(found)
    return seen
