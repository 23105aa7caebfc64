"""Attacks on the gateway: around it, through it to what is inside, and two requests in one."""

import contextlib
import json
import re
import socket

import pytest

from dev.stack import Stack
from tests.system.world import Person, World
from tests.waiting import wait_until

INSIDE = ("# HELP", "# TYPE", '"checks"', '"mongo"', '"revocations"')


def raw(stack: Stack, *pieces: str | bytes) -> str:
    """Send bytes as they are, and read until the gateway has nothing more to say."""
    sent = b"".join(piece if isinstance(piece, bytes) else piece.encode() for piece in pieces)
    with socket.create_connection(("127.0.0.1", stack.port), 5) as connection:
        connection.settimeout(1.0)
        got = b""
        with contextlib.suppress(TimeoutError, ConnectionError):
            connection.sendall(sent)
            while part := connection.recv(65_536):
                got += part
    return got.decode("latin-1")


def statuses(text: str) -> list[int]:
    return [int(status) for status in re.findall(r"HTTP/1\.[01] (\d{3})", text)]


def asks(stack: Stack, target: str, host: str = "", extra: str = "") -> str:
    name = host or f"127.0.0.1:{stack.port}"
    return raw(stack, f"GET {target} HTTP/1.1\r\nHost: {name}\r\n{extra}Connection: close\r\n\r\n")


WAYS_IN = (
    "/metrics", "/readyz", "/healthz", "//metrics", "///readyz", "/./metrics", "/.//readyz",
    "/tickets/../metrics", "/tickets/..;/readyz", "/tickets;/../readyz", "/tickets/%2e%2e/metrics",
    "/tickets/%2e%2e%2fmetrics", "/tickets/..%2freadyz", "/tickets/%252e%252e/readyz",
    "/tickets/..%5creadyz", "/tickets\\..\\readyz", "/%6detrics", "/%2fmetrics", "/metrics%00",
    "/tickets/%00/../../readyz", "/METRICS", "/metrics/", "/metrics;", "/metrics?x",
    "/readyz#/tickets",
    "/api/tickets/../../metrics", "/api//../metrics", "/tickets/x/../../../readyz", "/.%2e/metrics",
    "http://127.0.0.1/metrics", "http://{auth}/readyz", "//{auth}/metrics", "@{auth}/metrics",
    "/dashboard/", "/api/rawdata", "/api/overview", "/ping", "/debug/pprof/", "/debug/vars",
    "/_internal/", "/.env", "/.git/config", "/server-status", "/console",
)  # fmt: skip


@pytest.mark.parametrize("way", WAYS_IN)
def test_an_attacker_wants_to_see_what_is_inside(stack: Stack, way: str):
    target = way.format(auth=f"127.0.0.1:{stack.ports['auth-web-ops']}")
    text = asks(stack, target)
    assert not [mark for mark in INSIDE if mark in text]
    assert statuses(text)[0] in (301, 307, 308, 400, 404)
    assert "\r\nlocation: http" not in text.lower()


HOSTS = ("{ops}", "{db}", "localhost", "169.254.169.254", "auth-web:9000", "", "a b", "x" * 300)


@pytest.mark.parametrize("host", HOSTS)
def test_an_attacker_wants_the_gateway_to_ask_another_host(stack: Stack, host: str):
    inside = {"ops": stack.ports["auth-web-ops"], "db": stack.ports["auth-db"]}
    name = host.format(**{key: f"127.0.0.1:{port}" for key, port in inside.items()})
    text = asks(stack, "/readyz", name or "127.0.0.1")
    assert not [mark for mark in INSIDE if mark in text]
    assert statuses(text)[0] in (400, 404)


ACROSS = (
    "/tickets/../api/users/sessions", "/tickets/%2e%2e/api/orders", "/api/tickets/../orders",
    "/api/tickets/..%2forders", "/api/tickets/;/../orders", "//api/orders", "/api//orders",
    "/api/orders;x", "/api/orders/", "/API/orders", "/api/%6frders",
)  # fmt: skip


@pytest.mark.parametrize("path", ACROSS)
def test_an_attacker_wants_a_path_to_go_around_the_door(
    stack: Stack, victim: Person, paid: dict[str, str], path: str
):
    """However it is written: without a session nothing is told, and with one only one's own."""
    assert paid["id"] not in asks(stack, path)
    assert statuses(asks(stack, path))[0] in (303, 307, 308, 400, 401, 404)
    with_session = asks(stack, path, extra=f"Cookie: session={victim.cookies['session']}\r\n")
    assert statuses(with_session)[0] < 500


