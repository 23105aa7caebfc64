"""Ports that no two stacks and no two test processes take at the same time.

A port that is merely free may be chosen by two stacks that start at the same moment, before
either listens on it. So ports are taken in blocks, and whoever holds the first port of a block
has all of it. The system gives it back when the process ends, however that happens.
"""

import itertools
import random
import socket
from collections.abc import Iterator
from functools import cache

SIZE = 50  # more ports than a stack has parts

# Below the range that systems take the ports of outgoing connections from, so that no
# connection of a part sits on the port of another that is just being restarted.
FIRSTS = range(20000, 32000, SIZE)


class NoPortsError(Exception):
    """Every block is taken."""


def take_block(wanted: int = 0) -> range:
    """Ports for this process and those that it starts, until it ends.

    The block that begins at `wanted`, if it can be had. Raises NoPortsError.
    """
    others = random.sample(FIRSTS, len(FIRSTS))
    for first in [wanted, *others] if wanted in FIRSTS else others:
        if _take(first):
            return range(first + 1, first + SIZE)
    raise NoPortsError(f"no {SIZE} ports in a row are free from {FIRSTS.start} to {FIRSTS.stop}")


def _take(first: int) -> bool:
    holder = socket.socket()
    try:
        holder.bind(("127.0.0.1", first))
    except OSError:
        holder.close()
        return False
    if not all(is_free(port) for port in range(first + 1, first + SIZE)):
        holder.close()
        return False
    holder.detach()  # stays open until this process ends
    return True


def first_of_block(port: int) -> int:
    """Where the block of a port begins."""
    return port - port % SIZE


def free_port() -> int:
    """Another free port of a block that this process keeps for itself. Raises NoPortsError."""
    for _ in range(SIZE):
        port = next(_own())
        if is_free(port):
            return port
    raise NoPortsError("every port of this process is in use")


@cache
def _own() -> Iterator[int]:
    return itertools.cycle(take_block())


def is_free(port: int) -> bool:
    """Whether nothing listens on the port of 127.0.0.1; some servers share ports silently."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
