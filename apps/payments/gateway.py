"""Stripe: the only module that knows it. Answers are snapshots; a doubt is never guessed away."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import cast

import stripe
from stripe import StripeClient

from apps.payments.models import Intent, IntentStatus, Method, Payment
from shared import logs
from shared.errors import Refused, Unavailable

log = logs.get(__name__)

TIMEOUT = 10  # seconds; Stripe's own default of 80 would hold a buyer's request that long


class Doubt(Unavailable):
    """Stripe did not answer, or not clearly: the call may have had its effect or not."""

    message = "The bank takes longer than usual; your payment is being confirmed"


class BadSignature(Refused):
    message = "The signature does not match"


@dataclass(frozen=True)
class Notice:
    """What a webhook is about. Amounts and states are always read from Stripe itself."""

    id: str
    kind: str
    intent_id: str | None


class Gateway:
    def __init__(self, key: str, base: str, webhook_secret: str, return_url: str) -> None:
        self._client = StripeClient(
            key,
            base_addresses={"api": base} if base else {},
            max_network_retries=0,  # `settle` repeats, under the same key, and decides each time
            http_client=stripe.RequestsClient(timeout=TIMEOUT),
        )
        self._webhook_secret, self._return_url = webhook_secret, return_url

    def create(self, payment: Payment, number: int) -> Intent:
        """A new intent, not confirmed: nothing is charged by it. Repeating gives the same one."""
        order = payment.order
        with _translated():
            created = self._client.v1.payment_intents.create(
                {
                    "amount": order.amount,
                    "currency": order.currency,
                    "capture_method": "manual",
                    "allowed_payment_method_types": ["card"],
                    "description": f"{order.quantity} × {order.title}",
                    "metadata": {"order_id": payment.id, "payment_id": payment.payment_id},
                },
                {"idempotency_key": f"intent:{payment.id}:{number}"},
            )
        return snapshot(created, number)

    def read(self, intent: Intent) -> Intent:
        """The intent as it is at Stripe now."""
        with _translated():
            found = self._client.v1.payment_intents.retrieve(
                intent.id, {"expand": ["latest_charge"]}
            )
        return snapshot(found, intent.number)

    def confirm(self, payment: Payment, intent: Intent) -> Intent:
        """Authorise by the last attempt. The same attempt may be sent again: it counts once."""
        attempt = payment.attempts[-1]
        try:
            with _translated():
                confirmed = self._client.v1.payment_intents.confirm(
                    intent.id,
                    {"return_url": self._return_url + payment.id, **_method(attempt.method)},
                    {"idempotency_key": f"{payment.id}:{attempt.n}"},
                )
        except (stripe.CardError, stripe.InvalidRequestError) as error:
            # Declined, unknown to Stripe, or confirmed before: the intent tells which.
            return replace(self.read(intent), error=error.user_message or str(error))
        return snapshot(confirmed, intent.number)

    def capture(self, payment: Payment, intent: Intent) -> Intent:
        """Take the authorised money. A bank that refuses leaves the intent not authorised."""
        key = f"capture:{payment.id}:{payment.attempts[-1].n}"
        return self._ask_for(
            intent,
            lambda: self._client.v1.payment_intents.capture(
                intent.id, {}, {"idempotency_key": key}
            ),
        )

    def cancel(self, intent: Intent) -> Intent:
        """Let an intent go, and with it what it has authorised."""
        return self._ask_for(intent, lambda: self._client.v1.payment_intents.cancel(intent.id))

    def refund(self, intent: Intent) -> Intent:
        """Give back all that was captured and not given back yet."""
        rest = intent.captured - intent.refunded
        key = f"refund:{intent.id}:{intent.refunded}"
        return self._ask_for(
            intent,
            lambda: self._client.v1.refunds.create(
                {"payment_intent": intent.id, "amount": rest}, {"idempotency_key": key}
            ),
        )

    def _ask_for(self, intent: Intent, call: Callable[[], object]) -> Intent:
        """Make a call; even when Stripe refuses, the intent's state says what came of it."""
        try:
            with _translated():
                call()
        except (stripe.CardError, stripe.InvalidRequestError) as error:
            log.warning("stripe refused", intent=intent.id, code=error.code, error=str(error))
        return self.read(intent)

    def notice(self, payload: bytes, signature: str) -> Notice:
        """A webhook whose signature matches. Raises BadSignature for any other."""
        try:
            event = stripe.Webhook.construct_event(payload, signature, self._webhook_secret)  # pyright: ignore[reportUnknownMemberType]
        except (stripe.SignatureVerificationError, ValueError) as error:
            log.warning("webhook refused", error=str(error))
            raise BadSignature from None
        about = event.data.object
        intent_id = about["id"] if event.type.startswith("payment_intent.") else None
        if intent_id is None and "payment_intent" in about:
            intent_id = about["payment_intent"]
        return Notice(event.id, event.type, intent_id)


@contextmanager
def _translated() -> Generator[None]:
    """Errors that leave the outcome open become Doubt; what Stripe decided stays as it is."""
    try:
        yield
    except (stripe.CardError, stripe.InvalidRequestError):
        raise
    except (stripe.AuthenticationError, stripe.PermissionError, stripe.IdempotencyError) as error:
        log.error("stripe can't be used", error=str(error))
        raise Doubt from error
    except stripe.StripeError as error:
        log.warning("stripe did not answer", error=str(error), status=error.http_status)
        raise Doubt from error


def _method(method: Method) -> stripe.params.PaymentIntentConfirmParams:
    if method.kind == "payment_method":
        return {"payment_method": method.value}
    return {"payment_method_data": {"type": "card", "card": {"token": method.value}}}  # pyright: ignore[reportReturnType] - a token is documented, but not typed


def snapshot(found: stripe.PaymentIntent, number: int) -> Intent:
    """What matters of Stripe's object."""
    charge = found.latest_charge
    action = found.next_action
    problem = found.last_payment_error
    redirect = action.redirect_to_url if action and "redirect_to_url" in action else None
    return Intent(
        id=found.id,
        number=number,
        status=cast(IntentStatus, found.status),
        client_secret=found.client_secret or "",
        captured=found.amount_received,
        refunded=charge.amount_refunded if isinstance(charge, stripe.Charge) else 0,
        error=problem.message if problem and "message" in problem else None,
        redirect_url=redirect.url if redirect else None,
    )
