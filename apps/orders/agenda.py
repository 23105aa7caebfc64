"""What is still ahead of a buyer."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from apps.orders.models import Purchase

ONE_EVENING = timedelta(hours=12)  # after which nobody looks for their ticket any more


def upcoming(purchases: Iterable[Purchase], now: datetime) -> list[Purchase]:
    """What is not over yet: first what waits for a payment, then by date, then without one."""

    def by_date(one: Purchase) -> tuple[bool, bool, float]:
        date = one.starts_at.timestamp() if one.starts_at else -one.order.created_at.timestamp()
        return one.order.status == "complete", one.starts_at is None, date

    coming = [one for one in purchases if not one.starts_at or one.starts_at > now - ONE_EVENING]
    return sorted(coming, key=by_date)
