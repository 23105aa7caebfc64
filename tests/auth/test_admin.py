"""The admin area: who may enter, finding, shutting out, and the audit log."""

import csv
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import bson
import pytest
from flask.testing import FlaskClient

from apps.auth import auditing
from apps.auth.admin import LogIn
from apps.auth.auditing import KINDS, Search
from apps.auth.models import Account, LastAdmin, disable
from shared.auditlog import Entry, entry, public
from shared.events import AuditRecorded
from shared.identity import require_admin
from shared.web import validate
from tests.auth.conftest import PASSWORD, World, current, post, token_of
from ticketing.cli import main

Capture = pytest.CaptureFixture[str]
ROOT, ADA, BOB = "root@example.com", "ada@example.com", "bob@example.com"
FORM = {"reason": "Sells forgeries", "confirm": "yes", "idempotencyKey": "k" * 20}
UNKNOWN = "0" * 24
PAGES = [
    "/account/admin",
    "/account/admin/log",
    "/account/admin/log.csv",
    "/account/admin/log.jsonl",
]


@pytest.fixture
def root(world: World) -> FlaskClient:
    """An admin."""
    world.sign_up(ROOT)
    world.service.set_role(world.account(ROOT).id, "admin")
    return signed_in(world, ROOT)


def signed_in(world: World, email: str) -> FlaskClient:
    client = world.client()
    assert post(client, "signin", email=email, password=PASSWORD).status_code == 200
    return client


def path(account: Account, action: str = "disable") -> str:
    return f"/account/admin/users/{account.id}/{action}"


def form(account: Account, **changes: str) -> dict[str, str]:
    return {**FORM, "version": str(account.version), **changes}


def entries(world: World, **search: str) -> list[Entry]:
    return world.service.audit.log.page(Search(**search), None, 100)[0]


def kinds(world: World, **search: str) -> list[str]:
    return [each.kind for each in entries(world, **search)]


# --- who may enter --------------------------------------------------------------------------------


def everywhere(account: Account) -> Iterator[tuple[str, str]]:
    yield from (("GET", page) for page in PAGES)
    yield from (("POST", path(account, action)) for action in ("disable", "enable"))


def test_nobody_else_may_enter(world: World, root: FlaskClient) -> None:
    ada = world.sign_up(ADA)
    keyring, admin = world.services.keyring, world.account(ROOT)
    with world.app.test_request_context(headers={"Authorization": f"Bearer {token_of(root)}"}):
        _, program = keyring.grant(require_admin(), "script", ("read", "sell", "buy"), 1)
    token = {"Authorization": f"Bearer {program}"}
    for method, page in everywhere(world.account(ADA)):
        data = form(world.account(ADA)) if method == "POST" else None
        assert ada.open(page, method=method, data=data).status_code == 403
        assert world.client().open(page, method=method, data=data, headers=token).status_code == 403
        answer = world.client().open(page, method=method, data=data)
        assert (answer.status_code, "/account/signin" in answer.location) == (303, True)
    world.service.set_disabled(admin.id, disabled=True)
    for method, page in everywhere(world.account(ADA)):
        assert "/account/signin" in root.open(page, method=method, data=FORM).location
    assert not world.account(ADA).disabled


# --- finding --------------------------------------------------------------------------------------


def test_a_person_is_found_by_address_and_id(world: World, root: FlaskClient) -> None:
    world.sign_up(ADA)
    ada = world.account(ADA)
    for asked in (ADA, "  ADA@example.com ", ada.id):
        page = root.get("/account/admin", query_string={"q": asked})
        assert page.status_code == 200
        assert ADA in page.text
        for part in ("orders", "payments", "tickets"):
            assert f'hx-get="/{part}/admin/{ada.id}"' in page.text
            assert f'<a href="/{part}/admin/{ada.id}">' in page.text


@pytest.mark.parametrize(
    ("asked", "status", "message"),
    [
        ("nobody@example.com", 404, "Nobody has this address"),
        ("12345", 400, "must be an e-mail address or an id"),
        ("x" * 300, 400, "at most 254 characters"),
    ],
)
def test_what_cannot_be_found_says_why(
    root: FlaskClient, asked: str, status: int, message: str
) -> None:
    page = root.get("/account/admin", query_string={"q": asked})
    assert (page.status_code, message in page.text) == (status, True)


def test_an_id_of_something_else_still_asks_the_others(root: FlaskClient) -> None:
    page = root.get(f"/account/admin?q={UNKNOWN}").text
    assert f"/orders/admin/{UNKNOWN}" in page
    assert "<h2>Person</h2>" not in page


# --- shutting out ---------------------------------------------------------------------------------


