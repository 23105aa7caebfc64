"""What expiration does when it hears of something, for a replay hands on events one by one."""

from apps.expiration.service import KINDS, Expiration
from shared.events import OrderEvent
from shared.worker import Handlers


def table(expiration: Expiration) -> Handlers:
    def on_order(event: OrderEvent) -> None:
        expiration.on_orders([event])

    return dict.fromkeys(KINDS, on_order)
