"""Who is asking: keys that survive auth being away, tokens that expire, sessions that ended."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm

from shared import identity as identity_module
from shared import revocations as revocations_module
from shared.bus import Bus
from shared.errors import Unavailable
from shared.events import SessionData, SessionRevoked
from shared.identity import AUDIENCE, ISSUER, Identity, RemoteKeys
from shared.people import User
from shared.revocations import Revocations
from tests.identity import identity, sign
from tests.shared.conftest import MakeBus
from tests.shared.nats_server import NatsServer
from tests.waiting import wait_until


@dataclass
class Auth:
    """Publishes keys, unless it is away or answers nonsense."""

    kid: str = "first"
    private: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    asked: int = 0
    nonsense: bytes | None = None
    server: ThreadingHTTPServer | None = None
    port: int = 0

    def start(self) -> "Auth":
        auth = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                auth.asked += 1
                body = auth.answer()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[: -1 if auth.nonsense == b"cut off" else None])

            def log_message(self, *_: object) -> None:
                """Requests are counted, not printed."""

        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def stop(self) -> None:
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    def answer(self) -> bytes:
        if self.nonsense is not None:
            return self.nonsense
        public = OKPAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
        return json.dumps({"keys": [{**public, "kid": self.kid, "alg": "EdDSA"}]}).encode()

    def token(self, kid: str | None = None, key: Any = None, **changes: Any) -> str:
        now = datetime.now(UTC)
        claims = {
            "sub": "u1",
            "email": "ada@example.com",
            "sid": "s1",
            "iat": now,
            "exp": now + timedelta(hours=1),
            "iss": ISSUER,
            "aud": AUDIENCE,
            **changes,
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        headers = {"kid": kid or self.kid}
        return jwt.encode(claims, key or self.private, algorithm="EdDSA", headers=headers)


@pytest.fixture
def auth() -> Iterator[Auth]:
    auth = Auth().start()
    yield auth
    auth.stop()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Seconds of the monotonic clock that RemoteKeys goes by."""
    clock = SimpleNamespace(now=1_000.0)
    fake = SimpleNamespace(monotonic=lambda: clock.now)
    monkeypatch.setattr(identity_module, "time", fake)
    return clock


@pytest.fixture
def make_keys(auth: Auth, tmp_path: Path) -> Callable[[], RemoteKeys]:
    url = f"http://127.0.0.1:{auth.port}/api/users/jwks.json"
    return lambda: RemoteKeys(url, tmp_path / "state" / "jwks.json")


MakeKeys = Callable[[], RemoteKeys]


# --- keys -----------------------------------------------------------------------------------------


def test_a_token_of_auth_is_its_user(auth: Auth, make_keys: MakeKeys):
    user = Identity(make_keys(), Revocations()).user(auth.token())
    assert user is not None
    assert (user.id, user.email, user.session_id) == ("u1", "ada@example.com", "s1")


def test_keys_on_disk_survive_auth_being_away(auth: Auth, make_keys: MakeKeys):
    assert make_keys().find("first")
    auth.stop()
    assert make_keys().find("first")
    assert auth.asked == 1


def test_without_any_key_it_is_unavailable_until_auth_comes(
    auth: Auth, make_keys: MakeKeys, clock: SimpleNamespace
):
    auth.stop()
    keys = make_keys()
    with pytest.raises(Unavailable):
        keys.find("first")
    with pytest.raises(Unavailable):
        Identity(keys, Revocations()).user(auth.token())
    auth.start()
    clock.now += 1.1
    assert keys.find("first")


def test_without_any_key_auth_is_asked_once_a_second_at_most(
    auth: Auth, make_keys: MakeKeys, clock: SimpleNamespace
):
    auth.nonsense = b"{}"
    keys = make_keys()
    for _ in range(20):
        with pytest.raises(Unavailable):
            keys.find("first")
        clock.now += 0.1
    assert auth.asked == 2


def test_unknown_keys_make_auth_be_asked_once_a_minute_at_most(
    auth: Auth, make_keys: MakeKeys, clock: SimpleNamespace
):
    keys = make_keys()
    assert keys.find("first")
    for number in range(59):
        assert keys.find(f"forged {number}") is None
        clock.now += 1
    assert auth.asked == 1
    clock.now += 2
    assert keys.find("forged again") is None
    assert auth.asked == 2