def test_a_disabled_account_is_out_everywhere_until_it_is_let_in(
    world: World, root: FlaskClient
) -> None:
    ada = world.sign_up(ADA)
    for _ in range(2):  # sent twice
        answer = root.post(path(world.account(ADA)), data=form(world.account(ADA)))
        assert (answer.status_code, answer.location) == (
            *(303, f"/account/admin?q={world.account(ADA).id}"),
        )
    assert current(ada) is None
    assert post(world.client(), "signin", email=ADA, password=PASSWORD).status_code == 400
    (noted,) = entries(world, kind="account.disabled")
    assert (noted.actor, noted.reason) == (world.account(ROOT).id, "Sells forgeries")
    changed = form(world.account(ADA), idempotencyKey="j" * 20)
    assert root.post(path(world.account(ADA), "enable"), data=changed).status_code == 303
    assert current(signed_in(world, ADA)) is not None


def test_shutting_out_again_ends_what_a_crash_left_open(world: World, root: FlaskClient) -> None:
    ada = world.sign_up(ADA)
    world.service.accounts.aggregates.update(
        world.account(ADA).id, lambda account: disable(account, disabled=True)
    )
    assert current(ada) is not None, "the process died before it ended the sessions"
    assert root.post(path(world.account(ADA)), data=form(world.account(ADA))).status_code == 303
    assert current(ada) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"reason": " "}, "Reason is required"),
        ({"confirm": ""}, "Tick this to confirm"),
        ({"version": "x"}, "whole number"),
    ],
)
def test_without_a_reason_nothing_happens(
    world: World, root: FlaskClient, change: dict[str, str], message: str
) -> None:
    world.sign_up(ADA)
    answer = root.post(path(world.account(ADA)), data=form(world.account(ADA), **change))
    assert (answer.status_code, message in answer.text) == (400, True)
    assert not world.account(ADA).disabled
    assert kinds(world, kind="account.disabled") == []


def test_a_form_of_earlier_does_not_undo_what_came_after(world: World, root: FlaskClient) -> None:
    world.sign_up(ADA)
    old = form(world.account(ADA))
    root.post(path(world.account(ADA)), data=old)
    root.post(path(world.account(ADA), "enable"), data=form(world.account(ADA)))
    assert root.post(path(world.account(ADA)), data=old).status_code == 409
    assert not world.account(ADA).disabled


def test_nobody_shuts_out_themselves_or_what_is_not_there(world: World, root: FlaskClient) -> None:
    own = world.account(ROOT)
    answer = root.post(path(own), data=form(own))
    assert (answer.status_code, "shut yourself out" in answer.text) == (400, True)
    missing = path(own).replace(own.id, UNKNOWN)
    assert root.post(missing, data=form(own)).status_code == 404
    assert not world.account(ROOT).disabled


