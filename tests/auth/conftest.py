"""The auth service on a database in memory, with real keys, real hashes and the real app."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from email.message import EmailMessage
from typing import Any
from urllib.parse import parse_qs, urlsplit

import mongomock
import pytest
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient
from pymongo import MongoClient
from werkzeug.test import TestResponse

from apps.auth import create_app
from apps.auth.apitokens import ApiTokens
from apps.auth.auditing import Audit, AuditLog
from apps.auth.config import Settings
from apps.auth.mail import Mailbox
from apps.auth.models import Account
from apps.auth.passwords import Passwords
from apps.auth.service import Accounts
from apps.auth.services import Services, assemble
from apps.auth.store import Accounts as AccountStore
from apps.auth.store import Sessions
from apps.auth.tokens import Doorkeeper, Signer
from shared.revocations import Revocations
from tests import servers

SECRET = "a secret of the tests, longer than 32 bytes"
PASSWORD = "correct horse"


class CountingHasher(PasswordHasher):
    """Cheap hashes, and how often one of the current cost was really worked out."""

    checked = 0

    def verify(self, hash: str | bytes, password: str | bytes) -> Any:  # noqa: A002 - argon2's name
        self.checked += not self.check_needs_rehash(str(hash))
        return super().verify(hash, password)


@dataclass
class World:
    app: Flask
    services: Services
    settings: Settings
    hasher: CountingHasher
    databases: Any = field(repr=False)
    revocations: Revocations = field(repr=False)

    @property
    def service(self) -> Accounts:
        return self.services.accounts

    @property
    def mailbox(self) -> Mailbox:
        return self.services.letters.mailbox

    def client(self) -> FlaskClient:
        return self.app.test_client()

    def sign_up(self, email: str = "ada@example.com", password: str = PASSWORD) -> FlaskClient:
        """A client that has just signed up."""
        client = self.client()
        answer = post(client, "signup", email=email, password=password)
        assert answer.status_code == 201, answer.text
        return client

    def account(self, email: str = "ada@example.com") -> Account:
        found = self.service.accounts.by_email(email)
        assert found is not None
        return found

    def mails(self) -> list[EmailMessage]:
        """The mails that wait, delivered now."""
        delivered: list[EmailMessage] = []
        self.mailbox.sweep(delivered.append)
        return delivered

    def link(self) -> str:
        """The path of the link in the only mail that waits."""
        [mail] = self.mails()
        [link] = re.findall(r"http://localhost(/\S+)", mail.get_content())
        return link

    def link_token(self) -> str:
        return parse_qs(urlsplit(self.link()).query)["token"][0]


def post(client: FlaskClient, command: str, **body: object) -> TestResponse:
    return client.post(f"/api/users/{command}", json=body)


def current(client: FlaskClient, **headers: str) -> Any:
    answer = client.get("/api/users/currentuser", headers=headers)
    assert answer.status_code == 200
    return answer.json["currentUser"]


def token_of(client: FlaskClient) -> str:
    cookie = client.get_cookie("session")
    assert cookie is not None
    return cookie.value


def errors_of(answer: TestResponse) -> list[tuple[str | None, str]]:
    return [(error.get("field"), error["message"]) for error in answer.json["errors"]]


def some_settings(**changes: object) -> Settings:
    known: dict[str, Any] = {
        "embedded": True,
        "nats_url": "nats://127.0.0.1:4222",
        "secret_key": "the tests' secret key",
        "auth_url": "http://auth.test",
        "public_url": "http://localhost",
        "mongo_uri": "mongodb://127.0.0.1",
        "redis_url": "memory://",
        "jwt_key": SECRET,
        "rate_limits": False,
        "verify_email": False,
    }
    return Settings(**{**known, **changes})


def builder(databases: Any) -> Callable[..., World]:
    """Makes the service with some settings changed, and hashes of so many passes.

    For `lately` seconds it does not look again whether a cookie must be renewed; `up_to_date`
    says whether it may rely on the stream of revocations, which nobody tells anything here.
    """

    def make(
        passes: int = 1,
        patience: float = 0.05,
        lately: float = 0,
        up_to_date: bool = False,
        **changes: object,
    ) -> World:
        settings = some_settings(**changes)
        hasher = CountingHasher(time_cost=passes, memory_cost=8, parallelism=1)
        store, revocations = databases["auth"], Revocations()
        signer = Signer(settings.jwt_key, settings.jwt_key_previous)
        accounts, sessions, tokens = AccountStore(store), Sessions(store), ApiTokens(store)
        mailbox = Mailbox(store, settings.mail_from)
        audit = Audit(AuditLog(store), settings.secret_key)
        for each in (accounts, sessions, tokens, mailbox, audit.log):
            each.ensure_indexes()
        passwords = Passwords(hasher, patience)
        service = Accounts(
            accounts, sessions, tokens, audit, signer, settings.verify_email, passwords
        )
        services = assemble(settings, service, mailbox)

        def is_open(key: str, now: datetime) -> bool:
            return sessions.is_open(key, now) or tokens.is_open(key, now)

        person = Doorkeeper(signer, is_open, revocations, lambda: up_to_date)
        app = create_app(settings, services, person, lately)
        return World(app, services, settings, hasher, databases, revocations)

    return make


@pytest.fixture
def build() -> Iterator[Callable[..., World]]:
    databases = mongomock.MongoClient(tz_aware=True)
    yield builder(databases)
    databases.close()


@pytest.fixture(scope="session")
def mongo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoClient[dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("mongo") / "data"
    with servers.mongo_server(folder) as uri, servers.connect(uri) as client:
        yield client


@pytest.fixture
def real(mongo: MongoClient[dict[str, Any]]) -> World:
    """The same on a real database, for what happens at the same time."""
    mongo.drop_database("auth")
    return builder(mongo)(patience=30)


@pytest.fixture
def world(build: Callable[..., World]) -> World:
    return build()
