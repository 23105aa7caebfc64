"""Giving a whole payment back because an admin says so: noted first, carried out by `settle`."""

from apps.payments import changes
from apps.payments.models import Payment, Wish
from apps.payments.service import Payments
from shared.auditlog import Entry
from shared.errors import NotFound

SHOWN = 20  # payments of one person


def refund(payments: Payments, order_id: str, entry: Entry) -> Payment:
    """Give back what was captured, once. Raises NotFound or NotRefundable.

    After the wish is stored nothing can forget it: what fails now is done by the reconciler.
    """
    store, now = payments.store, payments.now()
    payment = store.aggregates.find(order_id)
    if payment is None:
        raise NotFound
    wish = Wish(entry.id, entry.actor, now, entry.reason)
    changes.wish_refund(payment, wish, now)  # what is refused is not noted as done
    store.trail.add(entry)
    store.aggregates.update(order_id, lambda current: changes.wish_refund(current, wish, now))
    payments.settle_quietly(order_id)
    return store.require(order_id)


def find(payments: Payments, key: str) -> tuple[Payment | None, list[Payment]]:
    """The payment with this id or of this order; otherwise the payments of this person."""
    store = payments.store
    one = store.aggregates.find(key) or store.by_payment_id(key)
    return one, [] if one else store.of_buyer(key, SHOWN)
