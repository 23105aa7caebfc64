"""Every exception as an answer: JSON under /api, otherwise a page or a fragment."""

from flask import jsonify, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as BaseResponse

from shared import logs
from shared.errors import Refused, Unavailable, error_body
from shared.mongo import is_temporary
from shared.web.answers import kept, render, see_other, sign_in_url, wants_fragment

log = logs.get(__name__)

SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}


def translate(error: Exception) -> BaseResponse:
    """Every exception as an answer: JSON under /api, otherwise a page or a fragment."""
    refused = _as_refused(error)
    if refused.status == 401 and not request.path.startswith("/api/"):
        return see_other(sign_in_url())
    if request.path.startswith("/api/"):
        response = jsonify(error_body(refused))
        response.status_code = refused.status
    else:
        response = kept(
            render(
                "error.html",
                status=refused.status,
                code=refused.status,
                errors=refused.errors,
                page=refused.page,
            )
        )
        if wants_fragment() and request.method not in SAFE_METHODS:
            # Above the page's content, so that a form that was sent keeps what is typed in it.
            response.headers["HX-Retarget"] = "#notices"
            response.headers["HX-Reswap"] = "innerHTML show:window:top"
    if refused.retry_after is not None:
        response.headers["Retry-After"] = str(refused.retry_after)
    if isinstance(error, HTTPException) and error.code == 405:
        response.headers["Allow"] = dict(error.get_headers()).get("Allow", "")
    return response


def _as_refused(error: Exception) -> Refused:
    if isinstance(error, Refused):
        return error
    if isinstance(error, HTTPException):
        refused = Refused(error.name)
        refused.status = error.code or 500
        return refused
    if is_temporary(error):
        log.warning("dependency away", path=request.path, error=repr(error))
        return Unavailable()
    log.error("request failed", path=request.path, exc_info=error)
    refused = Refused("Something went wrong on our side")
    refused.status = 500
    return refused
