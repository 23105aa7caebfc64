"""Accounts and sessions as plain values."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from apps.auth import models
from apps.auth.models import Session
from shared.events import SessionRevoked, UserCreated, UserUpdated

NOW = datetime(2027, 5, 1, 20, tzinfo=UTC)
HOUR = timedelta(hours=1)


def a_session() -> Session:
    return models.begin("u" * 24, NOW, 12 * HOUR)


def test_an_account_begins_unverified_unless_told_otherwise() -> None:
    account, event = models.register("ada@example.com", "hash", verified=False, now=NOW)
    assert event is UserCreated
    assert account.may_sign_in
    assert not account.verified


@pytest.mark.parametrize("end", ["disabled", "deleted"])
def test_a_disabled_or_deleted_account_may_not_sign_in(end: str) -> None:
    account, _ = models.register("ada@example.com", "hash", verified=True, now=NOW)
    assert not replace(account, **{end: True}).may_sign_in


def test_the_event_of_an_account_tells_no_hash() -> None:
    account, _ = models.register("ada@example.com", "secret hash", verified=True, now=NOW)
    told = models.public_account(account).model_dump_json(by_alias=True)
    assert "ada@example.com" in told
    assert "secret" not in told


def test_the_event_of_a_deleted_account_makes_others_forget_the_address() -> None:
    account, _ = models.register("ada@example.com", "secret hash", verified=True, now=NOW)
    gone, event = models.delete(account)
    assert event is UserUpdated
    assert models.public_account(gone).deleted
    assert models.public_account(gone).email is None
    assert "ada" not in repr(gone)
    assert models.delete(gone) == (gone, None)


def test_a_newer_hash_does_not_undo_a_password_changed_meanwhile() -> None:
    account, _ = models.register("ada@example.com", "old", verified=True, now=NOW)
    assert models.with_hash(account, "old", "new")[0].password_hash == "new"
    changed = replace(account, password_hash="another password")
    assert models.with_hash(changed, "old", "new")[0] is changed


def test_a_session_is_open_until_it_expires() -> None:
    session = a_session()
    assert session.is_open(session.expires_at - HOUR)
    assert not session.is_open(session.expires_at)


def test_renewing_gives_an_open_session_more_time() -> None:
    session, event = models.renew(a_session(), NOW + HOUR, 12 * HOUR)
    assert session.expires_at == NOW + 13 * HOUR
    assert event is None


def test_a_session_that_has_ended_is_not_renewed() -> None:
    revoked, _ = models.revoke(a_session(), NOW)
    assert models.renew(revoked, NOW + HOUR, 12 * HOUR)[0] is revoked
    expired = a_session()
    assert models.renew(expired, NOW + 12 * HOUR, 12 * HOUR)[0] is expired


def test_revoking_says_so_once() -> None:
    revoked, event = models.revoke(a_session(), NOW)
    assert event is SessionRevoked
    assert models.public_session(revoked).revoked_at == NOW
    assert models.revoke(revoked, NOW + HOUR) == (revoked, None)


def test_an_open_session_has_nothing_to_announce() -> None:
    with pytest.raises(ValueError, match="not revoked"):
        models.public_session(a_session())


def test_a_link_that_was_overtaken_while_it_was_used_changes_nothing() -> None:
    account, _ = models.register("ada@example.com", "hash", verified=False, now=NOW)
    moved_on, _ = models.with_password(account, "newer", account.generation)
    for use in (
        lambda: models.verify(moved_on, account.generation),
        lambda: models.with_password(moved_on, "mine", account.generation),
        lambda: models.with_email(moved_on, "eve@example.com", account.generation),
    ):
        with pytest.raises(models.LinkSpent):
            use()
