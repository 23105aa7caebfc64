"""Tokens: who made them, for whom, until when."""

import hmac
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from flask.testing import FlaskClient
from pymongo.errors import ServerSelectionTimeoutError

from apps.auth.tokens import Signer
from shared.identity import Identity
from shared.revocations import Revocations

from .conftest import SECRET, World, current, post, some_settings, token_of


def claims_of(client: FlaskClient) -> dict[str, Any]:
    return jwt.decode(token_of(client), options={"verify_signature": False})


def shown(world: World, token: str) -> Any:
    return current(world.client(), Authorization=f"Bearer {token}")


def signed(world: World, claims: dict[str, Any], **header: str) -> str:
    """A token with the real key, as only auth can make one."""
    signer = world.service.signer
    return jwt.encode(claims, signer._private, "EdDSA", {"kid": signer.key_id, **header})


def test_a_token_says_who_where_and_how_long(world: World) -> None:
    client = world.sign_up()
    claims = claims_of(client)
    told = {"iss", "aud", "sub", "email", "verified", "role", "sid", "iat", "exp"}
    assert claims.keys() == told
    assert (claims["verified"], claims["role"]) == (True, "user")
    assert claims["sub"] == current(client)["id"]
    assert claims["exp"] - claims["iat"] == 12 * 3600
    assert abs(time.time() - claims["iat"]) < 60


def test_the_published_key_verifies_in_other_services(world: World) -> None:
    answer = world.client().get("/api/users/jwks.json")
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    [key] = answer.json["keys"]
    assert "d" not in key

    class Published:
        def find(self, key_id: str) -> jwt.PyJWK | None:
            return jwt.PyJWK(key) if key["kid"] == key_id else None

    user = Identity(Published(), Revocations()).user(token_of(world.sign_up()))
    assert user is not None
    assert user.email == "ada@example.com"


def test_the_key_depends_on_the_secret_alone() -> None:
    assert Signer(SECRET).jwks == Signer(SECRET).jwks
    assert Signer(SECRET).key_id != Signer(SECRET + "x").key_id


def test_the_key_id_is_the_thumbprint_of_rfc_7638() -> None:
    """Its example in RFC 8037, appendix A.3."""
    from apps.auth.tokens import _thumbprint

    key = {"crv": "Ed25519", "kty": "OKP", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
    assert _thumbprint(key) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_a_short_secret_is_refused_outside_the_embedded_stack() -> None:
    with pytest.raises(ValueError, match="JWT_KEY"):
        some_settings(embedded=False, rate_limits=True, verify_email=True, jwt_key="x" * 31)
    some_settings(embedded=False, rate_limits=True, verify_email=True, jwt_key="x" * 32)
    some_settings(embedded=True, jwt_key="x")


# --- forgeries ------------------------------------------------------------------------------------


def test_a_token_of_another_key_is_nobody(world: World) -> None:
    claims = claims_of(world.sign_up())
    kid = world.service.signer.key_id
    forged = jwt.encode(claims, Ed25519PrivateKey.generate(), "EdDSA", {"kid": kid})
    assert shown(world, forged) is None


def test_a_token_without_signature_is_nobody(world: World) -> None:
    claims = claims_of(world.sign_up())
    kid = world.service.signer.key_id
    assert shown(world, jwt.encode(claims, None, "none", {"kid": kid})) is None
    head, body, _ = token_of(world.sign_up("eve@example.com")).split(".")
    assert shown(world, f"{head}.{body}.") is None


def test_the_public_key_is_no_secret_to_sign_with(world: World) -> None:
    claims = claims_of(world.sign_up())
    signer = world.service.signer
    public = signer._private.public_key()
    for secret in (
        public.public_bytes(Encoding.Raw, PublicFormat.Raw),
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        json.dumps(signer.public).encode(),
        signer.public["x"].encode(),
    ):
        assert shown(world, hs256(claims, signer.key_id, secret)) is None


def hs256(claims: dict[str, Any], kid: str, secret: bytes) -> str:
    """By hand, because PyJWT refuses to take a public key for a secret even to forge with."""
    parts = [{"alg": "HS256", "typ": "JWT", "kid": kid}, claims]
    text = b".".join(_base64(json.dumps(part).encode()) for part in parts)
    return (text + b"." + _base64(hmac.digest(secret, text, "sha256"))).decode()


def _base64(value: bytes) -> bytes:
    return urlsafe_b64encode(value).rstrip(b"=")


def test_a_changed_token_is_nobody(world: World) -> None:
    ada, eve = world.sign_up(), world.sign_up("eve@example.com")
    head, _, signature = token_of(eve).split(".")
    assert shown(world, ".".join([head, token_of(ada).split(".")[1], signature])) is None


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "somebody else"},
        {"aud": "another system"},
        {"exp": time.time() - 1},
        {"iat": time.time() + 3600},
        {"sid": "0" * 24},
    ],
    ids=lambda change: " and ".join(
        f"{name} {type(value).__name__}" for name, value in change.items()
    ),
)
def test_a_token_with_wrong_claims_is_nobody(world: World, change: dict[str, Any]) -> None:
    claims = claims_of(world.sign_up())
    assert shown(world, signed(world, claims)) is not None
    assert shown(world, signed(world, {**claims, **change})) is None


