"""What payments does when it hears of something. The table at the end is its documentation."""

from apps.payments.service import Payments
from shared.events import Event, OrderAwaitingPayment, OrderCancelled, OrderCompleted, OrderCreated
from shared.worker import Handlers

NEW: list[type[Event]] = [OrderCreated]  # it may be paid


def table(payments: Payments) -> Handlers:
    return {
        OrderAwaitingPayment: payments.learn,  # it is committed: capture
        OrderCompleted: payments.learn,  # nothing more to do
        OrderCancelled: payments.learn,  # let the authorisation go, or refund
    }


def replicas(payments: Payments) -> Handlers:
    kinds = (OrderCreated, OrderAwaitingPayment, OrderCompleted, OrderCancelled)
    return dict.fromkeys(kinds, payments.rebuild)
