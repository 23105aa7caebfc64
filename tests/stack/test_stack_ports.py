"""No two stacks and no two test processes may take one port, not even before they listen on it."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from dev.stack import start
from dev.stack.parts import port_names
from dev.stack.ports import FIRSTS, SIZE, first_of_block, free_port, is_free, take_block
from dev.stack.settings import ROOT

TAKER = "import sys; from dev.stack.ports import take_block; print(take_block(int(sys.argv[1]))[0])"
TAKER += "; sys.stdout.flush(); sys.stdin.read()"


@contextmanager
def another_process(wanted: int = 0) -> Iterator[int]:
    """A process that holds a block of ports and listens on none; yields the first of them."""
    command = (sys.executable, "-c", TAKER, str(wanted))
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        yield int(process.stdout.readline())
        process.kill()


@contextmanager
def listening(port: int) -> Iterator[None]:
    """Somebody else's server, also where connections of an earlier one have just been closed."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen()
        yield


def test_a_block_belongs_to_one_process_until_it_ends():
    with another_process() as first:
        taken = first_of_block(first)
        assert is_free(first)  # nobody listens yet, and still it is not to be had
        assert taken != first_of_block(take_block(taken)[0])
        with another_process(taken) as other:
            assert first_of_block(other) != taken
    assert take_block(taken) == range(taken + 1, taken + SIZE)


def test_a_block_with_a_port_in_use_is_left_alone():
    block = take_block()
    with another_process() as first, listening(first + 7):
        assert not is_free(first + 7)
        wanted = first_of_block(first)
    with listening(first + 7):
        assert first_of_block(take_block(wanted)[0]) not in (wanted, first_of_block(block[0]))
    assert first_of_block(take_block(wanted)[0]) == wanted  # and it was given back


def test_free_ports_differ_and_none_is_in_use():
    """Servers of other tests may listen on some of this process's ports."""
    few = [free_port() for _ in range(10)]
    assert len(set(few)) == 10
    with listening(few[0]):
        assert few[0] not in {free_port() for _ in range(SIZE)}


def test_a_stack_keeps_its_ports_and_leaves_the_gateways_alone():
    with another_process() as first:
        free = first_of_block(first)
    settings = SimpleNamespace(port=free + 2)
    last = {"ports": {"a": free + 5, "b": free + 3}}
    ports = start._ports(settings, last)  # type: ignore[arg-type]
    assert list(ports) == port_names()
    assert set(ports.values()) <= set(range(free + 1, free + SIZE)) - {free + 2}
    assert len(set(ports.values())) == len(port_names())


def test_ports_of_an_older_release_are_given_up():
    with another_process() as first:
        outside = first % 1_000  # no port of ours
    assert take_block(outside)[0] - 1 in FIRSTS


@pytest.mark.parametrize("first", [FIRSTS[0], FIRSTS[-1]])
def test_no_block_reaches_into_the_ports_of_outgoing_connections(first: int):
    assert 1024 < first < first + SIZE <= 32768
