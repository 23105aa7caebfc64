"""Pages for people: the list of payments and webhooks, and the bank's page of 3-D Secure."""

from datetime import UTC, datetime
from functools import partial
from urllib.parse import urlencode

from flask import Flask, redirect, render_template, request
from werkzeug.wrappers import Response

from dev.stripe import cards, intents, switchboard
from dev.stripe.control import ControlError
from dev.stripe.errors import ApiError, Json
from dev.stripe.gate import Gate
from dev.stripe.money import amount_text
from dev.stripe.operation import Operation
from dev.stripe.store import Filter, Session

SHOWN = 50
Page = tuple[str, int]


def register_pages(app: Flask, gate: Gate) -> None:
    app.add_template_filter(amount_text, "money")
    app.add_template_filter(_moment, "moment")
    app.add_url_rule("/", "overview", lambda: _overview(gate))
    app.add_url_rule("/", "press", lambda: _press(gate), methods=["POST"])
    path = "/3d-secure/<ident>"
    app.add_url_rule(path, "bank", partial(_bank, gate))
    app.add_url_rule(path, "decide", partial(_decide, gate), methods=["POST"])


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _overview(gate: Gate, problem: str | None = None) -> Page:
    with gate.store.reading() as session:
        payments, _ = session.page(Filter("payment_intent", SHOWN))
        for payment in payments:
            payment["charge"] = session.find("charge", payment["latest_charge"] or "")
            payment["unsure"] = _unsure_refund(session, payment)
        events, _ = session.page(Filter("event", SHOWN))
        for event in events:
            event["deliveries"] = session.deliveries_of(event["id"])
    page = render_template(
        "overview.html",
        payments=payments,
        events=events,
        controls=gate.controls.shown(),
        sends=gate.wake is not None,
        problem=problem,
    )
    return page, 400 if problem else 200


def _unsure_refund(session: Session, payment: Json) -> str | None:
    """A refund of which the banks have not said their last word."""
    method = session.find("payment_method", payment["payment_method"] or "")
    refunds, _ = session.page(Filter("refund", intent=payment["id"]))
    last = cards.of(method).refunds[1] if method else ""
    return next((refund["id"] for refund in refunds if refund["status"] != last), None)


def _press(gate: Gate) -> Page | Response:
    """A button of the overview: the form's field is named after the command."""
    try:
        if "refund" in request.form:
            switchboard.refund(gate, {"payment_intent": request.form["refund"]})
        elif "expire" in request.form:
            switchboard.expire(gate, request.form["expire"])
        elif "end_refund" in request.form:
            switchboard.end_refund(gate, request.form["end_refund"])
        elif "resend" in request.form:
            switchboard.resend(gate, request.form["resend"])
    except (ApiError, ControlError) as error:
        return _overview(gate, str(error))
    return redirect("/", 303)


def _bank(gate: Gate, ident: str) -> Page:
    with gate.store.reading() as session:
        attempt = session.find("authentication", ident)
        intent = session.find("payment_intent", attempt["payment_intent"]) if attempt else None
    waiting = attempt is not None and intent is not None and _is_waiting(intent, attempt)
    page = render_template("bank.html", intent=intent, attempt=attempt, waiting=waiting)
    return page, 200 if attempt else 404


def _decide(gate: Gate, ident: str) -> Page | Response:
    """The buyer pressed a button. A second press changes nothing and leads to the same place."""
    passed = "complete" in request.form
    try:
        answer = gate.act(lambda op: _authenticate(op, ident, passed))
    except ApiError:
        return _bank(gate, ident)
    if answer["return_url"] is None or answer["result"] is None:
        return _bank(gate, ident)
    return redirect(_way_back(answer), 303)


def _authenticate(op: Operation, ident: str, passed: bool) -> Json:
    attempt = op.get("authentication", ident, "id")
    intent = op.intent(attempt["payment_intent"])
    method = op.method_of(intent)
    if _is_waiting(intent, attempt) and method:
        outcome = (
            intents.authenticated(intent, method, op.now)
            if passed
            else intents.not_authenticated(intent, method)
        )
        intent = op.apply(outcome, raising=False)
        failed = intent["status"] == "requires_payment_method"
        attempt["result"] = "failed" if failed else "succeeded"
        op.session.save(attempt)
    return attempt | {"client_secret": intent["client_secret"]}


def _is_waiting(intent: Json, attempt: Json) -> bool:
    """Whether the intent still waits for this attempt, and not for a later one or none."""
    return attempt["result"] is None and attempt["id"] in str(intent["next_action"])


def _way_back(attempt: Json) -> str:
    url, hash_sign, fragment = str(attempt["return_url"]).partition("#")
    added = urlencode(
        {
            "payment_intent": attempt["payment_intent"],
            "payment_intent_client_secret": attempt["client_secret"],
            "redirect_status": attempt["result"],
        }
    )
    return f"{url}{'&' if '?' in url else '?'}{added}{hash_sign}{fragment}"