def test_a_new_key_of_auth_is_found(auth: Auth, make_keys: MakeKeys, clock: SimpleNamespace):
    keys = make_keys()
    assert keys.find("first")
    auth.kid = "second"
    clock.now += 61
    assert keys.find("second")


@pytest.mark.parametrize(
    "nonsense",
    [b"", b"<html>", b"{}", b"[]", b'{"keys": [{}]}', b'{"keys": [{"kid": 1, "kty": "?"}]}',
     b'{"keys": 7}', b"cut off", b"\xff"],
)  # fmt: skip
def test_nonsense_instead_of_keys_is_no_key(auth: Auth, make_keys: MakeKeys, nonsense: bytes):
    auth.nonsense = nonsense
    with pytest.raises(Unavailable):
        make_keys().find("first")


def test_nonsense_does_not_replace_the_keys_that_are_known(
    auth: Auth, make_keys: MakeKeys, clock: SimpleNamespace
):
    keys = make_keys()
    assert keys.find("first")
    auth.nonsense = b"{}"
    clock.now += 61
    assert keys.find("unknown") is None
    assert keys.find("first")
    assert make_keys().find("first")


def test_a_damaged_file_is_as_good_as_none(auth: Auth, make_keys: MakeKeys, tmp_path: Path):
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "jwks.json").write_text('{"keys": [')
    assert make_keys().find("first")
    auth.stop()
    assert make_keys().find("first")


def test_many_requests_at_once_ask_auth_once(auth: Auth, make_keys: MakeKeys):
    keys, found = make_keys(), list[Any]()
    threads = [threading.Thread(target=lambda: found.append(keys.find("first"))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(found) == 16
    assert all(found)
    assert auth.asked == 1


def test_a_key_that_auth_retired_is_forgotten_within_an_hour(
    auth: Auth, make_keys: MakeKeys, clock: SimpleNamespace
):
    keys = make_keys()
    assert keys.find("first")
    auth.kid = "second"
    clock.now += 3_590
    assert keys.find("first"), "not looked up at every turn"
    assert auth.asked == 1
    clock.now += 20
    assert keys.find("first") is None
    assert keys.find("second")


def test_known_keys_are_kept_while_auth_is_away_for_long(
    auth: Auth, make_keys: MakeKeys, clock: SimpleNamespace
):
    keys = make_keys()
    assert keys.find("first")
    auth.stop()
    clock.now += 36_000
    assert keys.find("first")


def test_what_a_retired_key_signed_is_over_with_it_though_it_was_verified_before(
    auth: Auth, make_keys: MakeKeys, clock: SimpleNamespace
):
    tested, token = Identity(make_keys(), Revocations()), auth.token()
    assert tested.user(token)
    auth.kid, auth.private = "second", Ed25519PrivateKey.generate()
    clock.now += 3_610
    assert tested.user(token) is None
    assert tested.user(auth.token())


def test_nobody_waits_for_auth_whose_key_is_known(
    auth: Auth, make_keys: MakeKeys, clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
):
    keys = make_keys()
    assert keys.find("first")
    clock.now += 36_000
    asking, answer = threading.Event(), threading.Event()

    def hang(*_: object, **__: object) -> None:
        asking.set()
        answer.wait(10)
        raise TimeoutError

    monkeypatch.setattr(identity_module.urllib.request, "urlopen", hang)
    first = threading.Thread(target=keys.find, args=("first",))
    first.start()
    assert asking.wait(10)
    found: list[Any] = []
    second = threading.Thread(target=lambda: found.append(keys.find("first")))
    second.start()
    second.join(5)
    at_once = [*found]
    answer.set()
    first.join(10)
    second.join(10)
    assert len(at_once) == 1
    assert at_once[0]


# --- tokens ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": datetime.now(UTC) - timedelta(seconds=1)},
        {"exp": None},
        {"iat": None},
        {"sub": None},
        {"sid": None},
        {"email": None},
        {"iss": "somebody else"},
        {"iss": None},
        {"aud": "another system"},
        {"aud": None},
        {"iat": datetime.now(UTC) + timedelta(hours=1)},
    ],
    ids=lambda change: " and ".join(
        f"{name} {type(value).__name__}" for name, value in change.items()
    ),
)
def test_a_token_that_is_not_quite_right_is_nobody(
    auth: Auth, make_keys: MakeKeys, changes: dict[str, Any]
):
    tested = Identity(make_keys(), Revocations())
    assert tested.user(auth.token())
    assert tested.user(auth.token(**changes)) is None


