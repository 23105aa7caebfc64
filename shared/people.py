"""Somebody who is signed in, as all layers know them; without the web, which workers do without."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class User:
    """A signed-in person, as their token tells."""

    id: str
    email: str
    session_id: str
    issued_at: datetime
    expires_at: datetime

    # What flask-login asks of a user.
    is_authenticated = True
    is_active = True
    is_anonymous = False

    def get_id(self) -> str:
        return self.id
