"""Sessions that were ended before their time, as every service hears of them."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from shared import logs
from shared.bus import Bus
from shared.events import SessionRevoked, parse
from shared.people import User

log = logs.get(__name__)

LIFETIME = timedelta(hours=12)  # of a session's token
TIDY = timedelta(minutes=1)  # between two looks for revocations that nobody needs any more
_NEVER = datetime.min.replace(tzinfo=UTC)


class _Revoked(NamedTuple):
    at: datetime
    until: datetime


class Revocations:
    """Sessions that were ended before their token expires: read from the stream, kept in memory."""

    def __init__(self) -> None:
        self._sessions: dict[str, _Revoked] = {}
        self._users: dict[str, _Revoked] = {}
        self._tidied_at = _NEVER
        self.complete = False

    def follow(self, bus: Bus) -> "Revocations":
        bus.spawn(self._follow(bus))
        return self

    async def _follow(self, bus: Bus) -> None:
        since = datetime.now(UTC) - LIFETIME
        subjects = [SessionRevoked.subject_name]
        async for message in bus.read(subjects=subjects, since=since, follow=True):
            if message is None:
                self.complete = True
                continue
            try:
                event = parse(message.payload)
            except ValueError as error:  # one bad message must not end the list for good
                log.error("unreadable event", sequence=message.sequence, error=str(error))
                continue
            if isinstance(event, SessionRevoked):
                self.add(event)

    def add(self, event: SessionRevoked) -> None:
        """Remember a revocation until no token that it is about can be valid any more."""
        data, now = event.data, datetime.now(UTC)
        key, table = (data.id, self._sessions) if data.id else (data.user_id, self._users)
        news = _Revoked(data.revoked_at, max(data.until or _NEVER, data.revoked_at + LIFETIME))
        if news.until < now:
            return
        known = table.get(key, news)
        # A late copy of an older revocation must not bring back what a newer one ended.
        table[key] = _Revoked(max(news.at, known.at), max(news.until, known.until))
        if now - self._tidied_at > TIDY:  # not each time: there may be very many
            self._tidied_at = now
            self._tidy(now)

    def _tidy(self, now: datetime) -> None:
        for table in (self._sessions, self._users):
            for name in [name for name, revoked in table.items() if revoked.until < now]:
                del table[name]

    def covers(self, user: User) -> bool:
        if user.session_id in self._sessions:
            return True
        everything_before = self._users.get(user.id)
        return everything_before is not None and user.issued_at <= everything_before.at
