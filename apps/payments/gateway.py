"""Stripe: the only module that knows it. Answers are snapshots; a doubt is never guessed away."""

import re
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import cast

import stripe
from stripe import StripeClient

from apps.payments.models import Intent, IntentStatus, Method, NotPayable, Payment
from shared import logs
from shared.errors import Refused, Unavailable

log = logs.get(__name__)

TIMEOUT = 10  # seconds; Stripe's own default of 80 would hold a buyer's request that long


LOST = ("failed", "canceled")  # refunds that do not reach the buyer

NO_EVENT = (AttributeError, LookupError, TypeError)  # what reading something else runs into


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
        key = f"intent:{payment.id}:{number}"
        try:
            with _translated():
                created = self._client.v1.payment_intents.create(
                    _params(payment), {"idempotency_key": key}
                )
        except stripe.InvalidRequestError as error:
            log.error("stripe refused an intent", order=payment.id, error=str(error))
            raise NotPayable from error
        return snapshot(created, number)

    def read(self, intent: Intent) -> Intent:
        """The intent as it is at Stripe now."""
        try:
            with _translated():
                found = self._client.v1.payment_intents.retrieve(
                    intent.id, {"expand": ["latest_charge"]}
                )
        except stripe.InvalidRequestError as error:
            log.error("stripe does not show an intent", intent=intent.id, error=str(error))
            raise Doubt from error
        seen = snapshot(found, intent.number)
        return self._with_refunds(seen) if seen.refunded or any(intent.refunds) else seen

    def _with_refunds(self, intent: Intent) -> Intent:
        """Add up the refunds themselves: only they tell which of them failed later."""
        amounts = {True: 0, False: 0}
        with _translated():
            found = self._client.v1.refunds.list({"payment_intent": intent.id, "limit": 100})
            for refund in found.auto_paging_iter():
                amounts[refund.status in LOST] += refund.amount
        return replace(intent, refunded=amounts[False], returned=amounts[True])

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

    # The next three have no key of their own: an intent is captured, cancelled and given back once
    # whoever asks and however often, while a key would repeat a stored failure for a day.

    def capture(self, intent: Intent) -> Intent:
        """Take the authorised money. Where the bank refuses, the intent is let go."""
        try:
            with _translated():
                captured = self._client.v1.payment_intents.capture(intent.id)
        except stripe.CardError as error:
            _note_refusal(intent, error)
            return self.cancel(intent)
        except stripe.InvalidRequestError as error:
            _note_refusal(intent, error)
            return self.read(intent)
        # Nothing can have been given back of what was taken just now, so no other look is needed.
        return snapshot(captured, intent.number)

    def cancel(self, intent: Intent) -> Intent:
        """Let an intent go, and with it what it has authorised."""
        self._ask_for(intent, lambda: self._client.v1.payment_intents.cancel(intent.id))
        return self.read(intent)

    def refund(self, intent: Intent) -> Intent:
        """Give back all that was captured and not given back yet; Stripe refuses more than that."""
        rest = intent.captured - intent.refunded
        wanted: stripe.params.RefundCreateParams = {"payment_intent": intent.id, "amount": rest}
        self._ask_for(intent, lambda: self._client.v1.refunds.create(wanted))
        return self.read(intent)

    def _ask_for(self, intent: Intent, call: Callable[[], object]) -> None:
        """Make a call, whose effect the intent then shows."""
        try:
            with _translated():
                call()
        except (stripe.CardError, stripe.InvalidRequestError) as error:
            _note_refusal(intent, error)

    def notice(self, payload: bytes, signature: str) -> Notice:
        """A webhook that Stripe signed just now. Raises BadSignature for any other."""
        try:
            event = stripe.Webhook.construct_event(payload, signature, self._webhook_secret)  # pyright: ignore[reportUnknownMemberType]
            _refuse_from_the_future(signature)
            return _notice(event)
        except (stripe.SignatureVerificationError, ValueError, *NO_EVENT) as error:
            log.warning("webhook refused", error=repr(error))
            raise BadSignature from None


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


def _note_refusal(intent: Intent, error: stripe.CardError | stripe.InvalidRequestError) -> None:
    log.warning("stripe refused", intent=intent.id, code=error.code, error=str(error))


def _refuse_from_the_future(signature: str) -> None:
    """The library refuses what is old. What is dated ahead could be sent again until then."""
    signed_at = int(re.findall(r"(?:^|,)t=(\d+)", signature)[0])
    if signed_at > time.time() + stripe.Webhook.DEFAULT_TOLERANCE:
        raise ValueError("signed in the future")


def _notice(event: stripe.Event) -> Notice:
    about = event.data.object
    intent_id = about["id"] if event.type.startswith("payment_intent.") else None
    if intent_id is None and "payment_intent" in about:
        intent_id = about["payment_intent"]
    return Notice(event.id, event.type, intent_id)


def _params(payment: Payment) -> stripe.params.PaymentIntentCreateParams:
    order = payment.order
    return {
        "amount": order.amount,
        "currency": order.currency,
        "capture_method": "manual",
        "allowed_payment_method_types": ["card"],
        "description": f"{order.quantity} × {order.title}",
        "metadata": {"order_id": payment.id, "payment_id": payment.payment_id},
    }


def _method(method: Method) -> stripe.params.PaymentIntentConfirmParams:
    if method.kind == "payment_method":
        return {"payment_method": method.value}
    return {"payment_method_data": {"type": "card", "card": {"token": method.value}}}  # pyright: ignore[reportReturnType] - a token is documented, but not typed


def _reason(problem: stripe.PaymentIntent.LastPaymentError) -> str | None:
    """Why a payment failed, in words for who pays: for banks' pages Stripe's are for developers."""
    if "code" in problem and problem.code == "payment_intent_authentication_failure":
        return "Your bank did not confirm that it was you, so nothing was charged"
    return problem.message if "message" in problem else None


def snapshot(found: stripe.PaymentIntent, number: int) -> Intent:
    """What matters of Stripe's object."""
    charge = found.latest_charge
    # A released authorisation is shown as refunded, too, although no money ever moved.
    paid = charge if isinstance(charge, stripe.Charge) and charge.captured else None
    action = found.next_action
    problem = found.last_payment_error
    redirect = action.redirect_to_url if action and "redirect_to_url" in action else None
    return Intent(
        id=found.id,
        number=number,
        status=cast(IntentStatus, found.status),
        client_secret=found.client_secret or "",
        captured=found.amount_received,
        refunded=paid.amount_refunded if paid else 0,
        error=_reason(problem) if problem else None,
        redirect_url=redirect.url if redirect else None,
    )
