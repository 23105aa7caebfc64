"""The one route: a stream of what changed."""

import asyncio

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp

from apps.live.streams import HEADERS, EventStream
from apps.live.topics import asked, is_public, key
from shared.addresses import network
from shared.errors import Forbidden, NotSignedIn, Refused, error_body
from shared.identity import bearer
from shared.people import User


async def live(request: Request) -> ASGIApp:
    topics = asked(request.query_params.getlist("topic"))
    user = None if all(map(is_public, topics)) else await _require_user(request)
    if request.method == "HEAD":
        return Response(headers=HEADERS)
    hub = request.app.state.hub
    keys = [key(topic, user.id if user else None) for topic in topics]
    return EventStream(hub, hub.open(keys, user, _address(request)))


def _address(request: Request) -> str:
    """Where the page is. Only the gateway, one hop before us, knows; it writes the last entry."""
    told = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
    return network(told) if told else ""


async def _require_user(request: Request) -> User:
    """Who asks. Raises NotSignedIn or Forbidden; Unavailable while nobody can be checked."""
    state = request.app.state
    shown = bearer(request.headers.get("Authorization", ""))
    token = shown or request.cookies.get(state.cookie, "")
    # In a thread, as a key that is not known yet is fetched from auth.
    user = await asyncio.to_thread(state.identity.user, token) if token else None
    # An API token is for programs: it does not come as a cookie, and says what it may do.
    if user is None or (user.scopes is not None and not shown):
        raise NotSignedIn
    if user.scopes is not None and "read" not in user.scopes:
        raise Forbidden("This API token lacks the scope read")
    return user


def refuse(_request: Request, error: Exception) -> JSONResponse:
    """A refusal as every service answers it."""
    if isinstance(error, HTTPException):
        refused = Refused(error.detail)
        refused.status = error.status_code
    else:
        assert isinstance(error, Refused)  # noqa: S101 - registered for these two kinds only
        refused = error
    later = refused.retry_after
    headers = {} if later is None else {"Retry-After": str(later)}
    return JSONResponse(error_body(refused), refused.status, headers)
