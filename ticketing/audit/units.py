"""Promise 2, no unit is sold twice: blocks, and the orders that hold their units."""

from collections import Counter
from collections.abc import Iterator

from ticketing.audit.facts import LIVE, Block, Bounds, Facts, Order, Violation


def check_blocks(facts: Facts, bounds: Bounds) -> Iterator[Violation]:
    """What is taken and what is free make up a block's capacity."""
    del bounds
    for blocks in facts.blocks.values():
        for block in blocks:
            if block.available < 0 or block.units + block.available != block.capacity:
                found = f"{block.units} taken, {block.available} available"
                yield _of_block(block, "blocks", f"a sum of {block.capacity}", found)
            doubled = [
                order for order, n in Counter(e.order_id for e in block.taken).items() if n > 1
            ]
            if doubled:
                yield _of_block(block, "blocks", "each order once", f"twice {', '.join(doubled)}")


def _of_block(block: Block, check: str, expected: str, found: str) -> Violation:
    return Violation(check, f"block {block.id}", expected, found, frozenset({block.ticket_id}))


def check_held(facts: Facts, bounds: Bounds) -> Iterator[Violation]:
    """Every order that is reserved or paid holds exactly its units."""
    del bounds
    taken = _taken(facts)
    for order in facts.orders.values():
        if order.terms.status not in LIVE:
            continue
        held = {block: taken.get((block, order.id), 0) for block, _ in order.blocks}
        if held != dict(order.blocks) or sum(held.values()) != order.terms.quantity:
            expected = f"{order.terms.quantity} units in {_listed(dict(order.blocks))}"
            yield _of_order(order, "held", expected, _listed(held))


def _taken(facts: Facts) -> Counter[tuple[str, str]]:
    taken: Counter[tuple[str, str]] = Counter()
    for blocks in facts.blocks.values():
        for block in blocks:
            for entry in block.taken:
                taken[block.id, entry.order_id] += entry.units
    return taken


def _listed(parts: dict[str, int]) -> str:
    return ", ".join(f"{block}: {units}" for block, units in parts.items()) or "no block"


def _of_order(order: Order, check: str, expected: str, found: str) -> Violation:
    ids = frozenset({order.id, order.ticket_id})
    return Violation(check, f"order {order.id} ({order.terms.status})", expected, found, ids)


def check_taken(facts: Facts, bounds: Bounds) -> Iterator[Violation]:
    """Every unit that is taken is taken by an order that is reserved or paid."""
    for blocks in facts.blocks.values():
        for block in blocks:
            for entry in block.taken:
                ids = frozenset({entry.order_id, block.ticket_id})
                about = f"block {block.id}, taken by {entry.order_id}"
                order = facts.orders.get(entry.order_id)
                if order is None and entry.until + bounds.orphan < facts.read_at:
                    found = f"no such order, {entry.units} held until {entry.until}"
                    yield Violation("taken", about, "an order, or release", found, ids)
                elif order and not _may_hold(order, block.id):
                    found = f"{entry.units} held by an order that is {order.terms.status}"
                    yield Violation("taken", about, "released", found, ids)


def _may_hold(order: Order, block: str) -> bool:
    # One whose release is under way is the business of another check.
    if order.release_pending:
        return True
    return order.terms.status in LIVE and block in dict(order.blocks)


def check_capacity(facts: Facts, bounds: Bounds) -> Iterator[Violation]:
    """As many units may be sold as the seller wants; more only where all of them are taken."""
    del bounds
    for ticket, wanted in facts.followed.items():
        blocks = facts.blocks.get(ticket, [])
        capacity = sum(block.capacity for block in blocks)
        free = sum(block.available for block in blocks)
        if capacity < wanted.quantity or (capacity > wanted.quantity and free):
            found = f"capacity {capacity}, {free} of it free"
            yield _of_ticket(ticket, f"capacity {wanted.quantity}", found)
        state = (not wanted.withdrawn, (wanted.epoch, wanted.version))
        if any((block.open, block.stamp) != state for block in blocks):
            expected = f"blocks {'closed' if wanted.withdrawn else 'open'}, of version {state[1]}"
            states = {(block.open, block.stamp) for block in blocks}
            yield _of_ticket(ticket, expected, f"open and version {states}")


def _of_ticket(ticket: str, expected: str, found: str) -> Violation:
    return Violation("capacity", f"ticket {ticket}", expected, found, frozenset({ticket}))
