"""Units of tickets and the blocks that they come from: the arithmetic, without any storage."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Units:
    """How many units an order took from a block."""

    block: str
    units: int


@dataclass(frozen=True)
class Block:
    """Units of one ticket in one document: taking from it is one atomic write."""

    id: str
    capacity: int
    available: int


@dataclass(frozen=True)
class Move:
    """Units to add to a block's capacity, or with a minus to take out of what is free in it."""

    block: str
    units: int


def block_id(ticket_id: str, number: int) -> str:
    return f"{ticket_id}:{number}"


def ticket_of(block: str) -> str:
    return block.partition(":")[0]


def number_of(block: str) -> int:
    return int(block.partition(":")[2])


def block_ids(ticket_id: str, count: int) -> list[str]:
    return [block_id(ticket_id, number) for number in range(count)]


def blocks_needed(quantity: int, size: int) -> int:
    return -(-quantity // size)


def moves(blocks: Iterable[Block], quantity: int, size: int) -> list[Move]:
    """What brings the capacity of all blocks together to `quantity`, as far as units are free.

    Growth fills the first blocks; shrinking takes free units from the last ones. What is taken
    is never touched, so the sum stays above `quantity` only where nothing is free.
    """
    listed = list(blocks)
    missing = quantity - sum(block.capacity for block in listed)
    result: list[Move] = []
    for block in listed if missing > 0 else reversed(listed):
        units = _room(block, missing, size)
        if units:
            result.append(Move(block.id, units))
            missing -= units
    return result


def _room(block: Block, missing: int, size: int) -> int:
    if missing > 0:
        return min(max(size - block.capacity, 0), missing)
    return -min(block.available, -missing)


@dataclass(frozen=True)
class Availability:
    """What orders announces of a ticket: how much may be sold, and how much is free.

    `free` says it of each block, and `run` which run of the allotment had given them their
    capacity, if all of them were at rest then.
    """

    id: str
    version: int
    capacity: int
    available: int
    order_id: str | None = None
    free: tuple[int, ...] = ()
    run: int | None = None

    @property
    def said(self) -> tuple[int, int, str | None]:
        return self.capacity, self.available, self.order_id