@pytest.mark.parametrize("missing", ["iss", "aud", "sub", "email", "sid", "iat", "exp"])
def test_a_token_with_missing_claims_is_nobody(world: World, missing: str) -> None:
    claims = claims_of(world.sign_up())
    del claims[missing]
    assert shown(world, signed(world, claims)) is None


@pytest.mark.parametrize("token", ["x", "a.b.c", "..", "é.ü.ß", "%00", "=" * 3000, '"'])
def test_what_is_no_token_is_nobody(world: World, token: str) -> None:
    client = world.client()
    client.set_cookie("session", token)
    assert current(client) is None
    assert shown(world, token) is None
    raw = world.client().get("/api/users/currentuser", headers={"Cookie": f"session={token}"})
    assert raw.json == {"currentUser": None}


def test_an_unknown_key_id_is_nobody(world: World) -> None:
    claims = claims_of(world.sign_up())
    assert shown(world, signed(world, claims, kid="another")) is None


# --- renewal --------------------------------------------------------------------------------------


def aged(world: World, client: FlaskClient, age: timedelta) -> FlaskClient:
    """The same session, shown with a token that was issued a while ago."""
    claims = claims_of(client)
    issued = time.time() - age.total_seconds()
    claims.update(iat=issued, exp=issued + 12 * 3600)
    client.set_cookie("session", signed(world, claims))
    return client


@pytest.mark.parametrize("path", ["/api/users/currentuser", "/account"])
def test_a_token_in_use_is_renewed_after_an_hour(world: World, path: str) -> None:
    client = aged(world, world.sign_up(), timedelta(hours=11))
    old = claims_of(client)
    client.get(path)
    new = claims_of(client)
    assert new["sid"] == old["sid"]
    assert new["exp"] - old["exp"] >= 10 * 3600
    session = world.service.sessions.aggregates.find(new["sid"])
    assert session is not None
    assert session.is_open(datetime.now(UTC) + timedelta(hours=11, minutes=59))


def test_a_fresh_token_stays(world: World) -> None:
    client = aged(world, world.sign_up(), timedelta(minutes=59))
    answer = client.get("/api/users/currentuser")
    assert "Set-Cookie" not in answer.headers


def test_a_revoked_session_is_not_renewed(world: World) -> None:
    client = aged(world, world.sign_up(), timedelta(hours=2))
    token = token_of(client)
    post(client, "signout")
    client.set_cookie("session", token)
    answer = client.get("/api/users/currentuser")
    assert answer.json == {"currentUser": None}
    assert "Set-Cookie" not in answer.headers


def test_a_bearer_token_is_not_turned_into_a_cookie(world: World) -> None:
    token = token_of(aged(world, world.sign_up(), timedelta(hours=2)))
    answer = world.client().get(
        "/api/users/currentuser", headers={"Authorization": f"Bearer {token}"}
    )
    assert answer.json["currentUser"]
    assert "Set-Cookie" not in answer.headers


# --- when the database is away --------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/api/users/currentuser", "/account", "/account/signin"])
def test_without_its_database_auth_says_503(
    world: World, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    client = world.sign_up()

    def away(*_: object, **__: object) -> None:
        raise ServerSelectionTimeoutError("no server")

    monkeypatch.setattr(world.service.sessions.aggregates.collection, "find_one", away)
    answer = client.get(path)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]


def test_no_key_means_no_answer(build: Callable[..., World]) -> None:
    """A token that another installation's secret signed is nobody's here."""
    ours = build()
    theirs = token_of(build(jwt_key="another secret of another installation").sign_up())
    assert shown(ours, theirs) is None