def test_two_admins_cannot_shut_each_other_out_in_one_moment(
    world: World, root: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.sign_up(BOB)
    world.service.set_role(world.account(BOB).id, "admin")
    admins, bob = world.services.admins, world.account(BOB)
    original = type(admins)._others  # pyright: ignore[reportPrivateUsage] - the moment in between

    def meanwhile(self: object, user_id: str) -> list[Account]:
        found = original(self, user_id)  # pyright: ignore[reportArgumentType]
        world.service.set_disabled(world.account(ROOT).id, disabled=True)
        return found

    monkeypatch.setattr(type(admins), "_others", meanwhile)
    answer = root.post(path(bob), data=form(bob))
    assert (answer.status_code, "look after this installation" in answer.text) == (409, True)
    assert [each.id for each in world.service.accounts.active_admins()] == [bob.id]


def test_the_last_admin_can_not_leave(world: World, root: FlaskClient) -> None:
    by_page = root.post("/account/delete", data={"password": PASSWORD})
    by_api = root.delete("/api/users/account", json={"password": PASSWORD})
    for answer in (by_page, by_api):
        assert (answer.status_code, "make another admin first" in answer.text) == (409, True)
    with pytest.raises(LastAdmin):
        world.service.set_role(world.account(ROOT).id, "user")
    assert current(root) is not None
    assert world.account(ROOT).role == "admin"


def test_the_command_takes_no_role_from_the_last_admin(
    world: World, root: FlaskClient, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr("apps.auth.processes.operator", lambda: world.service)
    monkeypatch.setattr("sys.argv", ["ticketing", "accounts", "revoke-admin", ROOT])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert "make another admin first" in capsys.readouterr().err
    assert current(root) is not None


def test_an_admin_can_leave_when_there_is_another(world: World, root: FlaskClient) -> None:
    world.sign_up(BOB)
    world.service.set_role(world.account(BOB).id, "admin")
    assert root.post("/account/delete", data={"password": PASSWORD}).status_code == 303
    assert [each.email for each in world.service.accounts.active_admins()] == [BOB]


def test_a_disabled_admin_can_lose_the_role(world: World, root: FlaskClient) -> None:
    del root
    world.sign_up(BOB)
    bob = world.account(BOB).id
    world.service.set_role(bob, "admin")
    world.service.set_disabled(bob, disabled=True)
    assert world.service.set_role(bob, "user").role == "user"


# --- the audit log --------------------------------------------------------------------------------


def test_what_matters_for_security_is_noted_without_secrets(world: World) -> None:
    client = world.sign_up(ADA)
    assert post(world.client(), "signin", email=ADA, password="hunter2 hunter2").status_code == 400
    assert post(world.client(), "signin", email="my secret@x.org", password="?").status_code == 400
    signed_in(world, ADA)
    world.services.letters.ask_to_reset(ADA)
    token = world.link_token()
    world.services.letters.reset(token, "another password")
    assert current(client) is None
    ada = world.account(ADA).id
    assert sorted(kinds(world, person=ada)) == sorted(
        [
            *("account.created", "session.begun", "session.begun", "sign-in.failed"),
            *("password.reset-asked", "password.reset"),
        ]
    )
    everything = repr(list(world.databases["auth"]["audit"].find()))
    for secret in ("hunter2", "my secret", token, "another password", "argon2", ADA):
        assert secret not in everything
    assert set(kinds(world)) <= KINDS.keys()
    assert {each.address for each in entries(world, kind="sign-in.failed")} == {"127.0.0.1"}


def test_an_unknown_address_can_be_searched_though_it_is_not_kept(
    world: World, root: FlaskClient
) -> None:
    post(world.client(), "signin", email="ghost@example.com", password=PASSWORD)
    page = root.get("/account/admin/log", query_string={"person": "Ghost@example.com"}).text
    assert "an address that nobody has" in page
    assert "no such account" in page


def test_strangers_cannot_fill_the_log(world: World) -> None:
    world.service.audit.strangers = auditing.Strangers(world.service.audit.log.add, most=3)
    for _ in range(6):
        post(world.client(), "signin", email="ghost@example.com", password=PASSWORD)
    # Sorted, as the log tells no order of what happened in one millisecond.
    assert sorted(kinds(world)) == ["log.limited", *["sign-in.failed"] * 3]


def test_what_other_services_note_is_kept_once(world: World) -> None:
    noted = entry("order.refunded", "a" * 24, "order:" + "b" * 24, "192.0.2.7", "Rain")
    event = AuditRecorded(data=public(noted))
    for _ in range(2):
        world.service.audit.log.keep(event)
    (kept,) = entries(world, target="b" * 24)
    assert (kept.id, kept.reason) == (noted.id, "Rain")
    assert entries(world, person="a" * 24) == [kept]


def test_it_is_searched_by_time_and_paged(world: World, root: FlaskClient) -> None:
    log, then = world.service.audit.log, datetime(2026, 3, 5, 23, 59, tzinfo=UTC)
    for number in range(120):
        made = entry("token.made", "a" * 24, "token:t", "192.0.2.7", f"number {number}.")
        log.add(Entry(**{**vars(made), "at": then + timedelta(milliseconds=number)}))
    seen, link = 0, "/account/admin/log?since=2026-03-05&until=2026-03-05&kind=token.made"
    while link:
        page = root.get(link).text
        seen += page.count("number ")
        link = (
            page.partition('" rel="next"')[0].rpartition('href="')[2].replace("&amp;", "&")
            if ('rel="next"' in page)
            else ""
        )
    assert seen == 120
    for other in ("since=2026-03-06&kind=token.made", "until=2026-03-04", f"target={UNKNOWN}"):
        assert "Nothing was noted" in root.get(f"/account/admin/log?{other}").text


@pytest.mark.parametrize("query", ["since=yesterday", "after=forged", "until=2026-02-31"])
def test_filters_that_make_no_sense_are_refused(root: FlaskClient, query: str) -> None:
    assert root.get(f"/account/admin/log?{query}").status_code == 400


@pytest.mark.parametrize("day", ["0001-01-01", "2300-01-01", "9999-12-31"])
def test_a_day_far_away_is_a_number_that_the_database_can_hold(root: FlaskClient, day: str) -> None:
    """A database in memory takes any number, so what it would be asked is encoded here."""
    for name in ("since", "until"):
        assert root.get(f"/account/admin/log?{name}={day}").status_code == 200
        search = validate(LogIn, {name: day}, form=True).search
        assert bson.encode({"place": auditing._place(search.since or search.until)})


def test_an_export_says_all_and_is_noted(world: World, root: FlaskClient) -> None:
    log = world.service.audit.log
    log.add(entry("order.refunded", "a" * 24, "order:o", "192.0.2.7", "=HYPERLINK(1)"))
    answer = root.get("/account/admin/log.csv?kind=order.refunded")
    head, row = csv.reader(answer.text.removeprefix("\ufeff").splitlines())
    assert (head[1], row[1], row[5]) == ("What", "order.refunded", "'=HYPERLINK(1)")
    assert "attachment" in answer.headers["Content-Disposition"]
    lines = root.get("/account/admin/log.jsonl?kind=order.refunded").text.splitlines()
    assert [json.loads(each)["reason"] for each in lines] == ["=HYPERLINK(1)"]
    assert [each.actor for each in entries(world, kind="audit.exported")] == [
        world.account(ROOT).id
    ] * 2


def test_no_route_changes_or_removes_an_entry(world: World) -> None:
    rules = [rule for rule in world.app.url_map.iter_rules() if "/log" in rule.rule]
    assert {rule.rule for rule in rules} == set(PAGES[1:])
    assert {method for rule in rules for method in rule.methods or ()} == {"GET", "HEAD", "OPTIONS"}
