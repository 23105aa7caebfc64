"""The way of a request to its endpoint and back: faults, idempotency, checks, one transaction."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from dev.stripe import cards, params
from dev.stripe.api import EXPAND, Endpoint
from dev.stripe.control import Controls, Fault
from dev.stripe.errors import ApiError, CardError, Json, server_error
from dev.stripe.idempotency import InFlight, Keyed, check_same, keyed
from dev.stripe.operation import Operation
from dev.stripe.store import Answer, Session, Store


@dataclass(frozen=True)
class Call:
    """A request as the endpoint table sees it."""

    endpoint: Endpoint
    idents: dict[str, str]
    path: str
    given: Json
    key: str | None
    request_id: str


@dataclass
class Reply:
    """What goes back; a dropped one is never written."""

    status: int
    body: str
    headers: dict[str, str] = field(default_factory=dict[str, str])
    dropped: bool = False


@dataclass(frozen=True)
class Gate:
    store: Store
    controls: Controls
    public_url: str
    wake: Callable[[], None] | None
    webhook_events: frozenset[str] = frozenset()
    in_flight: InFlight = field(default_factory=InFlight)

    def answer(self, call: Call) -> Reply:
        """What a client did wrong is an answer too, so this never raises for it."""
        fault = self.controls.take_fault(call.endpoint.method, call.path)
        request = keyed(call.key, call.path, call.given) if call.key else None
        try:
            with self.in_flight.claim(request):
                if call.path.endswith("/confirm"):
                    self.controls.wait(cards.seconds(call.given))
                early = self._strike(fault, "before", None)
                reply = early or self._execute(call, request, fault)
        except ApiError as error:
            reply = refusal(error)
        return self._strike(fault, "after", reply) or reply

    def act(self, action: Callable[[Operation], Json]) -> Json:
        """Do something that comes from no API request, such as a click of the buyer's bank."""
        with self.store.transaction() as session:
            result = action(self._operation(session))
        self._notify()
        return result

    def _strike(self, fault: Fault | None, when: str, reply: Reply | None) -> Reply | None:
        """Suffer a fault: the answer that replaces the right one, if it does."""
        if fault is None or fault.when != when:
            return None
        if fault.kind == "slow":
            self.controls.wait(fault.seconds)
            return None
        if fault.stored:
            return reply
        return Reply(fault.status, _failure(fault).body, dropped=fault.kind == "drop")

    def _execute(self, call: Call, request: Keyed | None, fault: Fault | None) -> Reply:
        with self.store.transaction() as session:
            first = session.recall(request.key) if request else None
            if request and first:
                check_same(request, first)
                return _replay(first)
            reply = self._run(session, call, fault)
            if request:
                answer = Answer(
                    request.request, request.path, call.request_id, reply.status, reply.body
                )
                session.remember(request.key, answer)
        self._notify()
        return reply

    def _run(self, session: Session, call: Call, fault: Fault | None) -> Reply:
        """Errors of the checks leave by raising and are not kept; later ones are the answer."""
        endpoint = call.endpoint
        values = params.read(call.given, {**endpoint.accepts, **EXPAND}, endpoint.required)
        stored = fault if fault and fault.stored else None
        if stored and stored.when == "before":
            return _failure(stored)
        op = self._operation(session, call.request_id, call.key)
        try:
            body = endpoint.run(op, values, **call.idents)
            reply = Reply(200, json.dumps(op.expand(body, values.get("expand", []))))
        except CardError as error:
            reply = refusal(error)
        except ApiError as error:
            session.undo()
            reply = refusal(error)
        return _failure(stored) if stored else reply

    def _operation(
        self, session: Session, request_id: str | None = None, key: str | None = None
    ) -> Operation:
        sends = self.wake is not None
        return Operation(
            session, self.controls, self.public_url, sends, self.webhook_events, request_id, key
        )

    def _notify(self) -> None:
        if self.wake:
            self.wake()


def refusal(error: ApiError) -> Reply:
    return Reply(error.status, json.dumps(error.body()))


def _failure(fault: Fault) -> Reply:
    """A server error; one that is kept as the key's answer is not worth another try."""
    headers = {"Stripe-Should-Retry": "false"} if fault.stored else {}
    return Reply(fault.status, json.dumps(server_error(fault.status).body()), headers)


def _replay(first: Answer) -> Reply:
    headers = {"Idempotent-Replayed": "true", "Original-Request": first.request_id}
    return Reply(first.status, first.body, headers)
