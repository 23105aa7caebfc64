"""What expiration does when it hears of something. The table at the end is its documentation."""

from apps.expiration.service import Expiration
from shared.events import OrderAwaitingPayment, OrderCancelled, OrderCompleted, OrderCreated
from shared.worker import Handlers


def table(expiration: Expiration) -> Handlers:
    return {
        OrderCreated: expiration.on_order,  # set the alarm
        OrderAwaitingPayment: expiration.on_order,  # it can't expire any more
        OrderCompleted: expiration.on_order,
        OrderCancelled: expiration.on_order,
    }