def test_a_token_signed_by_another_key_is_nobody(auth: Auth, make_keys: MakeKeys):
    tested = Identity(make_keys(), Revocations())
    assert tested.user(auth.token(key=Ed25519PrivateKey.generate())) is None
    assert tested.user(auth.token(kid="unknown")) is None


def test_a_token_without_a_signature_or_with_a_shared_secret_is_nobody(
    auth: Auth, make_keys: MakeKeys
):
    tested = Identity(make_keys(), Revocations())
    claims = jwt.decode(auth.token(), options={"verify_signature": False})
    headers = {"kid": "first"}
    assert tested.user(jwt.encode(claims, None, algorithm="none", headers=headers)) is None
    secret = "x" * 40
    assert tested.user(jwt.encode(claims, secret, algorithm="HS256", headers=headers)) is None


@pytest.mark.parametrize("token", ["x", "a.b.c", "..", "é.é.é", "a" * 10_000])
def test_garbage_is_nobody(token: str):
    assert identity().user(token) is None


def test_a_token_that_was_good_a_moment_ago_expires(monkeypatch: pytest.MonkeyPatch):
    tested = identity()
    token = sign("u1", lifetime=timedelta(minutes=5))
    assert tested.user(token)

    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # pyright: ignore[reportIncompatibleMethodOverride]
            return datetime.now(tz) + timedelta(minutes=6)

    monkeypatch.setattr(identity_module, "datetime", Later)
    assert tested.user(token) is None


