"""The admin area: one place to find anything, accounts, and the audit log."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any

from flask import Blueprint, Response, current_app, request
from pydantic import Field
from werkzeug.wrappers import Response as BaseResponse

from apps.auth.auditing import KINDS, Audit, Search
from apps.auth.doors import services
from apps.auth.models import Account, LastAdmin
from shared import admin, auditlog, web
from shared.auditlog import Entry
from shared.errors import FieldError, InvalidInput, NotFound, Refused
from shared.fields import ID_PATTERN, IfGiven, Input, Text, Whole
from shared.identity import require_admin
from shared.paging import Cursors, next_url
from shared.sheet import MARK, harmless, line
from shared.ui import iso

blueprint: Blueprint = admin.blueprint(__name__)

PAGE = 50
FIRST, LAST = date(1970, 1, 1), date(2200, 1, 1)  # days that the log is searched by
RECENT = 10  # entries shown with an account
PARTS = ("orders", "payments", "tickets")
COLUMNS = ("Time", "What", "Who", "On what", "Address", "Reason", "Id")


class FindIn(Input):
    q: Annotated[Text, Field(max_length=254)] = ""


class VersionIn(Input):
    version: Whole


class LogIn(Input):
    """The filters of the audit log; the last day is a part of what is asked for."""

    person: Annotated[Text, Field(max_length=254)] = ""
    kind: Annotated[Text, Field(max_length=40)] = ""
    target: Annotated[Text, Field(max_length=64)] = ""
    since: Annotated[date | None, IfGiven] = None
    until: Annotated[date | None, IfGiven] = None
    after: Annotated[Text, Field(max_length=200)] = ""

    @property
    def search(self) -> Search:
        return Search(
            person=_person(self.person),
            kind=self.kind,
            target=self.target.rpartition(":")[2],
            since=_midnight(self.since) if self.since else None,
            until=_midnight(self.until) + timedelta(days=1) if self.until else None,
        )


def _midnight(day: date) -> datetime:
    # Entries are found by a number of 64 bits, which holds no day much earlier or later.
    return datetime.combine(min(max(day, FIRST), LAST), time(), UTC)


def _audit() -> Audit:
    return services().accounts.audit


# --- finding --------------------------------------------------------------------------------------


@blueprint.get("/account/admin")
def find() -> Response:
    """Everything that all services know of an id, or of the person with an address."""
    wanted = web.query(FindIn)
    try:
        key = _key(wanted.q)
    except Refused as refused:
        return _page(wanted.q, None, refused)
    return _page(wanted.q, key)


def _key(text: str) -> str | None:
    """The id that is meant. Raises InvalidInput or NotFound."""
    if not text:
        return None
    if "@" not in text:
        if not ID_PATTERN.fullmatch(text.lower()):
            message = "q must be an e-mail address or an id of 24 characters"
            raise InvalidInput([FieldError(message, "q")])
        return text.lower()
    account = services().accounts.accounts.by_email(text.lower())
    if account is None:
        raise NotFound("Nobody has this address", field="q")
    return account.id


def _page(text: str, key: str | None, refused: Refused | None = None) -> Response:
    account = services().admins.find(key) if key else None
    return _render(account, refused, q=text, key_found=key, parts_of=PARTS)


def _render(account: Account | None, refused: Refused | None, **context: Any) -> Response:
    recent = _audit().log.page(Search(person=account.id), None, RECENT)[0] if account else []
    return web.render(
        "auth/admin.html",
        status=refused.status if refused else 200,
        account=account,
        sessions=services().admins.open_sessions(account) if account else 0,
        recent=recent,
        kinds=KINDS,
        names=_names(recent),
        errors=refused.errors if refused else [],
        key=web.new_key(),
        typed=request.form,
        **context,
    )


# --- accounts -------------------------------------------------------------------------------------


@blueprint.post("/account/admin/users/<user_id>/disable")
def disable(user_id: str) -> BaseResponse:
    return _switch(web.require_id(user_id), disabled=True)


@blueprint.post("/account/admin/users/<user_id>/enable")
def enable(user_id: str) -> BaseResponse:
    return _switch(web.require_id(user_id), disabled=False)


def _switch(user_id: str, *, disabled: bool) -> BaseResponse:
    kind = "account.disabled" if disabled else "account.enabled"
    try:
        asked, seen = admin.action(kind, f"user:{user_id}"), web.form(VersionIn)
        services().admins.set_disabled(user_id, asked, disabled=disabled, version=seen.version)
    except Refused as refused:
        if refused.status != 400 and not isinstance(refused, LastAdmin):
            raise
        return _render(services().admins.find(user_id), refused, q=user_id, key_found=None)
    message = "Shut out: every session is ended." if disabled else "They can sign in again."
    return admin.done(message, user_id)


# --- the audit log --------------------------------------------------------------------------------


@blueprint.get("/account/admin/log")
def log() -> Response:
    try:
        wanted = web.query(LogIn)
        entries, following = _read(wanted)
    except InvalidInput as refused:
        return _log([], None, refused)
    return _log(entries, following)


def _read(wanted: LogIn) -> tuple[list[Entry], str | None]:
    cursors = Cursors(str(current_app.secret_key), "audit")
    (after,) = cursors.read(wanted.after) or [None]
    entries, following = _audit().log.page(wanted.search, after, PAGE)
    return entries, next_url(cursors.make([following])) if following else None


def _log(entries: list[Entry], next_link: str | None, refused: Refused | None = None) -> Response:
    return web.render(
        "auth/log.html",
        status=refused.status if refused else 200,
        entries=entries,
        names=_names(entries),
        kinds=KINDS,
        asked=request.args,
        next_link=next_link,
        errors=refused.errors if refused else [],
    )


@blueprint.get("/account/admin/log.csv")
def as_table() -> Response:
    found = _exported("csv")
    return _file(_table(found), "text/csv; charset=utf-8", "audit-log.csv")


@blueprint.get("/account/admin/log.jsonl")
def as_lines() -> Response:
    found = _exported("JSON lines")
    lines = (f"{auditlog.public(each).model_dump_json(by_alias=True)}\n" for each in found)
    return _file(lines, "application/jsonl", "audit-log.jsonl")


def _exported(form: str) -> Iterator[Entry]:
    """What the filters find, read while it is sent; that it was taken along is noted, too."""
    search = web.query(LogIn).search
    _audit().note("audit.exported", require_admin().id, "audit:log", form)
    return _audit().log.every(search)


def _table(entries: Iterator[Entry]) -> Iterator[str]:
    yield MARK + line(COLUMNS)
    for each in entries:
        texts = (each.kind, each.actor, each.target, each.address, each.reason)
        yield line([iso(each.at), *map(harmless, texts), each.id])


def _file(content: Iterator[str], kind: str, name: str) -> Response:
    response = Response(content, content_type=kind)
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _person(text: str) -> str:
    """The id of who is meant; that of an address which nobody has, too."""
    if "@" not in text:
        return text
    account = services().accounts.accounts.by_email(text.lower())
    return account.id if account else _audit().unknown(text.lower())


def _names(entries: list[Entry]) -> dict[str, str]:
    """The addresses of those whom entries name, as they are now."""
    ids = {each.actor for each in entries} | {each.target.rpartition(":")[2] for each in entries}
    return services().accounts.accounts.emails(ids - {""})