SMUGGLED = "GET /api/users/currentuser HTTP/1.1\r\nHost: x\r\n\r\n"
HEAD = "POST /api/orders HTTP/1.1\r\nHost: x\r\n"
TWO_IN_ONE: dict[str, tuple[str | bytes, ...]] = {
    "length_and_chunks": (
        HEAD, f"Content-Length: {len(SMUGGLED) + 5}\r\n",
        "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", SMUGGLED,
    ),
    "chunks_by_another_name": (
        HEAD, "Content-Length: 4\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", SMUGGLED,
    ),
    "chunks_after_a_tab": (
        HEAD, "Content-Length: 5\r\nTransfer-Encoding:\tchunked\r\n\r\n0\r\n\r\n", SMUGGLED,
    ),
    "chunks_before_a_colon": (
        HEAD, "Content-Length: 5\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", SMUGGLED,
    ),
    "chunks_twice": (
        HEAD, "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
        SMUGGLED,
    ),
    "two_lengths": (HEAD, "Content-Length: 0\r\nContent-Length: 60\r\n\r\n", SMUGGLED),
    "a_length_with_a_sign": (HEAD, "Content-Length: +0\r\n\r\n", SMUGGLED),
    "a_length_in_hex": (HEAD, "Content-Length: 0x0\r\n\r\n", SMUGGLED),
    "a_folded_header": (HEAD, "X: a\r\n Content-Length: 60\r\n\r\n", SMUGGLED),
    "a_bare_line_feed": (HEAD, "X: a\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", SMUGGLED),
    "a_bad_chunk": (HEAD, "Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n", SMUGGLED),
    "a_huge_chunk": (HEAD, "Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n\r\n", SMUGGLED),
    "a_nul_in_a_name": (HEAD, b"X\x00: a\r\nContent-Length: 0\r\n\r\n", SMUGGLED),
    "an_old_version": ("POST /api/orders HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                       SMUGGLED),
}  # fmt: skip


@pytest.mark.parametrize("want", TWO_IN_ONE)
def test_an_attacker_wants_two_requests_to_pass_as_one(stack: Stack, want: str):
    """Either it is refused, or what follows is answered as a request of its own, in the open."""
    text = raw(stack, *TWO_IN_ONE[want])
    first, *others = statuses(text) or [400]
    # The gateway says 500 of a chunk that it can't read, and closes the connection.
    assert first in (400, 401, 411, 500, 501, 505)
    assert others in ([], [200], [400])
    # An own request of somebody who is not signed in tells nothing of anybody.
    assert "email" not in text


def test_an_attacker_wants_the_answer_of_the_next_visitor(stack: Stack, victim: Person):
    for pieces in TWO_IN_ONE.values():
        raw(stack, *pieces)
        told = victim.get("/api/users/currentuser").expect(200).json
        assert told["currentUser"]["id"] == victim.id


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "TRACK", "X" * 100])
def test_an_attacker_wants_a_method_that_nobody_meant(stack: Stack, method: str):
    text = raw(stack, f"{method} /api/tickets HTTP/1.1\r\nHost: x\r\nX-Mark: 1\r\n\r\n")
    assert statuses(text)[0] in (400, 404, 405, 501)
    assert "X-Mark" not in text


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("path", ["/api/orders", "/account/signin", "/tickets", "/payments"])
def test_an_attacker_wants_to_fill_the_memory(stack: Stack, path: str, chunked: bool):
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    if chunked:
        body = ["Transfer-Encoding: chunked\r\n\r\n", *["4000\r\n" + "x" * 16_384 + "\r\n"] * 12]
        text = raw(stack, head, *body, "0\r\n\r\n")
    else:
        text = raw(stack, head, "Content-Length: 200000\r\n\r\n", "x" * 200_000)
    assert statuses(text)[0] == 413


@pytest.mark.parametrize("size", [70_000, 2_000_000])
def test_an_attacker_wants_to_fill_the_memory_by_headers(stack: Stack, size: int):
    text = asks(stack, "/", extra=f"X-Long: {'x' * size}\r\n")
    assert not statuses(text) or statuses(text)[0] in (400, 431)


def test_an_attacker_wants_an_endless_address(stack: Stack):
    assert statuses(asks(stack, "/tickets?q=" + "x" * 100_000))[0] in (400, 414, 431)


def test_an_attacker_wants_to_be_counted_as_somebody_else(world: World, admin: Person):
    """Limits and the audit log know an address from the gateway, not from who asks."""
    lies = ("X-Forwarded-For", "X_Forwarded_For", "X-Real-Ip", "X-Client-Ip", "True-Client-Ip")
    headers = {**dict.fromkeys(lies, "6.6.6.6"), "Forwarded": "for=6.6.6.6"}
    body = json.dumps({"email": admin.email, "password": "not the password"})
    world.visitor().send("POST", "/api/users/signin", body, headers).expect(400)

    def noted() -> list[dict[str, str]]:
        lines = admin.get("/account/admin/log.jsonl").expect(200).text.splitlines()
        return [entry for line in lines if (entry := json.loads(line)) and admin.id in line]

    entries = wait_until(noted, "the entry in the audit log")
    assert "6.6.6.6" not in json.dumps(entries)
    assert "127.0.0.1" in json.dumps(entries)


def test_an_attacker_wants_to_know_what_the_servers_are(stack: Stack):
    for path in ("/", "/api/tickets", "/nothing", "/live", "/account"):
        text = asks(stack, path).lower()
        assert "\r\nserver:" not in text
        assert "\r\nx-powered-by:" not in text