def test_only_so_many_tokens_are_remembered(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(identity_module, "_REMEMBERED", 3)
    tested = identity()
    for number in range(10):
        assert tested.user(sign(f"u{number}"))
    assert len(tested._verified) == 3  # pyright: ignore[reportPrivateUsage]


def test_a_token_tells_role_and_scopes_and_whether_the_address_is_confirmed():
    tested = identity()
    person = tested.user(sign("u1", role="admin"))
    assert person is not None
    assert (person.verified, person.role, person.scopes) == (True, "admin", None)
    program = tested.user(sign("u1", verified=False, scopes=["read"]))
    assert program is not None
    assert (program.verified, program.scopes) == (False, {"read"})


@pytest.mark.parametrize("claim", [1, "true", "yes", None, []])
def test_only_true_confirms_an_address(claim: object):
    person = identity().user(sign("u1", verified=claim))
    assert person is not None
    assert not person.verified


# --- revocations ----------------------------------------------------------------------------------


def revoked(
    session: str | None = "s1",
    user: str = "u1",
    at: datetime | None = None,
    until: datetime | None = None,
) -> SessionRevoked:
    moment = at or datetime.now(UTC)
    data = SessionData(id=session, user_id=user, revoked_at=moment, until=until)
    return SessionRevoked(data=data)


def somebody(session: str = "s1", user: str = "u1", ago: float = 60) -> User:
    now = datetime.now(UTC)
    issued = now - timedelta(seconds=ago)
    return User(user, "ada@example.com", session, issued, now + timedelta(hours=1))


def test_an_ended_session_is_over_and_the_others_are_not():
    revocations = Revocations()
    revocations.add(revoked("s1"))
    assert revocations.covers(somebody("s1"))
    assert not revocations.covers(somebody("s2"))


def test_ending_all_sessions_of_a_user_spares_later_ones_and_other_people():
    revocations = Revocations()
    revocations.add(revoked(None, at=datetime.now(UTC) - timedelta(seconds=30)))
    assert revocations.covers(somebody("s1", ago=60))
    assert not revocations.covers(somebody("s2", ago=10))
    assert not revocations.covers(somebody("s3", user="u2"))


def test_a_late_copy_of_an_older_revocation_brings_nothing_back():
    revocations = Revocations()
    now = datetime.now(UTC)
    revocations.add(revoked(None, at=now))
    revocations.add(revoked(None, at=now - timedelta(seconds=120)))
    assert revocations.covers(somebody(ago=60))


def test_revocations_older_than_any_token_are_forgotten():
    revocations = Revocations()
    revocations.add(revoked("old", at=datetime.now(UTC) - timedelta(hours=13)))
    revocations.add(revoked(None, "old", at=datetime.now(UTC) - timedelta(hours=13)))
    revocations.add(revoked("new"))
    assert not revocations.covers(somebody("old"))
    assert not revocations.covers(somebody("x", user="old"))
    assert revocations.covers(somebody("new"))


def test_revocations_are_forgotten_when_their_tokens_are_over(monkeypatch: pytest.MonkeyPatch):
    revocations = Revocations()
    revocations.add(revoked("s1"))
    revocations.add(revoked(None, "u1"))

    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # pyright: ignore[reportIncompatibleMethodOverride]
            return datetime.now(tz) + timedelta(hours=13)

    monkeypatch.setattr(revocations_module, "datetime", Later)
    revocations.add(revoked("s2", at=Later.now(UTC)))
    assert (list(revocations._sessions), list(revocations._users)) == (["s2"], [])  # pyright: ignore[reportPrivateUsage]


def test_many_revocations_are_read_in_no_time():
    """Whoever signs in and out all day must not make the next start of a service long."""
    revocations, begun = Revocations(), time.monotonic()
    for number in range(20_000):
        revocations.add(revoked(f"s{number}"))
    assert time.monotonic() - begun < 4


def test_the_revocation_of_a_long_token_is_kept_until_it_has_expired():
    revocations, now = Revocations(), datetime.now(UTC)
    long_ago = now - timedelta(days=30)
    revocations.add(revoked("good for long", at=long_ago, until=now + timedelta(days=30)))
    revocations.add(revoked("over", at=long_ago, until=now - timedelta(seconds=1)))
    assert revocations.covers(somebody("good for long"))
    assert not revocations.covers(somebody("over"))


def test_the_memory_of_verified_tokens_honours_a_revocation():
    tested = identity()
    token = sign("u1", session_id="s1")
    assert tested.user(token)
    tested.revocations.add(revoked("s1"))
    assert tested.user(token) is None
    assert tested.user(sign("u1", session_id="s2"))


def publish(bus: Bus, event: SessionRevoked) -> None:
    bus.run(bus.publish(event.subject, event.to_json().encode(), event.id), 10)


def test_revocations_come_from_the_stream_and_are_complete_after_its_end(
    bus: Bus, make_bus: MakeBus
):
    publish(bus, revoked("past"))
    revocations = Revocations().follow(make_bus())
    wait_until(lambda: revocations.complete, "the past to be read")
    assert revocations.covers(somebody("past"))
    publish(bus, revoked("present"))
    wait_until(lambda: revocations.covers(somebody("present")), "the news", 1.0)


def test_revocations_are_not_complete_before_the_stream_is_read(
    nats_server: NatsServer, make_bus: MakeBus
):
    nats_server.kill()
    revocations = Revocations().follow(make_bus())
    assert not revocations.complete
    nats_server.start()
    wait_until(lambda: revocations.complete, "the stream to be read")


def test_one_unreadable_message_does_not_end_the_list(bus: Bus, make_bus: MakeBus):
    bus.run(bus.publish("session.revoked", b"not an event", "bad"), 10)
    publish(bus, revoked("s1"))
    revocations = Revocations().follow(make_bus())
    wait_until(lambda: revocations.complete, "the past to be read")
    assert revocations.covers(somebody("s1"))


def test_revocations_go_on_after_nats_was_killed(bus: Bus, nats_server: NatsServer):
    revocations = Revocations().follow(bus)
    wait_until(lambda: revocations.complete, "the stream to be read")
    nats_server.restart()
    bus.wait_ready(10)
    wait_until(lambda: bus.connected, "the connection to be back")
    publish(bus, revoked("s1"))
    wait_until(lambda: revocations.covers(somebody("s1")), "the news")
