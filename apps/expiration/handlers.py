"""What expiration does with each event of a replay; its worker is handed many at once."""

from apps.expiration.service import KINDS, Expiration
from shared.events import OrderEvent
from shared.worker import Handlers


def table(expiration: Expiration) -> Handlers:
    def on_order(event: OrderEvent) -> None:
        expiration.on_orders([event])

    return dict.fromkeys(KINDS, on_order)
